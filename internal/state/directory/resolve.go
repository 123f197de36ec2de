package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Resolve tells who gets mail for an address. The slices of the answer are
// shared: do not change them. Errors are of the store, or ErrExpansion, or
// ErrNoPostmaster. Changes made through this process count at once, those of
// other nodes within a second.
func (d *Directory) Resolve(ctx context.Context, addr mail.Address) (Resolution, error) {
	generation, err := d.current(ctx)
	if err != nil {
		return Resolution{}, err
	}
	r, err := d.resolve(ctx, generation, addr)
	if err != nil {
		return Resolution{}, err
	}
	if d.mayReturn(addr, r) {
		return d.returned(ctx, generation, addr, r)
	}
	system, err := d.isSystem(ctx, generation, addr, r)
	if err != nil {
		return Resolution{}, err
	}
	if system {
		return d.system(ctx, generation)
	}
	return *r, nil
}

// resolve is Resolve without system addresses.
func (d *Directory) resolve(ctx context.Context, generation uint64, addr mail.Address) (*Resolution, error) {
	key := addr.Key()
	if e, ok := d.cache.get(key); ok {
		return e.resolution, e.err
	}
	r, err := d.expand(ctx, generation).run(addr)
	if err == nil {
		d.cache.put(generation, key, entry{resolution: r, cost: 1 + len(r.Deliveries) + len(r.Forwards) + len(r.Away)})
	} else if errors.Is(err, ErrExpansion) {
		d.cache.put(generation, key, entry{err: err, cost: 1})
	}
	return r, err
}

// found is what the rows say of one address.
type found struct {
	kind     Kind
	owner    store.AddressOwner
	base     mail.Address // without detail
	detail   string
	catchAll bool
}

// lookup finds the owner: the exact address, then the address without its
// detail, then the domain's catch-all (whose address is then in base).
func (d *Directory) lookup(ctx context.Context, generation uint64, addr mail.Address) (found, error) {
	f := found{base: addr}
	domain, hosted, err := d.domain(ctx, generation, addr.Domain)
	if err != nil {
		return f, err
	}
	if !hosted {
		f.kind, err = d.relayed(ctx, generation, addr)
		return f, err
	}
	if domain.Disabled {
		f.kind = DomainDisabled
		return f, nil
	}
	f.kind = Local
	f.owner, err = d.store.Owner(ctx, addr)
	if base, detail, ok := cutDetail(addr.Local, domain.Separator); ok && errors.Is(err, store.ErrNotFound) {
		f.base.Local, f.detail = base, detail
		f.owner, err = d.store.Owner(ctx, f.base)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.base, f.detail = addr, ""
	if !domain.CatchAll.IsNull() && !isSystemLocal(addr.Local, domain.Separator) {
		f.base, f.catchAll = domain.CatchAll, true
	} else {
		f.kind = Unknown
	}
	return f, nil
}

// cutDetail splits user+detail at the first separator.
func cutDetail(local, separator string) (base, detail string, ok bool) {
	if separator == "" {
		return "", "", false
	}
	base, detail, ok = strings.Cut(local, separator)
	return base, detail, ok && base != ""
}

// expansion takes one address apart.
type expansion struct {
	d          *Directory
	ctx        context.Context
	generation uint64
	r          Resolution
	aliases    map[string]bool
	accounts   map[store.AccountID]bool
	forwards   map[string]bool
	disabled   []store.AccountID
	steps      int
	caught     bool // a catch-all is being followed
	onward     bool // what an account forwards to is being followed
}

func (d *Directory) expand(ctx context.Context, generation uint64) *expansion {
	return &expansion{d: d, ctx: ctx, generation: generation, aliases: map[string]bool{}, accounts: map[store.AccountID]bool{}, forwards: map[string]bool{}}
}

func (x *expansion) run(addr mail.Address) (*Resolution, error) {
	f, err := x.d.lookup(x.ctx, x.generation, addr)
	if err != nil {
		return nil, err
	}
	x.r.Kind = f.kind
	if f.kind != Local {
		return &x.r, nil
	}
	switch a := f.owner.Alias; {
	case f.catchAll:
		x.r.Via, x.r.CatchAll = f.base.String(), true
	case a != nil:
		x.r.Via = a.Address.String()
		x.r.Alias = &Alias{Address: a.Address, Group: a.Group, Title: a.Title, SendAs: a.SendAs}
	}
	if err := x.follow(f, addr, 0); err != nil {
		return nil, err
	}
	x.r.settle(x.disabled)
	return &x.r, nil
}

// settle derives kind and account from who was found.
func (r *Resolution) settle(disabled []store.AccountID) {
	switch found := len(r.Deliveries) + len(r.Forwards); {
	case found == 1 && len(r.Deliveries) == 1:
		r.Account = r.Deliveries[0].Account
	case found == 0 && len(disabled) > 0:
		r.Kind = Disabled
		if len(disabled) == 1 {
			r.Account = disabled[0]
		}
	case found == 0:
		r.Kind = Unknown
	}
}

// follow goes on from what was found for an address.
func (x *expansion) follow(f found, addr mail.Address, depth int) error {
	switch {
	case f.catchAll && x.caught:
		// The catch-all's own address has gone: unknown names lead nowhere.
		x.r.Dangling = append(x.r.Dangling, addr)
	case f.catchAll:
		x.caught = true
		err := x.target(f.base, "", depth+1)
		x.caught = false
		return err
	case f.owner.Account != 0:
		return x.account(f, depth)
	case f.owner.Alias != nil:
		return x.alias(f, depth)
	default:
		x.r.Dangling = append(x.r.Dangling, addr)
	}
	return nil
}

// alias follows the targets. The detail of the address goes on to targets that
// are accounts here; members of a group have nothing to do with it.
func (x *expansion) alias(f found, depth int) error {
	key := f.base.Key()
	if x.aliases[key] {
		return nil // a loop, or two ways to the same alias
	}
	x.aliases[key] = true
	detail := f.detail
	if f.owner.Alias.Group {
		detail = ""
	}
	for _, t := range f.owner.Alias.Targets {
		if err := x.target(t, detail, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// target follows one address of an alias or a catch-all.
func (x *expansion) target(addr mail.Address, detail string, depth int) error {
	if x.steps++; x.steps > MaxMembers {
		return fmt.Errorf("%w: over %d members", ErrExpansion, MaxMembers)
	}
	if depth > MaxNesting {
		return fmt.Errorf("%w: over %d levels at %s", ErrExpansion, MaxNesting, addr)
	}
	f, err := x.d.lookup(x.ctx, x.generation, addr)
	if err != nil {
		return err
	}
	switch f.kind {
	case Elsewhere, Relay:
		if key := addr.Key(); !x.forwards[key] {
			x.forwards[key] = true
			x.r.Forwards = append(x.r.Forwards, addr)
		}
		return nil
	case Local:
		if f.detail == "" && !f.catchAll {
			f.detail = detail
		}
		return x.follow(f, addr, depth)
	}
	x.r.Dangling = append(x.r.Dangling, addr)
	return nil
}
