package route

import (
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	var a mail.Address
	if err := a.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return a
}

func table(t testing.TB, s RelaySettings, rules ...Rule) *Table {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	tab, err := NewTable(&s, "", rules)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func via(host string) *Relay { return &Relay{Hosts: []string{host}, Port: 25} }

func direct() RelaySettings { return setting.Defaults[RelaySettings](setting.Recommended) }

func smart() RelaySettings {
	s := direct()
	s.Mode, s.Hosts, s.Port = "relay", []string{"Smart.Example.ORG", "2001:db8::25"}, 587
	return s
}

func TestTheGeneralModeDecidesWithoutRules(t *testing.T) {
	t.Parallel()
	d := table(t, direct()).Explain(addr(t, "a@here.test"), addr(t, "b@far.test"))
	if d.Destination.Key != "far.test" || d.Destination.Domain != "far.test" || d.Destination.Relay != nil {
		t.Errorf("%+v", d)
	}
	if d.Why != "Mail for b@far.test goes directly to the mail servers of far.test, because no rule matches and the general mode is direct." {
		t.Error(d.Why)
	}
	d = table(t, smart()).Explain(addr(t, ""), addr(t, "b@[192.0.2.7]"))
	if d.Destination.Key != "relay smart.example.org:587,[2001:db8::25]:587" || d.Destination.Domain != "" || d.Destination.Rule != "" {
		t.Errorf("%+v", d)
	}
	if !strings.Contains(d.Why, "through the relay host smart.example.org:587") || !strings.HasSuffix(d.Why, "general mode is relay.") {
		t.Error(d.Why)
	}
}

func TestRulesTakePrecedenceInTheirOrder(t *testing.T) {
	t.Parallel()
	tab := table(t, smart(),
		Rule{Name: "off", Kind: ByRecipient, Disabled: true, Targets: []string{"far.test"}, Relay: via("off.test")},
		Rule{Name: "bulk", Kind: BySender, Targets: []string{"news@here.test", "shop.test"}, Relay: via("bulk.test")},
		Rule{Name: "below", Kind: ByRecipient, Targets: []string{".far.test"}, Relay: via("below.test")},
		Rule{Name: "deeper", Kind: ByRecipient, Targets: []string{".eu.far.test", "münchen.test", ".eu.wide.test"}, Relay: via("deeper.test")},
		Rule{Name: "domain", Kind: ByRecipient, Targets: []string{"far.test", "main.test"}, Relay: via("domain.test")},
		Rule{Name: "again", Kind: ByRecipient, Targets: []string{"far.test", "eu.far.test"}},
		Rule{Name: "one", Kind: ByRecipient, Targets: []string{"Bob@far.test"}, Relay: via("one.test")},
		Rule{Name: "wide", Kind: ByRecipient, Targets: []string{".wide.test"}, Relay: via("wide.test")},
		Rule{Name: "main", Kind: NextHop, Targets: []string{"main.test"}, Relay: via("10.0.0.9")},
		Rule{Name: "far", Kind: NextHop, Targets: []string{"inside.test"}},
		Rule{Name: "far", Kind: ByRecipient, Targets: []string{"inside.test"}, Relay: via("never.test")},
	)
	for _, c := range []struct{ sender, rcpt, rule, key string }{
		{"a@here.test", "bob@FAR.test", "one", "relay one.test:25 (one)"},
		{"a@here.test", "carol@far.test", "domain", "relay domain.test:25 (domain)"},
		{"a@here.test", "x@eu.far.test", "again", "eu.far.test"}, // exact before .domain
		{"a@here.test", "x@de.eu.far.test", "below", "relay below.test:25 (below)"},
		{"a@here.test", "x@xn--mnchen-3ya.test", "deeper", "relay deeper.test:25 (deeper)"},
		{"a@here.test", "x@de.eu.wide.test", "deeper", "relay deeper.test:25 (deeper)"}, // first in the list
		{"a@here.test", "x@de.wide.test", "wide", "relay wide.test:25 (wide)"},
		{"news@here.test", "carol@far.test", "domain", "relay domain.test:25 (domain)"}, // recipient before sender
		{"NEWS@here.test", "x@other.test", "bulk", "relay bulk.test:25 (bulk)"},
		{"x@shop.test", "x@other.test", "bulk", "relay bulk.test:25 (bulk)"},
		{"x@sub.shop.test", "x@other.test", "", "relay smart.example.org:587,[2001:db8::25]:587"},
		{"", "x@other.test", "", "relay smart.example.org:587,[2001:db8::25]:587"},
		{"", "x@main.test", "domain: main", "relay 10.0.0.9:25 (domain: main)"}, // a next hop before all
		{"a@here.test", "x@inside.test", "domain: far", "inside.test (inside)"}, // nor does the general mode concern it
		{"a@here.test", "x@notfar.test", "", "relay smart.example.org:587,[2001:db8::25]:587"},
	} {
		got := tab.Explain(addr(t, c.sender), addr(t, c.rcpt))
		if got.Destination.Rule != c.rule || got.Destination.Key != c.key {
			t.Errorf("%s to %s: rule %q, key %q", c.sender, c.rcpt, got.Destination.Rule, got.Destination.Key)
		}
		if c.rule != "" && !strings.Contains(got.Why, `"`+strings.TrimPrefix(c.rule, "domain: ")+`"`) {
			t.Errorf("%s to %s: %s", c.sender, c.rcpt, got.Why)
		}
	}
	why := tab.Explain(addr(t, "a@here.test"), addr(t, "x@de.eu.far.test")).Why
	if why != `Mail for x@de.eu.far.test goes through the relay host below.test:25, because the recipient rule "below" matches .far.test.` {
		t.Error(why)
	}
}

func TestMailboxesHereAreNobodysRoute(t *testing.T) {
	t.Parallel()
	tab := table(t, smart(), Rule{Name: "all", Kind: ByRecipient, Targets: []string{"here.test"}, Relay: via("x.test")})
	m := &store.QueueMessage{Sender: addr(t, "a@here.test")}
	if d := tab.For(m, store.QueueRecipient{Address: addr(t, "b@here.test"), Local: 7}); d != (Destination{}) {
		t.Errorf("%+v", d)
	}
	if d := tab.For(m, store.QueueRecipient{Address: addr(t, "b@here.test")}); d.Rule != "all" {
		t.Errorf("%+v", d)
	}
}

func TestRulesThatCannotBeObeyedAreRefused(t *testing.T) {
	t.Parallel()
	s := direct()
	for _, rules := range [][]Rule{
		{{Kind: ByRecipient}},
		{{Name: "a"}, {Name: "A"}},
		{{Name: "a", Kind: kinds}},
		{{Name: "a", Relay: &Relay{Port: 25}}},
		{{Name: "a", Relay: &Relay{Hosts: []string{"x.test"}}}},
		{{Name: "a", Targets: []string{"bob@"}}},
		{{Name: "a", Targets: []string{"."}}},
		{{Name: "a", Targets: []string{"far test"}}},
	} {
		if _, err := NewTable(&s, "", rules); err == nil {
			t.Errorf("taken: %+v", rules)
		}
	}
}

func TestRelaySettingsNameFieldAndRemedy(t *testing.T) {
	t.Parallel()
	secret := setting.NewSecret("x")
	for _, c := range []struct {
		change func(*RelaySettings)
		want   string // "": taken
	}{
		{func(*RelaySettings) {}, ""},
		{func(s *RelaySettings) { s.Hosts = nil }, "hosts: mode relay needs"},
		{func(s *RelaySettings) { s.Mode, s.Hosts = "direct", nil }, ""},
		{func(s *RelaySettings) { s.Hosts = []string{"a b"} }, `hosts: "a b" is no host`},
		{func(s *RelaySettings) { s.Hosts = []string{"smtp.example.net:587"} }, "hosts: "},
		{func(s *RelaySettings) { s.Hosts = []string{"192.0.2.300"} }, "hosts: "},
		{func(s *RelaySettings) { s.Hosts = []string{"fe80::1%eth0"} }, "hosts: "},
		{func(s *RelaySettings) { s.Hosts = []string{"[2001:db8::1"} }, "hosts: "},
		{func(s *RelaySettings) { s.Hosts = []string{"0.0.0.0"} }, "hosts: "},
		{func(s *RelaySettings) { s.Hosts = []string{"[IPv6:2001:db8::1]", "[192.0.2.1]", "localhost"} }, ""},
		{func(s *RelaySettings) { s.Port = 0 }, "port: "},
		{func(s *RelaySettings) { s.Port = 70000 }, "port: "},
		{func(s *RelaySettings) { s.User = "me" }, "password: "},
		{func(s *RelaySettings) { s.User, s.Password = "me", secret }, ""},
		{func(s *RelaySettings) { s.Fingerprint = "abc" }, "fingerprint: "},
		{func(s *RelaySettings) { s.Fingerprint = strings.Repeat("AB:", 31) + "ab" }, "fingerprint: without secure"},
		{func(s *RelaySettings) { s.Fingerprint, s.Secure = strings.Repeat("AB:", 31)+"ab", true }, ""},
		{func(s *RelaySettings) {
			s.Fingerprint, s.Secure, s.AnyCertificate = strings.Repeat("AB", 32), true, true
		}, "any_certificate: "},
	} {
		s := smart()
		c.change(&s)
		err := s.Validate()
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%+v: %v, want %q", s, err, c.want)
		}
	}
}

