package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/base/dns"
)

// Limits of RFC 7208 §4.6.4. They bound a check to 123 look-ups: the first
// record, ten for each of ten terms mx and their own, the client's names, and
// the explanation.
const (
	maxTerms = 10 // that cause look-ups
	maxVoids = 2  // look-ups of terms that find nothing
	maxHosts = 10 // of one mx
	maxNames = 10 // of a client's address
)

// evaluation is one run of check_host() (RFC 7208 §4): what it was asked, and
// what it has cost so far.
type evaluation struct {
	ctx      context.Context
	dns      Resolver
	records  *Records
	ip       netip.Addr // no IPv4 in IPv6
	helo     string
	sender   string
	receiver string
	now      time.Time

	terms, voids int
	named        bool     // names were looked up
	names        []string // of the client that lead back to it
}

// decision is what a record says of the client.
type decision struct {
	result    Result
	mechanism string  // the directive that matched, or "default"
	record    *record // in which it stands, after redirects
}

// judge is check_host() for a domain, whose name isDomain.
func (e *evaluation) judge(domain string) (decision, error) {
	r, err := e.fetch(domain)
	if err != nil {
		return decision{}, err
	}
	for {
		d, err := e.match(r)
		switch {
		case err != nil:
			return decision{}, err
		case d != nil:
			return decision{d.result, d.text, r}, nil
		case r.redirect == nil:
			return decision{Neutral, "default", r}, nil
		}
		if r, err = e.redirected(r); err != nil {
			return decision{}, err
		}
	}
}

// fetch looks up the one record of a domain (RFC 7208 §4.4, §4.5).
func (e *evaluation) fetch(domain string) (*record, error) {
	answer, err := e.dns.TXT(e.ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		return nil, ErrNoRecord
	case err != nil:
		return nil, failed(err)
	}
	found := ""
	for _, text := range answer.Records {
		switch {
		case !isRecord(text):
		case found != "":
			return nil, fmt.Errorf("%w: %s", ErrSeveral, domain)
		default:
			found = text
		}
	}
	if found == "" {
		return nil, ErrNoRecord
	}
	return e.records.parse(domain, found)
}

// redirected returns the record that redirect= leads to (RFC 7208 §6.1).
func (e *evaluation) redirected(r *record) (*record, error) {
	if err := e.count(); err != nil {
		return nil, err
	}
	name, ok, err := e.target(r, r.redirect)
	if err != nil {
		return nil, err
	}
	if !ok || !isDomain(name) {
		return nil, fmt.Errorf("%w: redirect=%.80q", ErrDangling, name)
	}
	next, err := e.fetch(name)
	if errors.Is(err, ErrNoRecord) {
		return nil, fmt.Errorf("%w: redirect=%s", ErrDangling, name)
	}
	return next, err
}

// match returns the first directive that matches, nil if none does.
func (e *evaluation) match(r *record) (*directive, error) {
	for i := range r.directives {
		d := &r.directives[i]
		if ok, err := e.matches(r, d); ok || err != nil {
			return d, err
		}
	}
	return nil, nil
}

// target expands a domain-spec to the name it stands for; ok is false for what
// nobody can have.
func (e *evaluation) target(r *record, spec template) (name string, ok bool, err error) {
	if spec == nil {
		return r.domain, true, nil
	}
	name, err = e.expand(spec, r.domain)
	if err != nil {
		return "", false, err
	}
	normal, ok := lookupName(name)
	if !ok {
		return name, false, nil
	}
	return normal, true, nil
}

// count counts a term that causes look-ups.
func (e *evaluation) count() error {
	if e.terms++; e.terms > maxTerms {
		return fmt.Errorf("%w: over %d terms", ErrTooMany, maxTerms)
	}
	return nil
}

// void counts a look-up of a term that found nothing.
func (e *evaluation) void() error {
	if e.voids++; e.voids > maxVoids {
		return fmt.Errorf("%w: over %d found nothing", ErrTooMany, maxVoids)
	}
	return nil
}

// failed wraps the error of a look-up that nobody could answer.
func failed(err error) error { return fmt.Errorf("spf: %w", err) }

// resultOf is the result that an error stands for; errors of look-ups are
// never final.
func resultOf(err error) Result {
	if errors.Is(err, ErrNoRecord) {
		return None
	}
	for _, final := range []error{ErrSyntax, ErrSeveral, ErrTooMany, ErrDangling} {
		if errors.Is(err, final) {
			return PermError
		}
	}
	return TempError
}

// Bounds of a name in text form (RFC 1035 §2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// lookupName returns the form a name is asked for in; ok is false for what no
// name can be. Names that macros made too long lose labels at the left
// (RFC 7208 §7.3).
func lookupName(name string) (key string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName {
		_, rest, cut := strings.Cut(name, ".")
		if !cut {
			return "", false
		}
		name = rest
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return "", false
		}
	}
	if !isASCII(name) {
		return "", false
	}
	return strings.ToLower(name), true
}

// isASCII reports octets that can stand in a name that is looked up.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isDomain reports a name that can have a record: one of several labels
// (RFC 7208 §4.3).
func isDomain(name string) bool { return strings.Contains(name, ".") }
