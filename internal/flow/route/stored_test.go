package route

import (
	"errors"
	"strings"
	"testing"

	"posthorn/internal/state/store"
)

func TestStoredRulesBecomeRules(t *testing.T) {
	t.Parallel()
	lost := errors.New("another key")
	open := func(rule, sealed string) (string, error) {
		if sealed != "sealed:"+rule {
			return "", lost
		}
		return "secret", nil
	}
	host := func(user, password string) store.RelayHost {
		return store.RelayHost{Hosts: []string{"smart.test"}, Port: 587, Secure: true, Fingerprint: "ab", User: user, Password: password}
	}
	rules, err := Stored([]store.RelayDomain{
		{Name: "inside", Domain: ".main.test"}, {Name: "fixed", Domain: "fixed.test", Next: host("", ""), Disabled: true},
	}, []store.RelayRule{
		{Name: "r", Targets: []string{"a@far.test"}, Host: host("me", "sealed:r")},
		{Name: "s", BySender: true, Targets: []string{"bulk.test"}, Host: host("me", "sealed:moved")},
		{Name: "direct", Targets: []string{"near.test"}},
	}, open)
	if !errors.Is(err, lost) || len(rules) != 5 {
		t.Fatalf("%+v, %v", rules, err)
	}
	tab := table(t, smart(), rules...)
	for _, c := range []struct{ sender, rcpt, key, password string }{
		{"", "x@de.main.test", "de.main.test (inside)", ""},
		{"", "x@fixed.test", "relay domain fixed (disabled)", ""}, // nor does what was accepted for it
		{"", "a@far.test", "relay smart.test:587 (r)", "secret"},
		{"x@bulk.test", "x@else.test", "relay smart.test:587 (s)", ""}, // it does not go another way
		{"x@bulk.test", "x@near.test", "near.test", ""},
	} {
		d := tab.Explain(addr(t, c.sender), addr(t, c.rcpt)).Destination
		if d.Suspended != strings.HasSuffix(c.key, "(disabled)") || d.Key != c.key || d.Inside != strings.HasSuffix(c.key, "(inside)") || d.Relay != nil && d.Relay.Password != c.password {
			t.Errorf("%+v: %+v", c, d)
		}
	}
	if r := rules[2].Relay; !r.Secure || r.Fingerprint != "ab" || r.User != "me" || r.Port != 587 {
		t.Errorf("%+v", r)
	}
}

// The order is that of the directory, which says whether mail is accepted.
func TestADisabledRelayDomainMakesMailWaitUnlessAnotherTakesIt(t *testing.T) {
	t.Parallel()
	rules, err := Stored([]store.RelayDomain{
		{Name: "sub", Domain: "sub.far.test", Disabled: true}, {Name: "below", Domain: ".far.test"},
		{Name: "near", Domain: ".near.test", Disabled: true},
	}, []store.RelayRule{{Name: "r", Targets: []string{"x.near.test"}, Host: store.RelayHost{Hosts: []string{"smart.test"}, Port: 25}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tab := table(t, smart(), rules...)
	for rcpt, want := range map[string]string{
		"a@sub.far.test": "sub.far.test (inside)",
		"a@x.near.test":  "relay domain near (disabled)",
		"a@near.test":    "relay smart.example.org:587,[2001:db8::25]:587",
	} {
		e := tab.Explain(addr(t, ""), addr(t, rcpt))
		if e.Destination.Key != want || e.Destination.Suspended != strings.Contains(e.Why, `waits in the queue, because the relay domain "near" is disabled and matches .near.test`) {
			t.Errorf("%s: %+v", rcpt, e)
		}
	}
}
