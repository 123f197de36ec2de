package directory

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/store"
)

func TestRelayDomainsAndTheirRecipients(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	listed := store.RelayDomain{Name: "listed", Domain: "listed.test", Listed: true}
	below := store.RelayDomain{Name: "below", Domain: ".wide.test"}
	h.must(t, h.AddRelayDomain(ctx, listed))
	h.must(t, h.AddRelayDomain(ctx, below))
	h.must(t, h.AddRelayDomain(ctx, store.RelayDomain{Name: "off", Domain: "idle.test", Disabled: true}))
	h.must(t, h.AddRelayDomain(ctx, store.RelayDomain{Name: "deeper", Domain: ".eu.wide.test", Listed: true}))
	h.must(t, h.AddDomain(ctx, store.DomainRow{Name: "own.wide.test"}))
	h.must(t, h.ChangeRelayRecipients(ctx, listed, addrs(t, "Ann@listed.test bob@listed.test"), nil))
	want := map[string]string{
		"x@relay.test": "relay", "x@sub.relay.test": "elsewhere", "ANN@listed.test": "relay", "eve@listed.test": "unknown",
		"postmaster@listed.test": "relay", "x@wide.test": "elsewhere", "x@a.wide.test": "relay", "x@a.b.wide.test": "relay",
		"x@own.wide.test": "unknown", "x@de.eu.wide.test": "unknown", "x@eu.wide.test": "relay", "x@idle.test": "elsewhere", "x@[192.0.2.1]": "elsewhere",
	}
	for range 2 {
		for in, want := range want {
			if got := h.where(t, in); got != want {
				t.Errorf("%s: %s, want %s", in, got, want)
			}
		}
	}
	h.must(t, h.ChangeRelayRecipients(ctx, listed, addrs(t, "eve@listed.test"), addrs(t, "ann@listed.test")))
	if a, b := h.where(t, "ann@listed.test"), h.where(t, "eve@listed.test"); a != "unknown" || b != "relay" {
		t.Errorf("after a change: %s, %s", a, b)
	}
	h.must(t, h.ChangeRelayDomain(ctx, "LISTED", func(d *store.RelayDomain) error { d.Listed = false; return nil }))
	if got := h.where(t, "ann@listed.test"); got != "relay" {
		t.Errorf("accept-all: %s", got)
	}
	h.must(t, h.RemoveRelayDomain(ctx, "LISTED"))
	if got := h.where(t, "ann@listed.test"); got != "elsewhere" {
		t.Errorf("a removed one: %s", got)
	}
}

