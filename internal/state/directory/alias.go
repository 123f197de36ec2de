package directory

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// AddAlias adds an alias or group; store.ErrExists when somebody has the address.
func (d *Directory) AddAlias(ctx context.Context, row store.AliasRow) error {
	return d.repeated(ctx, func(base int64) error {
		if err := d.checkAlias(ctx, row); err != nil {
			return err
		}
		_, err := d.store.Owner(ctx, row.Address)
		if err == nil {
			return fmt.Errorf("address %s: %w", row.Address, store.ErrExists)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return d.store.PutAlias(ctx, base, row)
	})
}

// ChangeAlias lets f change an alias or group, all but its address;
// store.ErrNotFound. f is asked again when somebody else was faster, so that
// neither change is lost.
func (d *Directory) ChangeAlias(ctx context.Context, addr mail.Address, f func(*store.AliasRow) error) error {
	return d.repeated(ctx, func(base int64) error {
		owner, err := d.store.Owner(ctx, addr)
		if err == nil && owner.Alias == nil {
			err = fmt.Errorf("%s is an account's address, no alias: %w", addr, store.ErrNotFound)
		}
		if err == nil {
			err = f(owner.Alias)
		}
		if err == nil {
			err = d.checkAlias(ctx, *owner.Alias)
		}
		if err != nil {
			return err
		}
		return d.store.PutAlias(ctx, base, *owner.Alias)
	})
}

// RemoveAlias removes an alias or group; store.ErrNotFound.
func (d *Directory) RemoveAlias(ctx context.Context, addr mail.Address) error {
	return d.changed(d.store.RemoveAlias(ctx, addr))
}

// checkAlias allows targets here that do not exist yet: people set aliases up
// in any order.
func (d *Directory) checkAlias(ctx context.Context, row store.AliasRow) error {
	if err := d.checkOwn(ctx, row.Address); err != nil {
		return err
	}
	if err := checkText("title", row.Title); err != nil {
		return err
	}
	if len(row.Targets) > MaxMembers || len(row.Targets) == 0 && !row.Group {
		return invalid("an alias has 1 to %d targets", MaxMembers)
	}
	own, seen := row.Address.Key(), map[string]bool{}
	for _, t := range row.Targets {
		if err := checkTarget(t); err != nil {
			return err
		}
		key := t.Key()
		if key == own {
			return invalid("alias %s: it cannot be its own target", row.Address)
		}
		if seen[key] {
			return invalid("alias %s: target %s is there twice", row.Address, t)
		}
		seen[key] = true
	}
	return nil
}

// checkTarget allows address literals, which are somebody else's.
func checkTarget(a mail.Address) error {
	if mail.IsLiteral(a.Domain) {
		a.Domain = "literal.invalid"
	}
	return checkAddress(a)
}
