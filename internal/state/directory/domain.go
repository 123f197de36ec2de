package directory

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// AddDomain hosts a domain; store.ErrExists when it is hosted already.
func (d *Directory) AddDomain(ctx context.Context, row store.DomainRow) error {
	return d.repeated(ctx, func(base int64) error {
		if err := d.checkDomain(ctx, row); err != nil {
			return err
		}
		_, err := d.store.Domain(ctx, row.Name)
		if err == nil {
			return fmt.Errorf("domain %s: %w", row.Name, store.ErrExists)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return d.store.PutDomain(ctx, base, row)
	})
}

// ChangeDomain lets f change a hosted domain, all but its name;
// store.ErrNotFound. f is asked again when somebody else was faster, so that
// neither change is lost.
func (d *Directory) ChangeDomain(ctx context.Context, name string, f func(*store.DomainRow) error) error {
	return d.repeated(ctx, func(base int64) error {
		row, err := d.store.Domain(ctx, name) // not from the cache, which may be older than base
		if err == nil {
			err = f(&row)
		}
		if err == nil {
			err = d.checkDomain(ctx, row)
		}
		if err != nil {
			return err
		}
		err = d.store.PutDomain(ctx, base, row)
		if errors.Is(err, store.ErrLastAdministrator) {
			err = invalid("without %s no administrator could log in; make an account of another domain one first", name)
		}
		return err
	})
}

// RemoveDomain ends hosting; store.ErrInvalid while addresses exist in it.
func (d *Directory) RemoveDomain(ctx context.Context, name string) error {
	err := d.store.RemoveDomain(ctx, name)
	if errors.Is(err, store.ErrInvalid) {
		return invalid("domain %s still has addresses; remove its accounts, aliases and groups first", name)
	}
	return d.changed(err)
}

func (d *Directory) checkDomain(ctx context.Context, row store.DomainRow) error {
	if name, err := mail.ParseDomain(row.Name); err != nil || name != row.Name || mail.IsLiteral(name) {
		return invalid("domain %q is not a domain name in normal form", row.Name)
	}
	if err := checkSeparator(row.Separator); err != nil {
		return err
	}
	if row.CatchAll.IsNull() {
		return nil
	}
	if err := checkAddress(row.CatchAll); err != nil {
		return err
	}
	return d.mustLead(ctx, "catch-all", row.CatchAll)
}

// mustLead refuses an address in a hosted domain that nobody has.
func (d *Directory) mustLead(ctx context.Context, field string, addr mail.Address) error {
	r, err := d.Resolve(ctx, addr)
	if err == nil && (r.Kind == Unknown || r.CatchAll) {
		err = invalid("%s %s: nobody has this address", field, addr)
	}
	return err
}

// changed makes a successful change count for the next question.
func (d *Directory) changed(err error) error {
	if err == nil {
		d.stale.Store(true)
	}
	return err
}
