package app

import (
	"net/netip"
	"testing"
	"time"

	"posthorn/internal/app/boot"
	"posthorn/internal/policy"
	"posthorn/internal/server/auth"
	"posthorn/internal/state/ban"
)

// B1G-LIM-01, B1G-BAN-02: a restart makes nobody a stranger.
func TestHostsThatDidWellAreSparedAfterARestart(t *testing.T) {
	t.Parallel()
	c := boot.Config{Data: t.TempDir()}
	good, chief, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	open := func() (*House, accountant) {
		t.Helper()
		h, err := Open(t.Context(), c, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return h, h.newAccountant()
	}
	h, a := open()
	h.watch.Accepted(&policy.Facts{Client: good})
	a.Succeeded(auth.Success{Client: chief, Name: "chief@example.test", Administrator: true})
	a.Succeeded(auth.Success{Client: other, Name: "alice@example.test"})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h, a = open()
	if !h.watch.WellKnown(good) || h.watch.WellKnown(chief) {
		t.Errorf("well known: %v, %v", h.watch.WellKnown(good), h.watch.WellKnown(chief))
	}
	for range h.handles.ban.Get().Failures {
		for _, client := range []netip.Addr{chief, other} {
			a.Failed(auth.Failure{Client: client, Kind: auth.WrongLogin, Protocol: "imap"})
			h.bans.Fail(client, ban.ProtocolError, "")
		}
	}
	for client, want := range map[netip.Addr]bool{chief: false, other: true} {
		if _, got := h.bans.Banned(client, time.Now()); got != want {
			t.Errorf("%s banned: %v", client, got)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
