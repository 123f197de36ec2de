package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Bounds of relays.
const (
	maxRelays     = 10_000
	maxRules      = 1000
	maxTargets    = 10_000 // of a rule
	maxRelayName  = 64
	maxRecipients = 10_000 // changed at once
)

// Routes are the stored ways of mail that does not stay here. They are never
// changed, only replaced.
type Routes struct {
	Domains []store.RelayDomain
	Rules   []store.RelayRule
}

// routes are Routes with an index, as of a state of the cache.
type routes struct {
	Routes
	generation uint64
	domains    map[string]*store.RelayDomain
}

// Routes returns what is in force: the same pointer as long as nothing
// changed in the directory.
func (d *Directory) Routes(ctx context.Context) (*Routes, error) {
	generation, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	r, err := d.loadRoutes(ctx, generation)
	if err != nil {
		return nil, err
	}
	return &r.Routes, nil
}

func (d *Directory) loadRoutes(ctx context.Context, generation uint64) (*routes, error) {
	if r := d.routes.Load(); r != nil && r.generation == generation {
		return r, nil
	}
	r := &routes{generation: generation, domains: map[string]*store.RelayDomain{}}
	var err error
	if r.Domains, err = d.store.RelayDomains(ctx); err != nil {
		return nil, err
	}
	if r.Rules, err = d.store.RelayRules(ctx); err != nil {
		return nil, err
	}
	for i := range r.Domains {
		if dom := &r.Domains[i]; !dom.Disabled {
			r.domains[dom.Domain] = dom
		}
	}
	d.routes.Store(r)
	return r, nil
}

// find returns the relay domain that a domain belongs to: its own, or else
// that of the nearest domain above whose subdomains are relayed.
func (r *routes) find(domain string) *store.RelayDomain {
	if len(r.domains) == 0 || domain == "" || mail.IsLiteral(domain) {
		return nil
	}
	if dom := r.domains[domain]; dom != nil {
		return dom
	}
	for rest := domain; ; {
		_, parent, more := strings.Cut(rest, ".")
		if !more {
			return nil
		}
		if dom := r.domains["."+parent]; dom != nil {
			return dom
		}
		rest = parent
	}
}

// relayed is the kind of an address that is in no hosted domain. Everybody's
// postmaster exists (RFC 5321 §4.5.1).
func (d *Directory) relayed(ctx context.Context, generation uint64, addr mail.Address) (Kind, error) {
	r, err := d.loadRoutes(ctx, generation)
	if err != nil {
		return Elsewhere, err
	}
	dom := r.find(addr.Domain)
	switch {
	case dom == nil:
		return Elsewhere, nil
	case !dom.Listed || strings.EqualFold(addr.Local, "postmaster"):
		return Relay, nil
	}
	has, err := d.store.HasRelayRecipient(ctx, dom.Name, addr)
	if err == nil && !has {
		return Unknown, nil
	}
	return Relay, err
}

// RelayDomains lists all relay domains.
func (d *Directory) RelayDomains(ctx context.Context) ([]store.RelayDomain, error) {
	return d.store.RelayDomains(ctx)
}

// RelayDomain finds a relay domain by the name of its rule; store.ErrNotFound.
func (d *Directory) RelayDomain(ctx context.Context, name string) (store.RelayDomain, error) {
	all, err := d.store.RelayDomains(ctx)
	if err != nil {
		return store.RelayDomain{}, err
	}
	return named(all, name)
}

// named finds the relay domain of a rule; store.ErrNotFound.
func named(all []store.RelayDomain, name string) (store.RelayDomain, error) {
	if i := slices.IndexFunc(all, func(r store.RelayDomain) bool { return sameName(r.Name, name) }); i >= 0 {
		return all[i], nil
	}
	return store.RelayDomain{}, fmt.Errorf("relay domain rule %q: %w", name, store.ErrNotFound)
}

// AddRelayDomain relays mail for a domain; store.ErrExists when there is a rule
// of the name or for the domain, store.ErrInvalid when the domain is hosted.
func (d *Directory) AddRelayDomain(ctx context.Context, row store.RelayDomain) error {
	return d.putRelayDomain(ctx, func(all []store.RelayDomain) (store.RelayDomain, error) {
		switch {
		case len(all) >= maxRelays:
			return row, invalid("there are %d relay domains, and no more can be kept", maxRelays)
		case slices.ContainsFunc(all, func(r store.RelayDomain) bool { return sameName(r.Name, row.Name) }):
			return row, fmt.Errorf("relay domain rule %q: %w", row.Name, store.ErrExists)
		}
		return row, nil
	})
}

// ChangeRelayDomain lets f change a relay domain, all but its name;
// store.ErrNotFound. f is asked again when somebody else was faster, so that
// neither change is lost.
func (d *Directory) ChangeRelayDomain(ctx context.Context, name string, f func(*store.RelayDomain) error) error {
	return d.putRelayDomain(ctx, func(all []store.RelayDomain) (store.RelayDomain, error) {
		row, err := named(all, name)
		if err == nil {
			err = f(&row)
		}
		return row, err
	})
}

