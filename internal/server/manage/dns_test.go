package manage

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
)

// internet is what the tests below look up. The server is mail.example.org.
const internet = `
$ORIGIN example.org.
mail     IN A    203.0.113.5
mail     IN AAAA 2001:db9::5
@        IN MX   10 mail
backup   IN MX   20 mail
backup   IN MX   10 mx.example.net.
away     IN MX   10 mx.example.net.
alias    IN MX   10 other
other    IN A    203.0.113.5
never    IN MX   0 .
bare     IN A    203.0.113.5
literal  IN MX   10 203.0.113.5.
dead     IN MX   10 gone
inner    IN A    10.0.0.5
$ORIGIN example.net.
mx       IN A    198.51.100.7
pool     IN A    203.0.113.6
$ORIGIN in-addr.arpa.
5.113.0.203 IN PTR mail.example.org.
6.113.0.203 IN PTR pool.example.net.
8.113.0.203 IN PTR liar.example.net.
9.113.0.203 IN PTR mail.example.org.
10.113.0.203 IN PTR mail.example.org.
10.113.0.203 IN PTR pool.example.net.
$ORIGIN ip6.arpa.
5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.b.d.0.1.0.0.2 IN PTR mail.example.org.
`

// onInternet is a service called name on a machine with these addresses.
func onInternet(t *testing.T, name string, addrs ...string) (*Service, *authority.Authority) {
	t.Helper()
	a := authority.New(t, internet)
	var own []netip.Addr
	for _, s := range addrs {
		own = append(own, netip.MustParseAddr(s))
	}
	r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
	s := newOffice(t).Service
	s.o.Resolver, s.o.Hostname, s.o.Addresses = r, func() string { return name }, func() []netip.Addr { return own }
	return s, a
}

// hosting makes domains those of the server.
func hosting(t *testing.T, s *Service, domains ...string) {
	t.Helper()
	for _, d := range domains {
		if err := s.o.Directory.AddDomain(t.Context(), store.DomainRow{Name: d}); err != nil {
			t.Fatal(err)
		}
	}
}

// summary is a report in a few words: "what=state what=state".
func summary(r *DNSReport) string {
	var words []string
	for _, c := range r.Checks {
		words = append(words, c.What+"="+string(c.State))
	}
	return strings.Join(words, " ")
}

// M-GEN-07, SYS-DNS-03.
func TestNameAndAddressesMustLeadToEachOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about, name string
		addrs       []string
		want        string
		state       State
		say         string // somewhere in it
	}{
		{"all right", "mail.example.org", []string{"203.0.113.5", "2001:db9::5"}, "mail.example.org=green 203.0.113.5=green 2001:db9::5=green", Green, "lead to each other"},
		{"translated", "mail.example.org", []string{"10.0.0.5"}, "mail.example.org=yellow 2001:db9::5=green 203.0.113.5=green", Yellow, "address translation"},
		{"no such name", "gone.example.org", []string{"203.0.113.5"}, "gone.example.org=red 203.0.113.5=yellow", Red, "Make an A record"},
		{"private name", "inner.example.org", []string{"10.0.0.5"}, "inner.example.org=red outgoing address=yellow", Red, "public address"},
		{"no PTR", "mail.example.org", []string{"203.0.113.5", "203.0.113.7", "2001:db9::5"}, "mail.example.org=green 203.0.113.5=green 203.0.113.7=red 2001:db9::5=green", Red, "Ask the provider"},
		{"name of the provider", "mail.example.org", []string{"203.0.113.5", "203.0.113.6"}, "mail.example.org=green 203.0.113.5=green 203.0.113.6=yellow 2001:db9::5=green", Yellow, "calls itself"},
		{"PTR that nobody confirms", "mail.example.org", []string{"203.0.113.5", "203.0.113.8"}, "mail.example.org=green 203.0.113.5=green 203.0.113.8=red 2001:db9::5=green", Red, "does not lead back"},
		{"PTR without a way back", "mail.example.org", []string{"203.0.113.5", "203.0.113.9"}, "mail.example.org=green 203.0.113.5=green 203.0.113.9=red 2001:db9::5=green", Red, "Make an A record for mail.example.org with 203.0.113.9"},
	} {
		s, _ := onInternet(t, c.name, c.addrs...)
		r, err := s.dnsHost(t.Context(), nil)
		if err != nil || summary(r) != c.want || r.State != c.state {
			t.Errorf("%s: %s, %s, %v\nwant %s, %s", c.about, summary(r), r.State, err, c.want, c.state)
			continue
		}
		if text, _ := json.Marshal(r); !strings.Contains(string(text), c.say) {
			t.Errorf("%s: %q is not said: %s", c.about, c.say, text)
		}
	}
}

