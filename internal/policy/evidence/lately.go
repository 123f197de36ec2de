package evidence

import (
	"context"
	"net/netip"
	"time"

	"posthorn/internal/base/dns"
	bounds "posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/wire/spf"
)

// lately remembers what SPF said of a client and a sender, for clients that bring
// much mail of one sender at a time. Nothing is kept longer than the DNS answers
// it rests on hold, nor than keptFor, so that other name servers are heard soon;
// failures and faults are not kept.
type lately struct {
	table *bounds.Table[pair, judgement]
}

const (
	keptFor  = 10 * time.Second
	keptMost = 1024
)

// pair is all that goes into a judgement but DNS.
type pair struct {
	client     netip.Addr
	helo, host string
	sender     mail.Address
	field      bool
}

type judgement struct {
	spf   policy.SPF
	until time.Time
}

func newLately() lately { return lately{bounds.NewTable[pair, judgement](keptMost, keptFor)} }

func (l lately) find(p pair) (policy.SPF, bool) {
	j, ok := l.table.Get(p)
	return j.spf, ok && time.Now().Before(j.until)
}

func (l lately) keep(p pair, s policy.SPF, until time.Time) {
	switch spf.Result(s.Result) {
	case spf.Pass, spf.SoftFail, spf.Neutral:
		if most := time.Now().Add(keptFor); until.After(most) {
			until = most
		}
		l.table.Set(p, judgement{s, until})
	}
}

// horizon is a resolver that notes how long its answers hold together. It is for
// one judgement.
type horizon struct {
	*dns.Resolver
	asked bool
	until time.Time
}

func (h *horizon) saw(expires time.Time) {
	if !h.asked || expires.Before(h.until) {
		h.asked, h.until = true, expires
	}
}

// TXT implements spf.Resolver, as do the others.
func (h *horizon) TXT(ctx context.Context, name string) (dns.Answer[string], error) {
	a, err := h.Resolver.TXT(ctx, name)
	h.saw(a.Expires)
	return a, err
}

func (h *horizon) MX(ctx context.Context, domain string) (dns.Answer[dns.MX], error) {
	a, err := h.Resolver.MX(ctx, domain)
	h.saw(a.Expires)
	return a, err
}

func (h *horizon) A(ctx context.Context, host string) (dns.Addrs, error) {
	a, err := h.Resolver.A(ctx, host)
	h.saw(a.Expires)
	return a, err
}

func (h *horizon) AAAA(ctx context.Context, host string) (dns.Addrs, error) {
	a, err := h.Resolver.AAAA(ctx, host)
	h.saw(a.Expires)
	return a, err
}

func (h *horizon) PTR(ctx context.Context, ip netip.Addr) (dns.Answer[string], error) {
	a, err := h.Resolver.PTR(ctx, ip)
	h.saw(a.Expires)
	return a, err
}
