package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// forwards lets an account forward; only says that it keeps no copy.
func forwards(t *testing.T, only bool, to string) func(*NewAccount) {
	return func(n *NewAccount) { n.Forward, n.ForwardOnly = addrs(t, to), only }
}

func TestAccountsForwardTheirMail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "root@ours.test", admin)
	h.account(t, "gone@ours.test", disabled)
	bob := h.account(t, "bob@ours.test robert@two.test", forwards(t, false, "bob@far.test"))
	h.account(t, "eve@ours.test", forwards(t, true, "eve@far.test bob@ours.test"))
	h.account(t, "ann@ours.test", forwards(t, true, "nobody@ours.test gone@ours.test"))
	h.account(t, "off@ours.test", disabled, forwards(t, false, "off@far.test"))
	h.account(t, "x@ours.test", forwards(t, true, "y@ours.test"))
	h.account(t, "y@ours.test", forwards(t, true, "x@ours.test"))
	h.account(t, "r@ours.test", forwards(t, true, "r@relay.test"))
	h.alias(t, "both@ours.test", "eve@ours.test bob@ours.test")
	for in, want := range map[string]string{
		"bob@ours.test":     "local >bob@far.test bob@ours.test",
		"robert-x@two.test": "local >bob@far.test bob@ours.test[x]",
		"eve@ours.test":     "local >bob@far.test >eve@far.test bob@ours.test",
		"ann@ours.test":     "local ann@ours.test", // nobody else would have it
		"off@ours.test":     "disabled",
		"x@ours.test":       "local y@ours.test", // a circle: the last keeps it
		"r@ours.test":       "local >r@relay.test",
		"both@ours.test":    "local >bob@far.test >eve@far.test bob@ours.test",
	} {
		if got := h.where(t, in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	r, err := h.Resolve(t.Context(), addr(t, "both@ours.test"))
	if err != nil || len(r.Away) != 1 || len(r.Deliveries) != 1 || r.Deliveries[0].Account != bob || r.Deliveries[0].Forwarded {
		t.Errorf("%+v, %v", r, err)
	}
}

// Forwarding gives nobody another's address.
func TestForwardingIsNoGrant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.account(t, "bob@ours.test")
	eve := h.account(t, "eve@ours.test", forwards(t, true, "bob@ours.test"))
	h.alias(t, "sales@ours.test", "eve@ours.test bob@ours.test", group, sendAs)
	for _, c := range []struct {
		who  store.AccountID
		as   string
		want bool
	}{{eve, "eve@ours.test", true}, {bob, "eve@ours.test", false}, {bob, "sales@ours.test", true}, {eve, "sales@ours.test", true}, {eve, "bob@ours.test", false}} {
		if got, err := h.OwnsSender(t.Context(), c.who, addr(t, c.as)); err != nil || got != c.want {
			t.Errorf("%s sends as %s: %v, %v", h.names[c.who], c.as, got, err)
		}
	}
}

func TestForwardingIsDecidedOnThreeLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server          bool
		domain, account store.Choice
		want            bool
	}{
		{true, store.Inherit, store.Inherit, true}, {false, store.Inherit, store.Inherit, false},
		{true, store.No, store.Inherit, false}, {false, store.Yes, store.Inherit, true},
		{true, store.Yes, store.No, false}, {false, store.No, store.Yes, true},
	} {
		h := newHouse(t)
		h.must(t, h.AddDomain(t.Context(), store.DomainRow{Name: "three.test", Forwarding: c.domain}))
		h.account(t, "bob@three.test x@ours.test", forwards(t, true, "bob@far.test"), func(n *NewAccount) { n.Forwarding = c.account })
		h.alias(t, "out@three.test", "bob@far.test") // an administrator's: not concerned
		h.settings.Forwarding = !c.server
		h.where(t, "x@ours.test") // kept, and forgotten when the setting changes
		h.settings.Forwarding = c.server
		want := map[bool]string{true: "local >bob@far.test", false: "local bob@three.test"}[c.want]
		if got := h.where(t, "x@ours.test"); got != want {
			t.Errorf("%+v: %s", c, got)
		}
		if got := h.where(t, "out@three.test"); got != "local >bob@far.test" {
			t.Errorf("%+v: the alias: %s", c, got)
		}
		row, err := h.AccountOf(t.Context(), addr(t, "x@ours.test"))
		if err != nil || len(row.Forward) != 1 {
			t.Errorf("the address is gone: %+v, %v", row, err)
		}
		if may, err := h.MayForward(t.Context(), row); err != nil || may != c.want {
			t.Errorf("%+v: may %v, %v", c, may, err)
		}
	}
}

func TestForwardAddressesAreChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var many []string
	for i := range maxForward + 1 {
		many = append(many, fmt.Sprintf("f%d@far.test", i))
	}
	for to, want := range map[string]string{
		strings.Join(many, " "):     "at most 10",
		"NEW@ours.test":             "own address",
		"a@far.test A@far.test":     "twice",
		"nobody":                    "name@domain",
		"a@[192.0.2.1] b@ours.test": "",
	} {
		_, err := h.AddAccount(t.Context(), NewAccount{AccountRow: store.AccountRow{Addresses: addrs(t, "new@ours.test"), Forward: addrs(t, to)}})
		if want == "" && err != nil || want != "" && (!errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// A long chain of forwarding ends at the account where it gets too long.
func TestAChainOfForwardingIsNoErrorOfTheSender(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range MaxNesting + 5 {
		h.account(t, fmt.Sprintf("c%d@ours.test", i), forwards(t, true, fmt.Sprintf("c%d@ours.test", i+1)))
	}
	if got := h.where(t, "c0@ours.test"); got != "local c10@ours.test" {
		t.Error(got)
	}
}

func TestReturnsLeadToTheSender(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "root@ours.test", admin)
	bob := h.account(t, "bob@ours.test")
	h.must(t, h.AddDomain(t.Context(), store.DomainRow{Name: "all.test", CatchAll: addr(t, "bob@ours.test")}))
	h.account(t, "srs0=mine@ours.test")
	if got := h.where(t, "SRS0=good@ours.test"); got != "unknown" {
		t.Errorf("before anybody takes returns: %s", got)
	}
	h.TakeReturns(func(a mail.Address) (mail.Address, error) {
		switch strings.ToLower(a.Local) {
		case "srs0=good", "srs0=mine":
			return mail.Address{Local: "alice", Domain: "sender.test"}, nil
		case "srs0=own":
			return mail.Address{Local: "bob", Domain: "ours.test"}, nil
		case "srs-team":
			return mail.Address{}, ErrNotReturn
		}
		return mail.Address{}, errors.New("forged")
	})
	for in, want := range map[string]string{
		"SRS0=good@ours.test":    "local >alice@sender.test",
		"srs0=good@MX.host.test": "local >alice@sender.test",
		"SRS0=good@all.test":     "local >alice@sender.test",
		"SRS0=own@ours.test":     "local bob@ours.test",
		"SRS0=mine@ours.test":    "local srs0=mine@ours.test", // somebody has it
		"SRS0=bad@ours.test":     "unknown",
		"SRS0=bad@all.test":      "unknown", // no catch-all takes a forged one
		"SRS0=bad@mx.host.test":  "unknown",
		"SRS0=good@far.test":     "elsewhere",
		"SRS0=good@off.test":     "domain disabled",
		"srs-team@all.test":      "local bob@ours.test",
		"srs-team@ours.test":     "unknown",
	} {
		if got := h.where(t, in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if own, err := h.OwnsSender(t.Context(), bob, addr(t, "SRS0=own@ours.test")); err != nil || own {
		t.Errorf("a reverse-path of ours is somebody's sender: %v, %v", own, err)
	}
	if local, err := h.IsLocalSender(t.Context(), addr(t, "SRS0=good@ours.test")); err != nil || local {
		t.Errorf("a reverse-path of ours needs a login: %v, %v", local, err)
	}
}
