package directory

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
)

// Login finds the account that a login name belongs to: any of its addresses,
// or a local part alone where a default domain is set (SYS-DOM-02). It reads
// the store each time, so that a new password counts at once.
// store.ErrNotFound when there is none. A row with Disabled must not log in;
// that is so for addresses in disabled domains too.
func (d *Directory) Login(ctx context.Context, name string) (store.AccountRow, error) {
	addr, err := d.loginAddress(name)
	if err != nil {
		return store.AccountRow{}, err
	}
	domain, err := d.Domain(ctx, addr.Domain)
	if err != nil {
		return store.AccountRow{}, err
	}
	row, err := d.AccountOf(ctx, addr)
	row.Disabled = row.Disabled || domain.Disabled
	return row, err
}

// AccountOf returns the account that has the address; store.ErrNotFound, also
// where an alias has it.
func (d *Directory) AccountOf(ctx context.Context, addr mail.Address) (store.AccountRow, error) {
	owner, err := d.store.Owner(ctx, addr)
	if err != nil {
		return store.AccountRow{}, err
	}
	if owner.Account == 0 {
		return store.AccountRow{}, fmt.Errorf("%s is an alias: %w", addr, errNoLogin)
	}
	return d.store.GetAccount(ctx, owner.Account)
}

var errNoLogin = fmt.Errorf("no account has this name: %w", store.ErrNotFound)

// loginAddress reads a login name; names are prepared as SASL wants (RFC 4013).
func (d *Directory) loginAddress(name string) (mail.Address, error) {
	name = passwd.Prepare(name)
	if len(name) > mail.MaxAddress {
		return mail.Address{}, errNoLogin
	}
	if !strings.Contains(name, "@") {
		domain := d.o.Settings().DefaultDomain
		if domain == "" {
			return mail.Address{}, errNoLogin
		}
		name += "@" + domain
	}
	addr, err := mail.ParseAddress(name)
	if err != nil {
		return mail.Address{}, errNoLogin
	}
	return addr, nil
}

// OwnsSender reports whether the account may use an address as sender
// (M-GEN-03): its own addresses, and those of aliases and groups that lead to
// it and grant send-as, each also with +detail. The null reverse-path is
// everybody's. A catch-all grants nothing.
func (d *Directory) OwnsSender(ctx context.Context, account store.AccountID, addr mail.Address) (bool, error) {
	if addr.IsNull() {
		return true, nil
	}
	generation, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	r, err := d.resolve(ctx, generation, addr)
	if err != nil {
		return false, err
	}
	if r.Kind != Local || r.CatchAll || r.Alias != nil && !r.Alias.SendAs {
		return false, nil
	}
	for _, all := range [][]Delivery{r.Deliveries, r.Away} {
		for _, to := range all {
			if to.Account == account && !to.Forwarded {
				return true, nil
			}
		}
	}
	return false, nil
}

// IsLocalSender reports whether somebody here has the address, so that only
// its owner may use it as sender ("our own addresses" of M-GEN-03).
func (d *Directory) IsLocalSender(ctx context.Context, addr mail.Address) (bool, error) {
	r, err := d.Resolve(ctx, addr)
	if err != nil {
		return false, err
	}
	return (r.Kind == Local || r.Kind == Disabled) && !r.CatchAll && !r.Return, nil
}

// SenderAddresses lists the addresses an account may send from, its primary
// address first, without details.
func (d *Directory) SenderAddresses(ctx context.Context, account store.AccountID) ([]mail.Address, error) {
	row, err := d.store.GetAccount(ctx, account)
	if err != nil {
		return nil, err
	}
	out := row.Addresses
	seen := map[string]bool{}
	for next := row.Addresses; len(next) > 0 && len(seen) < MaxMembers; {
		var found []mail.Address
		for _, a := range next {
			groups, err := d.store.GroupsOf(ctx, a)
			if err != nil {
				return nil, err
			}
			for _, g := range groups {
				if key := g.Address.Key(); !seen[key] {
					seen[key] = true
					found = append(found, g.Address)
					if g.SendAs {
						out = append(out, g.Address)
					}
				}
			}
		}
		next = found
	}
	return out, nil
}
