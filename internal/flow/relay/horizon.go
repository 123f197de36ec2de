package relay

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/queue"
)

// Resolver asks name servers, each for itself where they may differ; base/dns
// has one.
type Resolver interface {
	// Servers are those configured, MXAt asks the one with an index in them.
	Servers() []string
	MXAt(ctx context.Context, server int, domain string) (dns.Answer[dns.MX], error)
	Addrs(ctx context.Context, host string) (dns.Addrs, error)
	MX(ctx context.Context, domain string) (dns.Answer[dns.MX], error)
}

// Horizon finds the main servers of relay domains. Seen from outside, such a
// domain's mail comes here; seen from inside it goes to the main server. So
// both name servers are asked, and what they say is taken together (M-REL-03).
type Horizon struct {
	Resolver Resolver
	// Hostname is the name of this server, Own are its addresses.
	Hostname func() string
	Own      func() []netip.Addr
}

// Exchangers returns the mail servers of a domain that are better than this
// one, best first. The error is queue.ErrLoops when there is none, or one of dns:
// ErrNoName when no server knows the domain, ErrTemporary when what could
// still name one cannot be looked up now.
func (h *Horizon) Exchangers(ctx context.Context, domain string) (dns.Answer[dns.MX], error) {
	all, failed, err := h.union(ctx, domain)
	if err != nil {
		return all, err
	}
	ours, bounded := uint16(0), false
	var others []dns.MX
	for _, mx := range all.Records {
		own, err := h.own(ctx, mx.Host)
		switch {
		case errors.Is(err, dns.ErrTemporary):
			// It may be this server: mail must not come back.
			failed = err
		case own && (!bounded || mx.Preference < ours):
			ours, bounded = mx.Preference, true
		case !own:
			others = append(others, mx)
		}
	}
	all.Records = slices.DeleteFunc(others, func(mx dns.MX) bool { return bounded && mx.Preference >= ours })
	switch {
	case len(all.Records) > 0:
		return all, nil
	case failed != nil:
		return all, failed
	}
	return all, queue.ErrLoops
}

// union asks every server. One that fails leaves the answers of the others; why
// it did is told apart.
func (h *Horizon) union(ctx context.Context, domain string) (all dns.Answer[dns.MX], failed, err error) {
	all.Authentic = true
	var none error
	for i := range max(len(h.Resolver.Servers()), 1) {
		answer, err := h.Resolver.MXAt(ctx, i, domain)
		switch {
		case errors.Is(err, dns.ErrNoName):
			none = err
			continue
		case errors.Is(err, dns.ErrNotFound):
			answer.Records = []dns.MX{{Host: domain}} // RFC 5321 §5.1: the domain itself
		case err != nil:
			failed = err
			continue
		}
		all.Authentic = all.Authentic && answer.Authentic
		for _, mx := range answer.Records {
			if _, err := mail.ParseDomain(mx.Host); err == nil && !mail.IsLiteral(mx.Host) {
				all.Records = append(all.Records, mx)
			}
		}
	}
	if len(all.Records) == 0 && (failed != nil || none != nil) {
		return all, nil, cmp.Or(failed, none)
	}
	all.Records = best(all.Records)
	return all, failed, nil
}

// best sorts the hosts by preference and names each once.
func best(hosts []dns.MX) []dns.MX {
	slices.SortStableFunc(hosts, func(x, y dns.MX) int {
		return cmp.Or(cmp.Compare(x.Preference, y.Preference), strings.Compare(x.Host, y.Host))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(hosts, func(mx dns.MX) bool {
		again := seen[mx.Host]
		seen[mx.Host] = true
		return again
	})
}

// own reports a host that is this server, by its name or by one of its
// addresses. Hosts without an address are somebody else's trouble.
func (h *Horizon) own(ctx context.Context, host string) (bool, error) {
	if strings.EqualFold(host, h.Hostname()) {
		return true, nil
	}
	answer, err := h.Resolver.Addrs(ctx, host)
	own := h.Own()
	for _, ip := range answer.Records {
		if ip = ip.Unmap(); ip.IsLoopback() || ip.IsUnspecified() || slices.Contains(own, ip) {
			return true, nil
		}
	}
	if len(answer.Records) > 0 || errors.Is(err, dns.ErrNotFound) {
		return false, nil
	}
	return false, err
}

// Inside is a Resolver whose MX sees relay domains from inside; everything
// else is as the Resolver behind it says.
type Inside struct {
	Resolver
	Horizon *Horizon
}

// insideKey marks the context of a delivery to a relay domain.
type insideKey struct{}

// MX returns the main servers of a relay domain, while one is delivered to.
func (r Inside) MX(ctx context.Context, domain string) (dns.Answer[dns.MX], error) {
	if ctx.Value(insideKey{}) != domain {
		return r.Resolver.MX(ctx, domain)
	}
	return r.Horizon.Exchangers(ctx, domain)
}
