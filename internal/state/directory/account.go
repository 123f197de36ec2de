package directory

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
)

// NewAccount is an account to add.
type NewAccount struct {
	store.AccountRow
	// Password in clear; empty makes an account that cannot log in until it
	// gets one.
	Password string
}

// AddAccount adds an account with its mailboxes and returns its id. Errors wrap
// store.ErrInvalid (the text names the field) or store.ErrExists (it names the
// address), or are of the password's computation (passwd.ErrBusy).
func (d *Directory) AddAccount(ctx context.Context, n NewAccount) (store.AccountID, error) {
	if err := d.checkAccount(ctx, n.AccountRow); err != nil {
		return 0, err
	}
	if n.Password != "" {
		if err := d.HashPassword(ctx, &n.AccountRow, n.Password); err != nil {
			return 0, err
		}
	}
	id, err := d.store.AddAccount(ctx, n.AccountRow)
	return id, d.changed(err)
}

// SetAccount replaces an account's row; store.ErrConflict when somebody else
// changed it since it was read.
func (d *Directory) SetAccount(ctx context.Context, row store.AccountRow) error {
	if err := d.checkAccount(ctx, row); err != nil {
		return err
	}
	return d.changed(lastAdministrator(row.ID, d.store.SetAccount(ctx, row)))
}

// RemoveAccount removes an account and its mail.
func (d *Directory) RemoveAccount(ctx context.Context, id store.AccountID) error {
	return d.changed(lastAdministrator(id, d.store.RemoveAccount(ctx, id)))
}

// HashPassword puts what is stored of a new password into the row, after
// CheckPassword. The row still has to be saved.
func (d *Directory) HashPassword(ctx context.Context, row *store.AccountRow, password string) error {
	if err := d.CheckPassword(*row, password); err != nil {
		return err
	}
	return d.hash(ctx, row, password)
}

func (d *Directory) hash(ctx context.Context, row *store.AccountRow, password string) error {
	hash, err := d.o.Passwords.NewHash(ctx, password)
	if err != nil {
		return err
	}
	strong, err := d.o.Passwords.NewScram(ctx, passwd.SHA256, password)
	if err != nil {
		return err
	}
	row.Password, row.Scram256, row.Scram1 = hash, strong.String(), ""
	if !d.o.Settings().ScramSHA1 {
		return nil
	}
	weak, err := d.o.Passwords.NewScram(ctx, passwd.SHA1, password)
	row.Scram1 = weak.String()
	return err
}

// SetPassword gives an account a new password.
func (d *Directory) SetPassword(ctx context.Context, id store.AccountID, password string) error {
	return d.update(ctx, id, func(row *store.AccountRow) error { return d.HashPassword(ctx, row, password) })
}

// Rehash stores a password that was just verified with today's parameters
// (passwd.Verifier.Verify: upgrade). verified is the row it was verified
// against: when the password was changed meanwhile, nothing happens.
func (d *Directory) Rehash(ctx context.Context, verified store.AccountRow, password string) error {
	return d.update(ctx, verified.ID, func(row *store.AccountRow) error {
		if row.Password != verified.Password {
			return nil
		}
		return d.hash(ctx, row, password)
	})
}

// update changes an account against its newest row.
func (d *Directory) update(ctx context.Context, id store.AccountID, change func(*store.AccountRow) error) error {
	const tries = 5
	for i := 1; ; i++ {
		row, err := d.store.GetAccount(ctx, id)
		if err != nil {
			return err
		}
		if err := change(&row); err != nil {
			return err
		}
		err = d.store.SetAccount(ctx, row)
		if i < tries && errors.Is(err, store.ErrConflict) {
			continue
		}
		return d.changed(err)
	}
}

func (d *Directory) checkAccount(ctx context.Context, row store.AccountRow) error {
	if len(row.Addresses) == 0 || len(row.Addresses) > maxAddresses {
		return invalid("an account has 1 to %d addresses", maxAddresses)
	}
	if err := checkText("full name", row.FullName); err != nil {
		return err
	}
	if row.QuotaBytes < 0 || row.QuotaMessages < 0 {
		return invalid("a quota is not negative; 0 means none")
	}
	seen := map[string]bool{}
	for _, a := range row.Addresses {
		if err := d.checkOwn(ctx, a); err != nil {
			return err
		}
		if key := a.Key(); seen[key] {
			return invalid("address %s is there twice", a)
		} else {
			seen[key] = true
		}
	}
	return checkForward(row, seen)
}

// checkOwn checks an address that an account or alias is to have.
func (d *Directory) checkOwn(ctx context.Context, a mail.Address) error {
	if err := checkAddress(a); err != nil {
		return err
	}
	if len(a.Local) > mail.MaxLocal { // others may refuse it (RFC 5321 §4.5.3.1.1)
		return invalid("address %s has over %d octets before the @", a, mail.MaxLocal)
	}
	hosted, err := d.Hosts(ctx, a.Domain)
	if err == nil && !hosted {
		err = invalid("address %s: the domain %s is not hosted here; add it first", a, a.Domain)
	}
	return err
}

// lastAdministrator puts the store's refusal into words.
func lastAdministrator(id store.AccountID, err error) error {
	if errors.Is(err, store.ErrLastAdministrator) {
		return fmt.Errorf("account %d is the last administrator; make another account one first: %w", id, store.ErrInvalid)
	}
	return err
}