func TestAnOutageOfDNSIsYellowAndNoError(t *testing.T) {
	t.Parallel()
	s, a := onInternet(t, "mail.example.org", "203.0.113.5")
	a.Behave("*", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	r, err := s.dnsHost(t.Context(), nil)
	if err != nil || summary(r) != "mail.example.org=yellow 203.0.113.5=yellow" {
		t.Errorf("%s, %v", summary(r), err)
	}
	r, err = s.dnsDomain(t.Context(), &DNSDomainInput{Name: "example.org"})
	if err != nil || summary(r) != "MX=yellow" {
		t.Errorf("%s, %v", summary(r), err)
	}
}

func TestTheWayOfMailForADomainIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ domain, want, say string }{
		{"example.org", "MX=green mail.example.org=green", "comes to this server, as mail.example.org"},
		{"alias.example.org", "MX=green other.example.org=green", "comes to this server, as other.example.org"},
		{"backup.example.org", "MX=green mx.example.net=green mail.example.org=green", "goes to mx.example.net first"},
		{"away.example.org", "MX=yellow mx.example.net=green", "away.example.org. MX 10 mail.example.org."},
		{"never.example.org", "MX=red", "takes no mail at all"},
		{"bare.example.org", "MX=yellow bare.example.org=green", "There is no MX record"},
		{"literal.example.org", "MX=yellow 203.0.113.5=red", "must name a host"},
		{"dead.example.org", "MX=yellow gone.example.org=red", "has no address"},
		{"gone.example.org", "MX=red", "does not exist"},
	} {
		s, _ := onInternet(t, "mail.example.org", "203.0.113.5")
		hosting(t, s, c.domain)
		r, err := s.dnsDomain(t.Context(), &DNSDomainInput{Name: c.domain})
		if err != nil || summary(r) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.domain, summary(r), err, c.want)
			continue
		}
		if text, _ := json.Marshal(r); !strings.Contains(string(text), c.say) {
			t.Errorf("%s: %q is not said: %s", c.domain, c.say, text)
		}
	}
	s, _ := onInternet(t, "mail.example.org", "203.0.113.5")
	for _, bad := range []string{"", "a..b", "[192.0.2.1]", "a\r\nb.test"} {
		if _, err := s.dnsDomain(t.Context(), &DNSDomainInput{Name: bad}); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if r, err := s.dnsDomain(t.Context(), &DNSDomainInput{Name: "Bücher.example.org"}); err != nil || r.Name != "xn--bcher-kva.example.org" {
		t.Errorf("%v, %v", r, err)
	}
}

// Of a domain that others host nobody is told to change its records, unless
// they lead mail here, where it is refused.
func TestTheWayOfMailToADomainOfOthersIsNoFault(t *testing.T) {
	t.Parallel()
	s, _ := onInternet(t, "mail.example.org", "203.0.113.5")
	for _, c := range []struct{ domain, want, say string }{
		{"away.example.org", "MX=green mx.example.net=green", "none of this server's domains"},
		{"bare.example.org", "MX=green bare.example.org=green", "the domain's own name."},
		{"never.example.org", "MX=red", "comes back to its sender"},
		{"alias.example.org", "MX=red other.example.org=green", "posthorn domain add alias.example.org"},
		{"backup.example.org", "MX=red mx.example.net=green mail.example.org=green", "its mail is refused"},
	} {
		r, err := s.dnsDomain(t.Context(), &DNSDomainInput{Name: c.domain})
		if err != nil || summary(r) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.domain, summary(r), err, c.want)
			continue
		}
		if text, _ := json.Marshal(r); !strings.Contains(string(text), c.say) || strings.Contains(string(text), "MX 10 mail.example.org.") {
			t.Errorf("%s: %q is not said, or a change is: %s", c.domain, c.say, text)
		}
	}
}
