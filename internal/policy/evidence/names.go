package evidence

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
)

const (
	// maxNames is how many names of a client are tried, as RFC 7208 §4.6.4 does.
	maxNames = 10

	defaultDeadline = 3 * time.Second
	defaultPatience = 10 * time.Second
)

// NameOptions are what Names works with.
type NameOptions struct {
	Resolver *dns.Resolver
	// Deadline is how long one DNS list may take (B1G-BL-01); 0 is 3 s.
	Deadline time.Duration
	// Patience is how long Reverse and Domain may take; 0 is 10 s.
	Patience time.Duration
}

// Names implements policy.Names. It may be used by many goroutines. Answers are
// remembered by the resolver alone, as long as their TTL allows.
type Names struct {
	o     NameOptions
	lists counters
}

// NewNames returns Names.
func NewNames(o NameOptions) *Names {
	if o.Deadline <= 0 {
		o.Deadline = defaultDeadline
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	return &Names{o: o, lists: counters{zones: map[string]*ListCount{}}}
}

// Reverse looks up the client's name and whether it leads back (B1G-GEN-05).
// When several do, it is always the same one, however DNS turns its answers. A
// client without an address is Unknown; of this machine's own nobody is asked
// (RFC 6303 §4.2), so that it need not wait where name servers do not answer.
func (n *Names) Reverse(ctx context.Context, client netip.Addr) policy.Reverse {
	client = client.Unmap().WithZone("")
	if !client.IsValid() {
		return policy.Reverse{}
	}
	if client.IsLoopback() {
		return policy.Reverse{Finding: policy.Found, Name: "localhost"}
	}
	ctx, cancel := dns.Within(ctx, n.o.Patience)
	defer cancel()
	answer, err := n.o.Resolver.PTR(ctx, client)
	if err != nil {
		return policy.Reverse{Finding: missing(err)}
	}
	names := answer.Records
	slices.Sort(names)
	names = slices.Compact(names)
	astray := policy.Reverse{Finding: policy.Astray, Name: names[0]}
	for _, name := range names[:min(len(names), maxNames)] {
		switch n.leads(ctx, name, client) {
		case policy.Found:
			return policy.Reverse{Finding: policy.Found, Name: name}
		case policy.Failed:
			astray = policy.Reverse{Finding: policy.Failed, Name: name}
		}
	}
	return astray
}

// leads reports whether a name has the address.
func (n *Names) leads(ctx context.Context, name string, to netip.Addr) policy.Finding {
	ask := n.o.Resolver.AAAA
	if to.Is4() {
		ask = n.o.Resolver.A
	}
	answer, err := ask(ctx, name)
	switch {
	case err != nil:
		return missing(err)
	case slices.Contains(answer.Records, to):
		return policy.Found
	}
	return policy.Astray
}

// Domain looks up whether a name can be reached by mail (M-SEC-SP-02,
// M-SEC-ADV-03). An address literal always can; what is no domain name is
// Absent.
func (n *Names) Domain(ctx context.Context, name string) policy.Existence {
	name, err := mail.ParseDomain(strings.TrimSuffix(name, "."))
	switch {
	case err != nil:
		return policy.Existence{Finding: policy.Absent}
	case mail.IsLiteral(name):
		return policy.Existence{Finding: policy.Found}
	}
	ctx, cancel := dns.Within(ctx, n.o.Patience)
	defer cancel()
	answer, err := n.o.Resolver.MX(ctx, name)
	switch {
	case err == nil:
		return exchangers(answer.Records)
	case errors.Is(err, dns.ErrNoName), missing(err) == policy.Failed:
		return policy.Existence{Finding: missing(err)}
	}
	addrs, err := n.o.Resolver.Addrs(ctx, name)
	if err == nil || len(addrs.Records) > 0 {
		return policy.Existence{Finding: policy.Found}
	}
	return policy.Existence{Finding: missing(err)}
}

// exchangers judges MX records. One that is a host name will do.
func exchangers(list []dns.MX) policy.Existence {
	null := true
	for _, mx := range list {
		if isHost(mx.Host) {
			return policy.Existence{Finding: policy.Found}
		}
		null = null && mx.Host == "" // RFC 7505 §3
	}
	return policy.Existence{Finding: policy.Astray, Null: null}
}

// isHost reports a host name: no address, which some write in an MX, for the
// last label of a host name is never a number (RFC 1123 §2.1).
func isHost(name string) bool {
	if _, err := mail.ParseDomain(name); err != nil {
		return false
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") != ""
}

// missing tells what is not there from what could not be found out.
func missing(err error) policy.Finding {
	if errors.Is(err, dns.ErrNotFound) {
		return policy.Absent
	}
	return policy.Failed
}
