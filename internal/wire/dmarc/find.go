package dmarc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"posthorn/internal/base/limit"
)

// maxWalk is how many names a tree walk asks.
const maxWalk = 8

// finder looks for the records of one message, each name once.
type finder struct {
	ctx   context.Context
	r     Resolver
	tree  bool
	kept  *Records
	known map[string]found
}

// found is what a name has: no record (nil), one, or several.
type found struct {
	rec     *Record
	several bool
	err     error // ErrRecord or ErrLookup
}

func newFinder(ctx context.Context, c *Checker) *finder {
	return &finder{ctx: ctx, r: c.Resolver, tree: c.TreeWalk, kept: c.Records, known: map[string]found{}}
}

// at returns what a domain publishes.
func (f *finder) at(domain string) found {
	if got, ok := f.known[domain]; ok {
		return got
	}
	got := f.ask(domain)
	f.known[domain] = got
	return got
}

func (f *finder) ask(domain string) found {
	texts, err := f.r.LookupTXT(f.ctx, "_dmarc."+domain)
	if absent(err) {
		return found{}
	}
	if err != nil {
		return found{err: fmt.Errorf("%w: %s: %w", ErrLookup, domain, err)}
	}
	record, records := "", 0
	for _, text := range texts {
		if isRecord(text) {
			record = text
			records++
		}
	}
	switch records {
	case 0:
		return found{}
	case 1:
		return f.kept.parse(record)
	}
	return found{several: true}
}

// Records keeps records as they were read. It goes by the text: DNS is asked all
// the same. The zero value is ready; several goroutines may use it. It needs about
// 4 MiB at most.
type Records struct{ read limit.Texts[found] }

// parse is ParseRecord, from memory where it can be. r may be nil.
func (r *Records) parse(text string) found {
	read := func(text string) found {
		rec, err := ParseRecord(text)
		return found{rec: rec, err: err}
	}
	if r == nil {
		return read(text)
	}
	return r.read.Read(text, read)
}

func absent(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// policy finds the record for an author domain, the domain that publishes it,
// and the organisational domain; a nil record if there is none.
func (f *finder) policy(author string) (rec *Record, publisher, org string, err error) {
	if f.tree {
		return f.policyByTree(author)
	}
	org = listed(author)
	// RFC 7489 §6.6.3: several records end the search, no record moves it on.
	for _, domain := range slices.Compact([]string{author, org}) {
		got := f.at(domain)
		switch {
		case got.err != nil:
			return nil, domain, org, got.err
		case got.several:
			return nil, "", org, nil
		case got.rec != nil:
			return got.rec, domain, org, nil
		}
	}
	return nil, "", org, nil
}

// listed is the organisational domain by the public suffix list
// (RFC 7489 §3.2); a public suffix is its own.
func listed(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return org
}

// policyByTree takes the author domain's record, else that of the
// organisational domain, else that of the public suffix above it.
func (f *finder) policyByTree(author string) (rec *Record, publisher, org string, err error) {
	own := f.at(author)
	if own.err != nil {
		return nil, author, author, own.err
	}
	names, org, err := f.walk(author)
	if err != nil && own.rec == nil {
		return nil, "", author, err
	}
	for _, domain := range append([]string{author, org}, names...) {
		if got := f.at(domain); got.rec != nil && got.err == nil {
			if domain == author || domain == org || got.rec.PublicSuffix == psdYes {
				return got.rec, domain, org, nil
			}
		}
	}
	return nil, "", org, nil
}

// walk asks at the domain and at every one above it, at most maxWalk of them,
// and tells the organisational domain. A record with psd=n is of it, one with
// psd=y of the domain above it; else it is the highest that has a record.
func (f *finder) walk(domain string) (names []string, org string, err error) {
	org = domain
	for i, name := range path(domain) {
		got := f.at(name)
		if errors.Is(got.err, ErrLookup) {
			return names, domain, got.err
		}
		names = append(names, name)
		switch {
		case got.rec == nil:
		case got.rec.PublicSuffix == psdNo:
			return names, name, nil
		case got.rec.PublicSuffix == psdYes:
			return names, names[max(0, i-1)], nil
		default:
			org = name
		}
	}
	return names, org, nil
}

// path lists the names of a tree walk. Of long names the middle is left out, so
// that nobody can make us ask for every label.
func path(domain string) []string {
	list := []string{domain}
	labels := strings.Split(domain, ".")
	for from := max(1, len(labels)-maxWalk+1); from < len(labels); from++ {
		list = append(list, strings.Join(labels[from:], "."))
	}
	return list
}

// sameOrganization compares organisational domains.
func (f *finder) sameOrganization(domain, author string) (bool, error) {
	if !f.tree {
		return listed(domain) == listed(author), nil
	}
	_, org, err := f.walk(author)
	if err != nil {
		return false, err
	}
	if domain != org && !strings.HasSuffix(domain, "."+org) {
		return false, nil // and who signs with many domains gets no look-ups
	}
	_, other, err := f.walk(domain)
	return other == org, err
}

// wish returns the policy for the author domain: p for the publisher itself,
// np for a domain below it that does not exist (RFC 9091), else sp.
func (f *finder) wish(r *Record, author, publisher string) (Policy, error) {
	if author == publisher {
		return r.Policy, nil
	}
	if r.Nonexistent == r.Subdomain {
		return r.Subdomain, nil
	}
	exists, err := f.exists(author)
	if err != nil {
		return PolicyNone, err
	}
	if exists {
		return r.Subdomain, nil
	}
	return r.Nonexistent, nil
}

// exists reports a domain with an address or a mail exchanger (RFC 9091 §2.7).
func (f *finder) exists(domain string) (bool, error) {
	addrs, err := f.r.LookupIPAddr(f.ctx, domain)
	if err == nil && len(addrs) > 0 {
		return true, nil
	}
	if err != nil && !absent(err) {
		return false, fmt.Errorf("%w: %s: %w", ErrLookup, domain, err)
	}
	list, err := f.r.LookupMX(f.ctx, domain)
	if err != nil && !absent(err) {
		return false, fmt.Errorf("%w: %s: %w", ErrLookup, domain, err)
	}
	return len(list) > 0, nil
}
