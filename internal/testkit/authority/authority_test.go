package authority_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/testkit/authority"
)

const zones = `
$ORIGIN one.test.
@       IN SOA ns hostmaster 1 1 1 1 42
www     IN A   192.0.2.1
away    IN CNAME www.two.test.
*.wild  IN TXT "any"
has.wild IN A  192.0.2.3
$ORIGIN two.test.
www     IN A   192.0.2.2
`

func query(name string, qtype uint16) *mdns.Msg { return new(mdns.Msg).SetQuestion(name, qtype) }

// told writes an answer in a few words.
func told(m *mdns.Msg) string {
	words := []string{mdns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		words = append(words, strings.Fields(rr.String())[4])
	}
	for _, rr := range m.Ns {
		words = append(words, "SOA:"+rr.Header().Name)
	}
	return strings.Join(words, " ")
}

func TestZonesAreToldTheSameByEveryWay(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zones)
	addr := a.Listen("")
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.one.test.", mdns.TypeA, "NOERROR 192.0.2.1"},
		{"WWW.One.Test.", mdns.TypeA, "NOERROR 192.0.2.1"},
		{"www.one.test.", mdns.TypeMX, "NOERROR SOA:one.test."},
		{"away.one.test.", mdns.TypeA, "NOERROR www.two.test. 192.0.2.2"},
		{"away.one.test.", mdns.TypeMX, "NOERROR www.two.test. SOA:two.test."},
		{"x.wild.one.test.", mdns.TypeTXT, `NOERROR "any"`},
		{"has.wild.one.test.", mdns.TypeTXT, "NOERROR SOA:one.test."},
		{"wild.one.test.", mdns.TypeTXT, "NOERROR SOA:one.test."},
		{"gone.one.test.", mdns.TypeA, "NXDOMAIN SOA:one.test."},
		{"nowhere.invalid.", mdns.TypeA, "NXDOMAIN SOA:."},
	} {
		direct, err := a.Exchange(t.Context(), "", query(c.name, c.qtype))
		if err != nil || told(direct) != c.want {
			t.Errorf("%s by exchange: %s, %v; want %s", c.name, told(direct), err, c.want)
		}
		for _, network := range []string{"udp", "tcp"} {
			m, _, err := (&mdns.Client{Net: network}).ExchangeContext(t.Context(), query(c.name, c.qtype), addr)
			if err != nil || told(m) != c.want {
				t.Errorf("%s over %s: %v, %v; want %s", c.name, network, m, err, c.want)
			}
		}
		if n := a.Queries(c.name, c.qtype); n < 3 {
			t.Errorf("%s was counted %d times", c.name, n)
		}
	}
}

func TestRecordsChangeAtRunTime(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zones)
	ask := func() string {
		t.Helper()
		m, err := a.Exchange(t.Context(), "", query("www.one.test.", mdns.TypeA))
		if err != nil {
			t.Fatal(err)
		}
		return told(m)
	}
	a.Replace("www.one.test", mdns.TypeA, "www.one.test. IN A 192.0.2.9")
	if got := ask(); got != "NOERROR 192.0.2.9" {
		t.Error(got)
	}
	a.Remove("www.one.test", mdns.TypeANY)
	if got := ask(); got != "NXDOMAIN SOA:one.test." {
		t.Error(got)
	}
}

func TestBehaviourWithoutSocketsKeepsVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority.New(t, zones)
		ask := authority.Servers(map[string]*authority.Authority{"192.0.2.53:53": a})
		try := func(b authority.Behaviour) (*mdns.Msg, time.Duration, error) {
			a.Behave("www.one.test", b)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			began := time.Now()
			m, err := ask(ctx, "192.0.2.53:53", query("www.one.test.", mdns.TypeA))
			return m, time.Since(began), err
		}
		if m, took, err := try(authority.Behaviour{Delay: time.Second, Authentic: true}); err != nil || took != time.Second || !m.AuthenticatedData {
			t.Errorf("delay: %v after %s, %v", m, took, err)
		}
		if _, took, err := try(authority.Behaviour{Drop: true}); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("drop: after %s, %v", took, err)
		}
		if m, _, err := try(authority.Behaviour{Rcode: mdns.RcodeServerFailure}); err != nil || m.Rcode != mdns.RcodeServerFailure {
			t.Errorf("rcode: %v, %v", m, err)
		}
		if _, _, err := try(authority.Behaviour{Garbage: true}); !errors.Is(err, authority.ErrGarbage) {
			t.Errorf("garbage: %v", err)
		}
		if m, _, err := try(authority.Behaviour{Endless: true}); err != nil || !m.Truncated {
			t.Errorf("endless: %v, %v", m, err)
		}
		if _, err := ask(t.Context(), "192.0.2.54:53", query("www.one.test.", mdns.TypeA)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("no server: %v", err)
		}
	})
}
