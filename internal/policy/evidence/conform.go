package evidence

import (
	"context"
	"errors"
	"hash/fnv"

	"golang.org/x/net/publicsuffix"

	"posthorn/internal/base/dns"
	"posthorn/internal/policy"
	"posthorn/internal/wire/dkim"
	"posthorn/internal/wire/dmarc"
)

var errAuthor = errors.New("the From field cannot be read in one way")

// dmarc applies DMARC to what SPF and DKIM found, and sees which signatures are
// aligned with the author.
func (a *Authenticity) dmarc(ctx context.Context, f *policy.Facts, seen *findings, r *policy.Authentication) {
	ctx, cancel := dns.Within(ctx, a.o.Timeout)
	defer cancel()
	c := &dmarc.Checker{Resolver: a.o.Resolver.Net(), TreeWalk: a.o.TreeWalk(), Random: func() int { return sampled(f) }, Records: &a.policies}
	m := dmarc.Message{SPF: identity(seen.spf.Domain, seen.spf.Result == "pass", seen.spf.Result == "temperror")}
	for _, d := range seen.dkim {
		status, _ := verdict(d)
		m.DKIM = append(m.DKIM, identity(d.Domain, status == dkim.Pass, status == dkim.TempError))
	}
	m.Authors = append(m.Authors, f.FromDomains...)
	broken := f.FromBroken
	for _, author := range f.From {
		if author.Domain == "" {
			broken = true
			continue
		}
		m.Authors = append(m.Authors, author.Domain)
	}
	o := c.Check(ctx, m)
	r.Outcome = &o
	r.DMARC = policy.Conformance{Result: string(o.Result), Domain: o.Author, PolicyDomain: o.Publisher, Sampled: o.Sampled}
	if o.Record != nil {
		r.DMARC.Policy = string(o.Policy)
	}
	if o.Err != nil {
		r.DMARC.Reason = plain(o.Err.Error())
	}
	doubt(broken, seen, r)
	for i := range r.Signatures {
		r.Signatures[i].Aligned = aligned(ctx, c, &o, r.Signatures[i].Domain)
	}
}

// doubt takes a result back that rests on half a message: one whose From field
// people may read differently, or whose signatures could not be read.
func doubt(broken bool, seen *findings, r *policy.Authentication) {
	o := r.Outcome
	switch {
	case seen.unread != nil && o.Result == dmarc.Fail:
		o.Result, o.Action, o.Sampled, o.Err = dmarc.TempError, dmarc.PolicyNone, false, seen.unread
	case broken && o.Err == nil && (o.Result == dmarc.Pass || o.Result == dmarc.None):
		o.Result, o.Err = dmarc.PermError, errAuthor
	default:
		return
	}
	r.DMARC.Result, r.DMARC.Sampled, r.DMARC.Reason = string(o.Result), o.Sampled, plain(o.Err.Error())
}

// aligned reports a domain aligned with the author's, as the record demands;
// without a record relaxed, by the list of public suffixes.
func aligned(ctx context.Context, c *dmarc.Checker, o *dmarc.Outcome, domain string) bool {
	id := identity(domain, true, false)
	switch {
	case id.Domain == "" || o.Author == "":
		return false
	case id.Domain == o.Author:
		return true
	case o.Record != nil && o.Record.DKIM == dmarc.Strict:
		return false
	case o.Record != nil && c.TreeWalk:
		return c.Check(ctx, dmarc.Message{Authors: []string{o.Author}, DKIM: []dmarc.Identity{id}}).DKIM
	}
	return organization(id.Domain) == organization(o.Author)
}

// organization is the organisational domain by the list of public suffixes
// (RFC 7489 §3.2); a public suffix is its own.
func organization(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// sampled is a number from 0 to 99 for pct (RFC 7489 §6.6.4). It is of the
// message, so that judging it again comes to the same end, and no sender can
// choose it.
func sampled(f *policy.Facts) int {
	h := fnv.New64a()
	_, _ = h.Write(f.Session[:]) // never fails
	_, _ = h.Write(f.Message[:])
	return int(h.Sum64() % 100)
}
