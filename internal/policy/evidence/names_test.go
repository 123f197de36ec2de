package evidence

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
)

// resolver asks one authority without sockets.
func resolver(a *authority.Authority) *dns.Resolver {
	return dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
}

func names(a *authority.Authority) *Names { return NewNames(NameOptions{Resolver: resolver(a)}) }

var (
	v4 = netip.MustParseAddr("192.0.2.1")
	v6 = netip.MustParseAddr("2001:db8::1")
)

// pointer is a PTR record of an address.
func pointer(ip netip.Addr, to string) string {
	name, _ := mdns.ReverseAddr(ip.String())
	return name + " PTR " + to + ".\n"
}

// servfail is the behaviour of a broken server.
var servfail = authority.Behaviour{Rcode: mdns.RcodeServerFailure}

func TestReverseNamesMustLeadBack(t *testing.T) {
	t.Parallel()
	many := ""
	for i := range 40 {
		many += pointer(v4, fmt.Sprintf("n%02d.example.org", i))
	}
	for name, c := range map[string]struct {
		client netip.Addr
		zone   string
		broken string
		want   string
	}{
		"leads back":             {v4, pointer(v4, "MX.example.org") + "mx.example.org. A 192.0.2.9\nmx.example.org. A 192.0.2.1", "", "found mx.example.org"},
		"IPv6":                   {v6, pointer(v6, "mx.example.org") + "mx.example.org. AAAA 2001:db8::1\nmx.example.org. A 192.0.2.1", "", "found mx.example.org"},
		"IPv4 mapped":            {netip.MustParseAddr("::ffff:192.0.2.1"), pointer(v4, "mx.example.org") + "mx.example.org. A 192.0.2.1", "", "found mx.example.org"},
		"zone of an interface":   {v6.WithZone("eth0"), pointer(v6, "mx.example.org") + "mx.example.org. AAAA 2001:db8::1", "", "found mx.example.org"},
		"through an alias":       {v4, pointer(v4, "mx.example.org") + "mx.example.org. CNAME a.example.org.\na.example.org. A 192.0.2.1", "", "found mx.example.org"},
		"no PTR":                 {v4, "", "", "absent"},
		"name without address":   {v4, pointer(v4, "mx.example.org"), "", "astray mx.example.org"},
		"address of another":     {v4, pointer(v4, "mx.example.org") + "mx.example.org. A 192.0.2.9", "", "astray mx.example.org"},
		"other kind of address":  {v4, pointer(v4, "mx.example.org") + "mx.example.org. AAAA 2001:db8::1", "", "astray mx.example.org"},
		"the second leads back":  {v4, pointer(v4, "a.example.org") + pointer(v4, "b.example.org") + "b.example.org. A 192.0.2.1", "", "found b.example.org"},
		"always the same":        {v4, pointer(v4, "b.example.org") + pointer(v4, "a.example.org") + "b.example.org. A 192.0.2.1\na.example.org. A 192.0.2.1", "", "found a.example.org"},
		"the tenth":              {v4, many + "n09.example.org. A 192.0.2.1", "", "found n09.example.org"},
		"the eleventh":           {v4, many + "n10.example.org. A 192.0.2.1", "", "astray n00.example.org"},
		"PTR fails":              {v4, pointer(v4, "mx.example.org"), "1.2.0.192.in-addr.arpa", "failed"},
		"name fails":             {v4, pointer(v4, "mx.example.org"), "mx.example.org", "failed mx.example.org"},
		"one fails, one is fine": {v4, pointer(v4, "a.example.org") + pointer(v4, "b.example.org") + "b.example.org. A 192.0.2.1", "a.example.org", "found b.example.org"},
		"PTR is no host name":    {v4, pointer(v4, `a\032b`), "", "failed"},
		"this machine, no DNS":   {netip.MustParseAddr("127.0.0.1"), "", "1.0.0.127.in-addr.arpa", "found localhost"},
		"this machine by IPv6":   {netip.IPv6Loopback(), "", "", "found localhost"},
		"no address":             {netip.Addr{}, "", "", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := authority.New(t, c.zone)
			if c.broken != "" {
				a.Behave(c.broken, servfail)
			}
			got := names(a).Reverse(t.Context(), c.client)
			if text := roundTrip(t, got, &policy.Reverse{}); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
			if n := a.Queries("*", mdns.TypeA) + a.Queries("*", mdns.TypeAAAA); n > maxNames*2 { // a failure is asked twice
				t.Errorf("%d names were asked for", n)
			}
		})
	}
}

