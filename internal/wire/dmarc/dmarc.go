// Package dmarc tells whether the author domain of a message stands behind it
// (RFC 7489), finds and reads the records in which domains say what they want
// done with the rest, and reads the aggregate reports that others send us.
//
// It comes after SPF and DKIM, when the header section is there, and only joins
// what they found. It has no sockets and no clock, and it does not act: whether
// a domain's wish is followed is the policy's affair.
package dmarc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"posthorn/internal/base/mail"
)

// Result is the result of a DMARC evaluation, as RFC 7489 §11.2 writes it.
type Result string

// The results.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"
	None      Result = "none" // the domain has no record
	TempError Result = "temperror"
	PermError Result = "permerror" // the record or the From field is broken
)

// Resolver looks up names; base/dns.Net is one. Absence is a *net.DNSError
// with IsNotFound, every other error a failure that makes the result temperror.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// Bounds of one evaluation; more authors are a permerror, more signatures are
// not looked at.
const (
	MaxAuthors    = 8
	MaxIdentities = 32
)

// Checker evaluates messages. It has no state.
type Checker struct {
	Resolver Resolver
	// TreeWalk finds records and organisational domains by asking at every
	// label, as the coming standard has it, instead of by the public suffix
	// list. The tag t replaces pct then.
	TreeWalk bool
	// Random returns a number from 0 to 99 for pct (RFC 7489 §6.6.4); nil
	// means that every message counts.
	Random func() int
	// Records, if not nil, keeps records as they were read, for all messages.
	Records *Records
}

// Identity is a domain that SPF or DKIM judged, in the normal form of
// mail.ParseDomain.
type Identity struct {
	Domain string
	// Pass says that the domain is authenticated.
	Pass bool
	// Temporary says that it could not be found out (temperror).
	Temporary bool
}

// Message is what is known of a message.
type Message struct {
	// Authors are the domains of the addresses in the From fields, in normal
	// form. None is a permerror: such a message has no author.
	Authors []string
	// SPF is the judgement of the reverse-path, or of HELO for the null one.
	SPF Identity
	// DKIM are the signatures.
	DKIM []Identity
}

// Outcome is an evaluation.
type Outcome struct {
	Result Result
	// Author is the domain evaluated; with several, the one that fares worst.
	Author string
	// Organization is its organisational domain.
	Organization string
	// SPF and DKIM say which identities are aligned and pass.
	SPF, DKIM bool
	// Record is the record found and Publisher the domain that publishes it;
	// nil and "" if there is none. The record must not be changed.
	Record    *Record
	Publisher string
	// Policy is what the record wants for the author domain's failures.
	Policy Policy
	// Action is what it wants for this message: Policy for a failure, lowered
	// by pct or t, else PolicyNone.
	Action Policy
	// Sampled says that pct or t has lowered the action.
	Sampled bool
	// Err says why the result is permerror or temperror.
	Err error
}

// Errors in Outcome.Err.
var (
	ErrNoAuthor = errors.New("dmarc: the message has no author domain")
	ErrAuthors  = errors.New("dmarc: too many author domains")
	ErrRecord   = errors.New("dmarc: bad record")
	ErrLookup   = errors.New("dmarc: look-up failed")
)

// Check evaluates a message. With several author domains each is evaluated and
// the strictest policy among the failures applies (RFC 7489 §6.6.1).
func (c *Checker) Check(ctx context.Context, m Message) Outcome {
	authors := slices.Compact(slices.Sorted(slices.Values(m.Authors)))
	switch {
	case len(authors) == 0 || authors[0] == "":
		return Outcome{Result: PermError, Policy: PolicyNone, Action: PolicyNone, Err: ErrNoAuthor}
	case len(authors) > MaxAuthors:
		return Outcome{Result: PermError, Policy: PolicyNone, Action: PolicyNone, Err: ErrAuthors}
	}
	f := newFinder(ctx, c)
	worst := c.author(f, authors[0], m)
	for _, a := range authors[1:] {
		if o := c.author(f, a, m); graver(o, worst) {
			worst = o
		}
	}
	return worst
}

// graver orders outcomes: the strictest failure first, pass last.
func graver(a, b Outcome) bool {
	order := []Result{Pass, None, PermError, TempError, Fail}
	i, j := slices.Index(order, a.Result), slices.Index(order, b.Result)
	return i > j || i == j && a.Action.strictness() > b.Action.strictness()
}

// author evaluates one author domain.
func (c *Checker) author(f *finder, domain string, m Message) Outcome {
	o := Outcome{Result: None, Author: domain, Organization: domain, Policy: PolicyNone, Action: PolicyNone}
	if mail.IsLiteral(domain) {
		return o
	}
	var err error
	o.Record, o.Publisher, o.Organization, err = f.policy(domain)
	switch {
	case errors.Is(err, ErrRecord):
		o.Result, o.Err, o.Record = PermError, err, nil
		return o
	case err != nil:
		return o.undecided(err)
	case o.Record == nil:
		return o
	}
	if o.Policy, err = f.wish(o.Record, domain, o.Publisher); err != nil {
		return o.undecided(err)
	}
	var open error
	if o.SPF, err = f.aligned(o.Record.SPF, domain, []Identity{m.SPF}); err != nil {
		open = err
	}
	if o.DKIM, err = f.aligned(o.Record.DKIM, domain, m.DKIM[:min(len(m.DKIM), MaxIdentities)]); err != nil {
		open = err
	}
	switch {
	case o.SPF || o.DKIM:
		o.Result = Pass
	case open != nil:
		return o.undecided(open)
	default:
		o.Result = Fail
		o.Action, o.Sampled = c.sample(o.Record, o.Policy)
	}
	return o
}

// undecided makes the outcome a temperror.
func (o Outcome) undecided(err error) Outcome {
	o.Result, o.Err, o.Action = TempError, err, PolicyNone
	return o
}

// sample lowers the policy by one step for messages outside of the domain's
// sample (RFC 7489 §6.6.4), or, by the coming standard, while the domain tests.
func (c *Checker) sample(r *Record, p Policy) (Policy, bool) {
	out := r.Testing
	if !c.TreeWalk { // RFC 7489 knows no t
		out = r.Percent < 100 && c.Random != nil && c.Random() >= r.Percent
	}
	if !out || p == PolicyNone {
		return p, false
	}
	if p == PolicyReject {
		return PolicyQuarantine, true
	}
	return PolicyNone, true
}

// aligned reports an identity that passes and is aligned with the author
// domain (RFC 7489 §3.1). The error is ErrLookup when none does but one might.
func (f *finder) aligned(mode Alignment, author string, list []Identity) (bool, error) {
	var open error
	for _, id := range list {
		if id.Domain == "" || !id.Pass && !id.Temporary || mail.IsLiteral(id.Domain) {
			continue
		}
		same := id.Domain == author
		if !same && mode == Relaxed {
			var err error
			if same, err = f.sameOrganization(id.Domain, author); err != nil {
				open = err
				continue
			}
		}
		switch {
		case same && id.Pass:
			return true, nil
		case same:
			open = fmt.Errorf("%w: %s could not be authenticated", ErrLookup, id.Domain)
		}
	}
	return false, open
}