func TestADomainIsHostedOrRelayed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	for name, c := range map[string]struct {
		err  error
		kind error
		want string
	}{
		"host a relayed one":  {h.AddDomain(ctx, store.DomainRow{Name: "relay.test"}), store.ErrInvalid, `is a relay domain (rule "main"); remove the rule first`},
		"relay a hosted one":  {h.AddRelayDomain(ctx, store.RelayDomain{Name: "x", Domain: "ours.test"}), store.ErrInvalid, "ours.test is hosted here; remove the domain first"},
		"relay it twice":      {h.AddRelayDomain(ctx, store.RelayDomain{Name: "x", Domain: "relay.test"}), store.ErrExists, `has the rule "main"`},
		"name twice":          {h.AddRelayDomain(ctx, store.RelayDomain{Name: "MAIN", Domain: "y.test"}), store.ErrExists, "MAIN"},
		"domain":              {h.AddRelayDomain(ctx, store.RelayDomain{Name: "x", Domain: "Y.test"}), store.ErrInvalid, "normal form"},
		"name":                {h.AddRelayDomain(ctx, store.RelayDomain{Name: "a/b", Domain: "y.test"}), store.ErrInvalid, "rule name"},
		"no name":             {h.AddRelayDomain(ctx, store.RelayDomain{Domain: "y.test"}), store.ErrInvalid, "rule name"},
		"set an unknown one":  {h.ChangeRelayDomain(ctx, "x", func(*store.RelayDomain) error { return nil }), store.ErrNotFound, "x"},
		"make it hosted":      {h.ChangeRelayDomain(ctx, "main", func(d *store.RelayDomain) error { d.Domain = "ours.test"; return nil }), store.ErrInvalid, "hosted"},
		"remove unknown":      {h.RemoveRelayDomain(ctx, "x"), store.ErrNotFound, "x"},
		"strange recipient":   {h.ChangeRelayRecipients(ctx, store.RelayDomain{Name: "main", Domain: "relay.test"}, addrs(t, "a@far.test"), nil), store.ErrInvalid, "not in relay.test"},
		"recipient of no one": {h.ChangeRelayRecipients(ctx, store.RelayDomain{Name: "x", Domain: "relay.test"}, addrs(t, "a@relay.test"), nil), store.ErrNotFound, "x"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// Two administrators change one relay domain: what each has changed stays, and
// one that was removed meanwhile does not come back.
func TestChangesOfOneRelayDomainAreNotLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	calls := 0
	h.must(t, h.ChangeRelayDomain(ctx, "main", func(d *store.RelayDomain) error {
		if calls++; calls == 1 { // somebody else, in between
			h.must(t, h.ChangeRelayDomain(ctx, "Main", func(d *store.RelayDomain) error { d.Disabled = true; return nil }))
		}
		d.Next = store.RelayHost{Hosts: []string{"mx.relay.test"}, Port: 25}
		return nil
	}))
	d, err := h.RelayDomain(ctx, "main")
	if h.must(t, err); !d.Disabled || len(d.Next.Hosts) != 1 || calls != 2 {
		t.Errorf("after %d calls: %+v", calls, d)
	}
	err = h.ChangeRelayDomain(ctx, "main", func(d *store.RelayDomain) error {
		if _, err := h.RelayDomain(ctx, "main"); err == nil {
			h.must(t, h.RemoveRelayDomain(ctx, "main"))
		}
		return nil
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a change of one that was removed: %v", err)
	}
}

func TestRoutesAreTheSameUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	now := func() *Routes {
		t.Helper()
		r, err := h.Routes(ctx)
		h.must(t, err)
		return r
	}
	one := now()
	if again := now(); again != one || len(one.Domains) != 1 || len(one.Rules) != 0 {
		t.Errorf("%+v, then %+v", one, again)
	}
	add := func(r store.RelayRule) error {
		return h.ChangeRules(ctx, func(all []store.RelayRule) ([]store.RelayRule, error) { return append(all, r), nil })
	}
	h.must(t, add(store.RelayRule{Name: "bulk", BySender: true, Targets: []string{"shop.test"}}))
	if two := now(); two == one || len(two.Rules) != 1 || !two.Rules[0].BySender {
		t.Errorf("%+v", two)
	}
	for r, want := range map[*store.RelayRule]error{
		{Name: "BULK", Targets: []string{"a.test"}}: store.ErrExists, {Name: "none"}: store.ErrInvalid, {Name: "a:b", Targets: []string{"a.test"}}: store.ErrInvalid,
	} {
		if err := add(*r); !errors.Is(err, want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	// Somebody's change in between is not lost.
	first := true
	h.must(t, h.ChangeRules(ctx, func(all []store.RelayRule) ([]store.RelayRule, error) {
		if first {
			first = false
			h.must(t, add(store.RelayRule{Name: "between", Targets: []string{"b.test"}}))
		}
		return append(all, store.RelayRule{Name: "last", Targets: []string{"l.test"}}), nil
	}))
	if all := now().Rules; len(all) != 3 || all[1].Name != "between" || all[2].Name != "last" {
		t.Errorf("%+v", all)
	}
}

// crowded is a store that others change so many times between reading and
// writing.
type crowded struct {
	store.Directory
	others, tries int
}

func (c *crowded) Version(context.Context) (int64, error)                    { return int64(c.tries), nil }
func (c *crowded) RelayDomains(context.Context) ([]store.RelayDomain, error) { return nil, nil }
func (c *crowded) PutRelayDomain(context.Context, int64, store.RelayDomain) error {
	if c.tries++; c.tries <= c.others {
		return store.ErrConflict
	}
	return nil
}

func TestAChangeIsPatientWhileTheDirectoryIsBusy(t *testing.T) {
	t.Parallel()
	add := func(c *crowded, limit time.Duration) (took time.Duration, err error) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		start := time.Now()
		err = New(c, Options{Settings: func() *Settings { return &Settings{} }}).AddRelayDomain(ctx, store.RelayDomain{Name: "main", Domain: "main.test"})
		return time.Since(start), err
	}
	synctest.Test(t, func(t *testing.T) {
		if took, err := add(&crowded{others: 30}, time.Hour); err != nil || took == 0 {
			t.Errorf("%v after %v", err, took)
		}
		busy := &crowded{others: 1 << 30}
		if took, err := add(busy, time.Hour); !errors.Is(err, store.ErrConflict) || took > 10*time.Second || busy.tries > 100 {
			t.Errorf("%v after %v, tried %d times", err, took, busy.tries)
		}
		if took, err := add(&crowded{others: 1 << 30}, 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || took != 100*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
	})
}