func TestTheRelayCarriesItsSettings(t *testing.T) {
	t.Parallel()
	s := smart()
	s.Hosts = []string{"[IPv6:2001:DB8::1]", "::ffff:192.0.2.1", "Mx.Example.NET"}
	s.Secure, s.User, s.Password, s.ClearLogin = true, "me", setting.NewSecret("pw"), true
	s.Fingerprint = strings.Repeat("AB:", 31) + "AB"
	r := table(t, s).Explain(mail.Address{}, addr(t, "b@far.test")).Destination.Relay
	if strings.Join(r.Hosts, " ") != "2001:db8::1 192.0.2.1 mx.example.net" || r.Port != 587 || !r.Secure || r.User != "me" ||
		r.Password != "pw" || !r.ClearLogin || r.AnyCertificate || r.Fingerprint != strings.Repeat("ab", 32) {
		t.Errorf("%+v", r)
	}
}

func TestTheSettingsCanBeDeclared(t *testing.T) {
	t.Parallel()
	h := setting.Register[RelaySettings](setting.NewRegistry(), "relay")
	if s := h.Get(); s.Mode != "direct" || s.Port != 25 {
		t.Errorf("%+v", s)
	}
}

func TestTheRouterFollowsTheSettings(t *testing.T) {
	t.Parallel()
	a, b := direct(), smart()
	now, unused := &a, map[string]string(nil)
	rules := &[]Rule{}
	r := NewRouter(func() (*RelaySettings, map[string]string) { return now, unused }, func() *[]Rule { return rules })
	key := func() string {
		t.Helper()
		tab, err := r.Table()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := r.Table(); again != tab {
			t.Error("the table is made anew without a change")
		}
		return tab.Explain(mail.Address{}, addr(t, "b@far.test")).Destination.Key
	}
	if got := key(); got != "far.test" {
		t.Error(got)
	}
	now = &b
	if got := key(); !strings.HasPrefix(got, "relay smart") {
		t.Error(got)
	}
	doubtful := b
	now, unused = &doubtful, map[string]string{"relay.password": "another key", "relay.user": "x"}
	if got := key(); got != Doubted("").Key {
		t.Error(got)
	}
	now, unused = &b, nil
	rules = &[]Rule{{Name: "r", Kind: ByRecipient, Targets: []string{"far.test"}}}
	if got := key(); got != "far.test" {
		t.Error(got)
	}
	rules = &[]Rule{{}}
	if _, err := r.Table(); err == nil {
		t.Error("a rule without name is taken")
	}
	if tab, err := NewRouter(func() (*RelaySettings, map[string]string) { return now, unused }, nil).Table(); err != nil || len(tab.rules) != 0 {
		t.Error(err)
	}
}