// putRelayDomain stores the relay domain that f makes of all there are.
func (d *Directory) putRelayDomain(ctx context.Context, f func([]store.RelayDomain) (store.RelayDomain, error)) error {
	return d.repeated(ctx, func(base int64) error {
		all, err := d.store.RelayDomains(ctx)
		if err != nil {
			return err
		}
		row, err := f(all)
		if err == nil {
			err = checkRelayDomain(row)
		}
		if err != nil {
			return err
		}
		return d.store.PutRelayDomain(ctx, base, row)
	})
}

// repeated makes a change that reads first, again as long as somebody else
// changes the directory in between. An import does so without end; the pauses
// let some of it pass, and nobody is kept here for much longer than seconds.
func (d *Directory) repeated(ctx context.Context, change func(base int64) error) error {
	const (
		tries = 40
		most  = 200 * time.Millisecond
	)
	for i := 1; ; i++ {
		base, err := d.store.Version(ctx)
		if err != nil {
			return err
		}
		err = change(base)
		if i == tries || !errors.Is(err, store.ErrConflict) {
			return d.changed(err)
		}
		d.stale.Store(true) // what the next try asks of the cache is not older than that change
		select {
		case <-time.After(rand.N(min(most, time.Millisecond<<min(i, 10)))):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// RemoveRelayDomain ends relaying; store.ErrNotFound.
func (d *Directory) RemoveRelayDomain(ctx context.Context, name string) error {
	return d.changed(d.store.RemoveRelayDomain(ctx, name))
}

// ChangeRelayRecipients adds and drops recipients that the main server has.
func (d *Directory) ChangeRelayRecipients(ctx context.Context, row store.RelayDomain, add, drop []mail.Address) error {
	if len(add)+len(drop) > maxRecipients {
		return invalid("at most %d recipients are changed at once", maxRecipients)
	}
	for _, a := range add {
		if err := checkAddress(a); err != nil {
			return err
		}
		if parent, below := strings.CutPrefix(row.Domain, "."); below && !strings.HasSuffix(a.Domain, "."+parent) || !below && a.Domain != row.Domain {
			return invalid("recipient %s is not in %s", a, row.Domain)
		}
	}
	var err error
	if len(drop) > 0 {
		err = d.store.DropRelayRecipients(ctx, row.Name, drop)
	}
	if err == nil && len(add) > 0 {
		err = d.store.AddRelayRecipients(ctx, row.Name, add)
	}
	return d.changed(err)
}

// ChangeRules lets f make new rules of those there are, and stores them.
func (d *Directory) ChangeRules(ctx context.Context, f func([]store.RelayRule) ([]store.RelayRule, error)) error {
	return d.repeated(ctx, func(base int64) error {
		rules, err := d.store.RelayRules(ctx)
		if err != nil {
			return err
		}
		if rules, err = f(rules); err != nil {
			return err
		}
		if err := checkRules(rules); err != nil {
			return err
		}
		return d.store.SetRelayRules(ctx, base, rules)
	})
}

func sameName(a, b string) bool { return mail.FoldLocal(a) == mail.FoldLocal(b) }

// checkRelayName refuses names that would be hard to type or to tell apart in
// a destination such as "relay a.test:25 (name)".
func checkRelayName(name string) error {
	bad := func(c rune) bool { return unicode.IsControl(c) || strings.ContainsRune(`/:()"`, c) }
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxRelayName || strings.ContainsFunc(name, bad) || strings.TrimSpace(name) != name {
		return invalid(`rule name %q: 1 to %d characters without / : ( ) "`, name, maxRelayName)
	}
	return nil
}

func checkRelayDomain(row store.RelayDomain) error {
	if err := checkRelayName(row.Name); err != nil {
		return err
	}
	domain := strings.TrimPrefix(row.Domain, ".")
	if name, err := mail.ParseDomain(domain); err != nil || name != domain || mail.IsLiteral(name) {
		return invalid("domain %q is not a domain name in normal form", row.Domain)
	}
	return nil
}

// checkRules checks names and targets; hosts are the router's affair.
func checkRules(rules []store.RelayRule) error {
	if len(rules) > maxRules {
		return invalid("there are at most %d rules; one rule takes many targets", maxRules)
	}
	seen := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if err := checkRelayName(r.Name); err != nil {
			return err
		}
		key := mail.FoldLocal(r.Name)
		if seen[key] {
			return fmt.Errorf("rule %q: %w", r.Name, store.ErrExists)
		}
		seen[key] = true
		if len(r.Targets) == 0 || len(r.Targets) > maxTargets {
			return invalid("rule %q: 1 to %d addresses or domains are needed", r.Name, maxTargets)
		}
	}
	return nil
}