func TestDomainsCanBeReachedByMail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ domain, zone, broken, want string }{
		"MX":               {"example.org", "example.org. MX 10 mx.example.org.", "", "found"},
		"MX and null MX":   {"example.org", "example.org. MX 10 mx.example.org.\nexample.org. MX 0 .", "", "found"},
		"A":                {"example.org", "example.org. A 192.0.2.1", "", "found"},
		"AAAA":             {"example.org", "example.org. AAAA 2001:db8::1", "", "found"},
		"final dot, case":  {"EXAMPLE.org.", "example.org. A 192.0.2.1", "", "found"},
		"IDN":              {"bücher.example", "xn--bcher-kva.example. A 192.0.2.1", "", "found"},
		"alias":            {"a.example.org", "a.example.org. CNAME b.example.org.\nb.example.org. MX 1 mx.example.org.", "", "found"},
		"literal":          {"[192.0.2.1]", "", "", "found"},
		"literal, IPv6":    {"[IPv6:2001:db8::1]", "", "", "found"},
		"nothing":          {"example.org", "", "", "absent"},
		"other records":    {"example.org", "example.org. TXT x", "", "absent"},
		"null MX":          {"example.org", "example.org. MX 0 .\nexample.org. A 192.0.2.1", "", "astray null-mx"},
		"MX is an address": {"example.org", "example.org. MX 10 192.0.2.1.\nexample.org. A 192.0.2.1", "", "astray"},
		"MX of numbers":    {"example.org", "example.org. MX 10 mail.123.", "", "astray"},
		"MX with hyphen":   {"example.org", "example.org. MX 10 -.example.org.", "", "astray"},
		"one MX of two":    {"example.org", "example.org. MX 10 192.0.2.1.\nexample.org. MX 20 mx.example.org.", "", "found"},
		"garbage MX":       {"example.org", "example.org. MX 10 a\\032b.example.org.", "", "failed"},
		"no domain name":   {"a..b", "", "", "absent"},
		"line break":       {"a\r\nb.example.org", "", "", "absent"},
		"empty":            {"", "", "", "absent"},
		"very long":        {strings.Repeat("a.", 200) + "org", "", "", "absent"},
		"servers fail":     {"example.org", "example.org. A 192.0.2.1", "example.org", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := authority.New(t, c.zone)
			if c.broken != "" {
				a.Behave(c.broken, servfail)
			}
			if text := roundTrip(t, names(a).Domain(t.Context(), c.domain), &policy.Existence{}); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
		})
	}
}

// One kind of address is enough to be reached, though the other is not known.
func TestHalfAnAnswerShowsThatADomainExists(t *testing.T) {
	t.Parallel()
	a := authority.New(t, "example.org. A 192.0.2.1")
	a.Behave("example.org", authority.Behaviour{Answer: func(m *mdns.Msg) {
		if m.Question[0].Qtype == mdns.TypeAAAA {
			m.Rcode, m.Answer, m.Ns = mdns.RcodeServerFailure, nil, nil
		}
	}})
	if got := names(a).Domain(t.Context(), "example.org"); got.Finding != policy.Found {
		t.Errorf("%+v", got)
	}
}

// Whatever a server does, answers come in time, and nothing is held against the
// client or the domain.
func TestHostileDNSIsAFailureInTime(t *testing.T) {
	t.Parallel()
	loop := pointer(v4, "a.example.org") + "a.example.org. CNAME b.example.org.\nb.example.org. CNAME a.example.org.\n1.2.0.192.bl.example.org. CNAME a.example.org."
	for name, b := range map[string]authority.Behaviour{
		"silence":    {Drop: true},
		"slow":       {Delay: time.Hour},
		"garbage":    {Garbage: true},
		"SERVFAIL":   {Rcode: mdns.RcodeServerFailure},
		"REFUSED":    {Rcode: mdns.RcodeRefused},
		"NOTIMP":     {Rcode: mdns.RcodeNotImplemented},
		"endless":    {Endless: true},
		"a stranger": {Stranger: true},
		"huge": {Answer: func(m *mdns.Msg) {
			for i := range 600 {
				m.Answer = append(m.Answer, &mdns.A{Hdr: mdns.RR_Header{Name: m.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 1}, A: []byte{127, 0, byte(i >> 8), byte(i)}})
			}
		}},
		"a circle": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := authority.New(t, loop)
				if name != "a circle" {
					a.Behave("*", b)
				}
				n := names(a)
				start := time.Now()
				within := func(d time.Duration, what string, got policy.Finding) {
					t.Helper()
					if got != policy.Failed {
						t.Errorf("%s: %v", what, got)
					}
					if took := time.Since(start); took > d {
						t.Errorf("%s took %v", what, took)
					}
					start = time.Now()
				}
				within(10*time.Second, "reverse", n.Reverse(t.Context(), v4).Finding)
				within(10*time.Second, "domain", n.Domain(t.Context(), "a.example.org").Finding)
				l := n.Listed(t.Context(), "bl.example.org", v4)
				within(3*time.Second, "list", l.Finding)
				if l.Text == "" {
					t.Error("no reason is given")
				}
				if c := n.Lists(); len(c) != 1 || c[0].Failed != 1 || c[0].Why != l.Text {
					t.Errorf("counts: %+v", c)
				}
				r := n.CheckList(t.Context(), "bl.example.org")
				if name != "a circle" && (r.V4.State != ListFails || r.V6.State != ListFails || r.Works()) {
					t.Errorf("%v", r)
				}
				if took := time.Since(start); took > 7*time.Second {
					t.Errorf("the check took %v", took)
				}
				time.Sleep(time.Minute) // what was begun ends
			})
		})
	}
}

func TestTheEndOfASessionIsAFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := names(authority.New(t))
	if r := n.Reverse(ctx, v4); r.Finding != policy.Failed {
		t.Errorf("%+v", r)
	}
	if e := n.Domain(ctx, "example.org"); e.Finding != policy.Failed {
		t.Errorf("%+v", e)
	}
	if l := n.Listed(ctx, "bl.example.org", v4); l.Finding != policy.Failed {
		t.Errorf("%+v", l)
	}
}
