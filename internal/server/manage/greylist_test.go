package manage

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

func b4(ip string) netip.Prefix { return netip.PrefixFrom(netip.MustParseAddr(ip), 32) }

func TestGreylistedClientsAreFoundByAddressAndNetwork(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	rules := store.GreylistRules{Interval: time.Minute, Wait: time.Hour, Expiry: time.Hour}
	for _, key := range []string{"192.0.2.7", "198.51.100.0/24", "2001:db8::/64"} {
		if _, _, err := o.o.Store.Greylist().Attempt(t.Context(), store.GreylistRow{Key: key, Sender: "eve@away.test"}, time.Now(), rules); err != nil {
			t.Fatal(err)
		}
	}
	for ask, want := range map[string]string{"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "198.51.100.9": "198.51.100.0/24", "198.51.100.9/24": "198.51.100.0/24",
		"2001:db8::99": "2001:db8::/64", "192.0.2.8": ""} {
		g, err := do[GreylistClient](o, "greylist-show", GreylistInput{ask})
		if want == "" && !errors.Is(err, store.ErrNotFound) || want != "" && (err != nil || g.Client != want || g.Confirmed) {
			t.Errorf("%s: %+v, %v", ask, g, err)
		}
	}
	if _, err := do[GreylistClient](o, "greylist-show", GreylistInput{"away.test"}); !errors.Is(err, ErrInput) {
		t.Errorf("a name: %v", err)
	}
	if g, err := do[GreylistClient](o, "greylist-confirm", GreylistInput{"198.51.100.9"}); err != nil || !g.Confirmed || g.Client != "198.51.100.0/24" {
		t.Errorf("confirmed: %+v, %v", g, err)
	}
	o.o.GreylistKey = func(ip netip.Addr) string { p, _ := ip.Prefix(16); return p.String() }
	if g, err := do[GreylistClient](o, "greylist-confirm", GreylistInput{"203.0.113.9"}); err != nil || g.Client != "203.0.0.0/16" {
		t.Errorf("a stranger goes by the key of the setting: %+v, %v", g, err)
	}
	p, err := do[GreylistPage](o, "greylist-list", GreylistListInput{Confirmed: "yes", Paging: Paging{Limit: 1}})
	if err != nil || p.Total != 4 || p.Confirmed != 2 || len(p.Items) != 1 || p.Next == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := do[GreylistPage](o, "greylist-list", GreylistListInput{Confirmed: "maybe"}); !errors.Is(err, ErrInput) {
		t.Errorf("maybe: %v", err)
	}
	if _, err := do[None](o, "greylist-remove", GreylistInput{"2001:db8::1"}); err != nil {
		t.Error(err)
	}
	if _, err := do[None](o, "greylist-remove", GreylistInput{"2001:db8::1"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := do[GreylistForgotten](o, "greylist-reset", GreylistResetInput{}); !errors.Is(err, ErrInput) {
		t.Errorf("everybody, without confirming: %v", err)
	}
	if n, err := do[GreylistForgotten](o, "greylist-reset", GreylistResetInput{true}); err != nil || n.Forgotten != 3 {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestAnExceptionIsASubnetRule(t *testing.T) {
	t.Parallel()
	one, wide := b4("192.0.2.7"), netip.MustParsePrefix("192.0.2.0/24")
	for _, c := range []struct {
		have    string
		network netip.Prefix
		want    string
		err     string
	}{
		{"", one, "192.0.2.7/32=no-greylisting", ""},
		{"192.0.2.0/24=dial-up, 10.0.0.0/8=trusted", one, "192.0.2.0/24=dial-up, 10.0.0.0/8=trusted, 192.0.2.7/32=no-greylisting", ""},
		{`["192.0.2.0/24=dial-up"]`, one, "192.0.2.0/24=dial-up, 192.0.2.7/32=no-greylisting", ""},
		{"192.0.2.7=trusted, 192.0.2.0/24=dial-up", one, "", ""},
		{"192.0.2.0/24=no-greylisting-no-ban", wide, "", ""},
		{"192.0.2.0/24=dial-up", wide, "", "of class dial-up"},
		{"192.0.2.0/24=nonsense", wide, "", "nonsense"},
		{`["192.0.2.0/24`, wide, "", "policy.classes.subnets"},
	} {
		got, err := withException(c.have, c.network)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s and %s: %s, %v", c.have, c.network, got, err)
		}
	}
}
