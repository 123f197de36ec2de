// Package authority is a small DNS of a test's own: zones in master-file
// syntax, told over real sockets (Listen) or without any (Exchange, for
// synctest bubbles). It behaves like a resolver for an internet in which
// nothing else exists: aliases are followed across its zones, what no zone
// has is NXDOMAIN. What goes wrong with name servers is made by Behave.
//
//	a := authority.New(t, `
//	$ORIGIN example.test.
//	@   300 IN MX 10 mx
//	mx  300 IN A  192.0.2.25`)
//	r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
package authority

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// Behaviour is how the authority answers for a name; the zero value answers
// truly.
type Behaviour struct {
	Delay     time.Duration // before the answer
	Rcode     int           // instead of an answer, such as mdns.RcodeServerFailure
	Drop      bool          // no answer at all
	Garbage   bool          // octets that are no message
	Truncate  bool          // the TC bit over UDP and in exchanges
	Endless   bool          // the TC bit over TCP too
	Authentic bool          // the AD bit
	Stranger  bool          // an answer to another question
	Drip      bool          // TCP answers come octet by octet, never whole
	// Answer, if not nil, changes the true answer at will, last of all.
	Answer func(*mdns.Msg)
}

// Authority answers for its zones. It may be used by many goroutines.
type Authority struct {
	tb testing.TB

	mu        sync.Mutex
	zones     map[string]*mdns.SOA // by apex
	records   map[string][]mdns.RR // by owner, lower case, final dot
	behaviour map[string]Behaviour
	asked     map[question]int
}

type question struct {
	name  string
	qtype uint16
}

// New returns an authority for zones in master-file syntax; Add tells more.
func New(tb testing.TB, zones ...string) *Authority {
	tb.Helper()
	a := &Authority{tb: tb, zones: map[string]*mdns.SOA{}, records: map[string][]mdns.RR{}, behaviour: map[string]Behaviour{}, asked: map[question]int{}}
	for _, z := range zones {
		a.Add(z)
	}
	return a
}

// Names is a list of servers for dns.Options.
func Names(servers ...string) func() []string { return func() []string { return servers } }

// Behave sets how the authority answers for a name, whatever the type; "*" is
// every name without a behaviour of its own.
func (a *Authority) Behave(name string, b Behaviour) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.behaviour[canonical(name)] = b
}

// Queries counts the questions so far for a name and a type; "*" and
// mdns.TypeANY stand for all.
func (a *Authority) Queries(name string, qtype uint16) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for q, count := range a.asked {
		if (name == "*" || q.name == canonical(name)) && (qtype == mdns.TypeANY || q.qtype == qtype) {
			n += count
		}
	}
	return n
}

// canonical is the form of names in the maps.
func canonical(name string) string { return mdns.CanonicalName(name) }

// ErrGarbage is how an exchange without sockets tells of Garbage.
var ErrGarbage = errors.New("authority: the answer is no DNS message")

// Exchange answers without sockets, whatever the server's name; it is made for
// dns.Options. For servers that differ see Servers.
func (a *Authority) Exchange(ctx context.Context, _ string, q *mdns.Msg) (*mdns.Msg, error) {
	b, m := a.answer(q)
	if err := wait(ctx, b.Delay); err != nil {
		return nil, err
	}
	switch {
	case b.Drop, b.Drip && b.Truncate:
		<-ctx.Done()
		return nil, ctx.Err()
	case b.Garbage:
		return nil, ErrGarbage
	}
	m.Truncated = b.Endless
	// The resolver gets what a wire would carry, not what others hold.
	wire, err := m.Pack()
	if err != nil {
		return nil, err
	}
	copied := new(mdns.Msg)
	return copied, copied.Unpack(wire)
}

// Servers is an Exchange over several authorities, by the server's name. Others
// refuse the connection.
func Servers(all map[string]*Authority) func(context.Context, string, *mdns.Msg) (*mdns.Msg, error) {
	return func(ctx context.Context, server string, q *mdns.Msg) (*mdns.Msg, error) {
		if a := all[server]; a != nil {
			return a.Exchange(ctx, server, q)
		}
		return nil, refused(server)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer counts the question and makes the answer to it.
func (a *Authority) answer(q *mdns.Msg) (Behaviour, *mdns.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := new(mdns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if len(q.Question) != 1 {
		m.Rcode = mdns.RcodeFormatError
		return Behaviour{}, m
	}
	asked := q.Question[0]
	name := canonical(asked.Name)
	a.asked[question{name, asked.Qtype}]++
	b, ok := a.behaviour[name]
	if !ok {
		b = a.behaviour["*."]
	}
	switch {
	case b.Rcode != mdns.RcodeSuccess:
		m.Rcode = b.Rcode
	case b.Stranger:
		m.Question[0].Name = "stranger." + asked.Name
	default:
		a.resolve(m, name, asked.Qtype)
	}
	m.AuthenticatedData = b.Authentic
	if b.Answer != nil {
		b.Answer(m)
	}
	return b, m
}

// resolve fills the answer, following aliases; eight are enough for any test
// but one about too many, which still sees them all.
func (a *Authority) resolve(m *mdns.Msg, name string, qtype uint16) {
	for range 16 {
		owned, exists := a.find(name)
		if !exists {
			m.Rcode = mdns.RcodeNameError
			m.Ns = append(m.Ns, a.soa(name))
			return
		}
		alias := ""
		found := false
		for _, rr := range owned {
			switch {
			case rr.Header().Rrtype == qtype:
				found = true
				m.Answer = append(m.Answer, rr)
			case rr.Header().Rrtype == mdns.TypeCNAME:
				alias = canonical(rr.(*mdns.CNAME).Target)
				m.Answer = append(m.Answer, rr)
			}
		}
		if found {
			return
		}
		if alias == "" {
			m.Ns = append(m.Ns, a.soa(name))
			return
		}
		name = alias
	}
}

// find returns the records of a name, through a wildcard if need be; a name
// above others exists without any (RFC 4592).
func (a *Authority) find(name string) ([]mdns.RR, bool) {
	if owned, ok := a.records[name]; ok {
		return owned, true
	}
	for other := range a.records {
		if strings.HasSuffix(other, "."+name) {
			return nil, true
		}
	}
	for at, end := mdns.NextLabel(name, 0); !end; at, end = mdns.NextLabel(name, at) {
		parent := name[at:]
		if wild, ok := a.records["*."+parent]; ok {
			owned := make([]mdns.RR, len(wild))
			for i, rr := range wild {
				owned[i] = mdns.Copy(rr)
				owned[i].Header().Name = name
			}
			return owned, true
		}
		if _, ok := a.records[parent]; ok {
			break // the closest name above: no wildcard further up counts
		}
	}
	return nil, false
}

// soa is the SOA of the zone that holds a name, or of the empty root.
func (a *Authority) soa(name string) *mdns.SOA {
	for at, end := 0, false; !end; at, end = mdns.NextLabel(name, at) {
		if soa := a.zones[name[at:]]; soa != nil {
			return soa
		}
	}
	return newSOA(".")
}
