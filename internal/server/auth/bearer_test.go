package auth

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
)

// Wrong tokens use up what a host may try, like wrong passwords: after them
// neither is looked at.
func TestWrongTokensCountLikeWrongPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		host := netip.MustParseAddr("192.0.2.77")
		looked, blocked := 0, false
		for range 50 {
			g := a.Guard(host, "http", nil)
			err := g.Bearer(t.Context(), func() error { looked++; return ErrCredentials })
			if delay, _ := g.Penalty(); err == nil || delay == 0 {
				t.Fatalf("a wrong token: %v, costs %v", err, delay)
			}
			blocked = blocked || errors.Is(err, ErrBlocked)
		}
		if !blocked || looked >= 50 {
			t.Errorf("%d of 50 wrong tokens were looked at, blocked %v", looked, blocked)
		}
		if _, err := a.Guard(host, "imap", nil).Password(t.Context(), "alice@example.test", "secret"); !errors.Is(err, ErrBlocked) {
			t.Errorf("a password after them: %v", err)
		}
		if err := a.Guard(netip.MustParseAddr("192.0.2.78"), "http", nil).Bearer(t.Context(), func() error { return nil }); err != nil {
			t.Errorf("another host: %v", err)
		}
		if err := a.Guard(netip.MustParseAddr("192.0.2.79"), "http", nil).Bearer(t.Context(), func() error { return errors.New("disk") }); !errors.Is(err, ErrTemporary) {
			t.Errorf("a store that fails: %v", err)
		}
	})
}