// FuzzHost sees that whatever is taken as a host is one, and stays the same
// when it is read again.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"smtp.example.net", "[IPv6:2001:db8::1]", "192.0.2.1", "::ffff:1.2.3.4", "a..b", "[x]", "ü.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := parseHost(s)
		if err != nil {
			return
		}
		if again, err := parseHost(host); err != nil || again != host {
			t.Errorf("%q became %q became %q, %v", s, host, again, err)
		}
		if strings.ContainsAny(host, " \r\n\x00,@[]") {
			t.Errorf("%q", host)
		}
	})
}

func TestMailForALostRelayHostDoesNotGoDirectly(t *testing.T) {
	t.Parallel()
	s := smart()
	s.Hosts = nil
	if _, err := NewTable(&s, "", nil); err == nil {
		t.Error("a relay without hosts became a direct way")
	}
}

// M-DEL-02, M-DEL-02c: what was to go through the relay, or with TLS only, waits
// when what says so cannot be read.
func TestMailWhoseWayIsInDoubtWaits(t *testing.T) {
	t.Parallel()
	login := smart()
	login.User = "me"
	anonymous := smart()
	anonymous.User = ""
	rule := Rule{Name: "near", Kind: ByRecipient, Targets: []string{"near.test"}}
	for name, c := range map[string]struct {
		s      RelaySettings
		unused []string
		waits  string
	}{
		"nothing":                   {login, nil, ""},
		"another group":             {login, []string{"queue.retry", "smtp.banner"}, ""},
		"the mode":                  {direct(), []string{"relay.mode"}, "relay.mode"},
		"everything":                {direct(), []string{"relay.hosts", "relay.mode", "relay.secure"}, "relay.hosts"},
		"no relay is used":          {direct(), []string{"relay.hosts", "relay.secure", "relay.password"}, ""},
		"the password":              {login, []string{"relay.password"}, "relay.password"},
		"the password of nobody":    {anonymous, []string{"relay.password"}, ""},
		"the user and the password": {anonymous, []string{"relay.password", "relay.user"}, "relay.password"},
		"the demand of TLS":         {anonymous, []string{"relay.secure"}, "relay.secure"},
	} {
		unused := map[string]string{}
		for _, field := range c.unused {
			unused[field] = "why"
		}
		tab, err := NewTable(&c.s, c.s.Doubt(unused), []Rule{rule})
		if err != nil {
			t.Fatal(err)
		}
		e := tab.Explain(mail.Address{}, addr(t, "b@far.test"))
		if got := e.Destination.Doubt; c.waits == "" && got != "" || c.waits != "" && got != c.waits+" cannot be used: why" {
			t.Errorf("%s: %+v", name, e)
		}
		if waits := e.Destination.Key == Doubted("").Key; waits != (c.waits != "") || waits != strings.Contains(e.Why, "waits in the queue") {
			t.Errorf("%s: %+v", name, e)
		}
		if near := tab.Explain(mail.Address{}, addr(t, "b@near.test")); near.Destination.Key != "near.test" {
			t.Errorf("%s: what has a rule of its own goes to %+v", name, near)
		}
	}
}

// FuzzTarget sees that a target in normal form stays as it is, and that a rule
// takes it.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"bob@far.test", "Far.Test", ".far.test", "münchen.test", "..", ".", "@", "a@[192.0.2.1]", `"a b"@far.test`, "[192.0.2.1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		if again, err := ParseTarget(target); err != nil || again != target {
			t.Errorf("%q became %q became %q, %v", s, target, again, err)
		}
		if err := new(matcher).add(target, 0); err != nil || strings.ContainsAny(target, "\r\n") {
			t.Errorf("%q became %q, %v", s, target, err)
		}
	})
}

// A key that a domain could have would send mail for the one to the other.
func TestNoDomainIsTakenForOurselves(t *testing.T) {
	for _, to := range []Destination{Ours(), Doubted("x")} {
		if d, err := mail.ParseDomain(to.Key); err == nil {
			t.Errorf("mail to somebody at %s would not go there", d)
		}
	}
}
