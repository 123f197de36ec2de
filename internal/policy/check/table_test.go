package check

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

func defaults() *Settings {
	s := setting.Defaults[Settings](setting.Recommended)
	return &s
}

func TestEveryProfileIsValid(t *testing.T) {
	for _, p := range []setting.Profile{setting.Recommended, setting.Factory, setting.Trial} {
		s := setting.Defaults[Settings](p)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestTableIsInTheOrderOfASessionAndComplete(t *testing.T) {
	seen := map[string]bool{}
	last := policy.Connect
	for _, e := range Table(defaults()) {
		if e.Stage < last || seen[e.Name] {
			t.Errorf("%s: out of order or twice", e.Name)
		}
		last, seen[e.Name] = e.Stage, true
		if e.Doc == "" || e.Setting == "" || len(e.IDs) == 0 || len(e.Replies) == 0 || e.Check == nil || e.Worst == policy.Pass && !e.Fixed && e.Name != "junk-filter" {
			t.Errorf("%s: something is missing", e.Name)
		}
		if e.Fixed && e.Mode != policy.Enforce {
			t.Errorf("%s: fixed and not enforced", e.Name)
		}
	}
}

func TestWorldIsNeverTrusted(t *testing.T) {
	for _, c := range []struct {
		clients, local string
		public, ok     bool
	}{
		{"0.0.0.0/0", "", false, false},
		{"::/0", "", false, false},
		{"8.8.8.8/32", "", false, true},
		{"", "0.0.0.0/0", true, false},
		{"", "::/0", true, false},
		{"", "8.8.8.0/24", false, false},
		{"", "8.8.8.0/24", true, true},
		{"", "10.0.0.0/8", false, true},
		{"", "10.0.0.0/7", false, false},
		{"", "fd00::/16", false, true},
		{"", "2001:db8::/32", false, false},
	} {
		s := defaults()
		s.Trust.PublicNetworks = c.public
		if c.clients != "" {
			s.Trust.Clients = []TrustedClient{{Network: netip.MustParsePrefix(c.clients)}}
		}
		if c.local != "" {
			s.Trust.LocalNetworks = []netip.Prefix{netip.MustParsePrefix(c.local)}
		}
		if err := s.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestMappedAddressIsTheIPv4Address(t *testing.T) {
	s := defaults()
	s.Trust.Clients = []TrustedClient{{"office", netip.MustParsePrefix("192.0.2.0/24")}}
	f := &policy.Facts{Listener: "smtp", Client: netip.MustParseAddr("::ffff:192.0.2.7")}
	if s.Rules().Classify(f); f.Trust != policy.TrustedList {
		t.Error(f.Trust)
	}
}

func TestLocalNetworksAreThoseOfTheMachineAndThoseAdded(t *testing.T) {
	s := defaults()
	s.Trust.Local = true
	s.Trust.LocalNetworks = []netip.Prefix{netip.MustParsePrefix("172.16.5.0/24")}
	machine := []netip.Prefix{netip.MustParsePrefix("192.168.1.17/24"), netip.MustParsePrefix("203.0.113.9/24"), netip.MustParsePrefix("127.0.0.1/8")}
	for client, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "192.168.1.200": true, "192.168.2.1": false, "172.16.5.1": true, "203.0.113.1": false,
	} {
		f := &policy.Facts{Listener: "submission", Client: netip.MustParseAddr(client)}
		s.Rules(machine...).Classify(f)
		if got := f.Kind == policy.Trusted && f.Trust == policy.LocalNetwork; got != want {
			t.Errorf("%s: %v %v", client, f.Kind, f.Trust)
		}
	}
	if got := fmt.Sprint(s.Trust.Networks(machine)); got != "[127.0.0.0/8 172.16.5.0/24 192.168.1.0/24 ::1/128]" {
		t.Error(got)
	}
	s.Trust.PublicNetworks = true
	if got := fmt.Sprint(s.Trust.Networks(machine)); got != "[127.0.0.0/8 172.16.5.0/24 192.168.1.0/24 203.0.113.0/24 ::1/128]" {
		t.Error(got)
	}
}

func TestAnnouncedLimitsFollowTheSession(t *testing.T) {
	s := defaults()
	s.Size = Size{Inbound: 10, Outbound: 20, Cap: 15}
	s.Recipients.Inbound, s.Recipients.Outbound = 5, 3
	for _, c := range []struct {
		kind  policy.Kind
		trust policy.Trust
		size  unit.Size
		rcpt  int
	}{
		{policy.MX, policy.Untrusted, 10, 5},
		{policy.Submission, policy.Untrusted, 15, 3},
		{policy.Trusted, policy.TrustedList, 15, 3},
		{policy.Trusted, policy.TrustedClass, 15, 0},
	} {
		if l := s.Limits(c.kind, c.trust); l.Size != c.size || l.Recipients != c.rcpt || !l.Auth {
			t.Errorf("%v, %v: %+v", c.kind, c.trust, l)
		}
	}
	s.Size = Size{Inbound: 10}
	if l := s.Limits(policy.Trusted, policy.TrustedList); l.Size != 0 {
		t.Errorf("%+v", l)
	}
}

func TestRefusalsNameTheSettingToChange(t *testing.T) {
	s := defaults()
	p := policy.NewPipeline(s.Rules())
	f := &policy.Facts{DeclaredSize: 1 << 40, Sources: policy.Sources{Senders: world{}}}
	d := p.Judge(context.Background(), policy.Mail, f)
	if d.Setting != "policy.size.inbound" || d.Reason == "" || strings.Contains(d.Reply.String(), "policy.") {
		t.Errorf("%q %q", d.Reason, d.Reply)
	}
}

// BenchmarkMessage judges a whole message that passes every check.
func BenchmarkMessage(b *testing.B) {
	s := defaults()
	p := policy.NewPipeline(s.Rules())
	ctx := context.Background()
	f := &policy.Facts{
		Client: netip.MustParseAddr("192.0.2.1"), Listener: "smtp", Sources: policy.Sources{Usage: world{}, Senders: world{}},
		Sender: mail.Address{Local: "eve", Domain: "away.test"}, Recipient: mail.Address{Local: "bob", Domain: "example.test"},
		DeclaredSize: 2000, Size: 2000, Hops: 2, From: []mail.Address{{Local: "eve", Domain: "away.test"}},
	}
	f.Resolution = resolve(f.Recipient)
	b.ReportAllocs()
	for b.Loop() {
		for _, stage := range []policy.Stage{policy.Mail, policy.Rcpt, policy.Data, policy.Content} {
			if d := p.Judge(ctx, stage, f); d.Action != policy.Pass {
				b.Fatal(d)
			}
		}
	}
}
