package auth

import (
	"context"
	"errors"
	"log/slog"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// renew stores a hash of today's cost for a password that has just proved
// right, and returns the row as it stands then. The login succeeds whatever
// comes of it; the next one tries again. The SCRAM verifiers stay as they are,
// so open sessions can tell this from a new password (listen.CredentialOf).
func (a *Authenticator) renew(ctx context.Context, row store.AccountRow, password string) store.AccountRow {
	if a.o.Accounts == nil {
		return row
	}
	now, err := a.replaceHash(ctx, row, password)
	if errors.Is(err, store.ErrConflict) {
		return a.overtaken(ctx, row, password)
	}
	a.o.Log.Log(event.AuthRenewed, slog.Int64("account", int64(row.ID)), event.Err(err))
	if err == nil {
		row.Password = now.Password
	}
	return row
}

// overtaken is for a row that somebody else wrote meanwhile: another login that
// renewed the hash, which the password fits still, or whoever set a new
// password. Then the row stays the old one, which Login refuses.
func (a *Authenticator) overtaken(ctx context.Context, row store.AccountRow, password string) store.AccountRow {
	now, err := a.o.Accounts.GetAccount(ctx, row.ID)
	if err != nil || now.Password == row.Password {
		return row
	}
	if _, err := a.o.Passwords.Verify(ctx, accountName(row.ID), now.Password, password); err != nil {
		return row
	}
	row.Password, row.Scram256 = now.Password, now.Scram256
	return row
}

func (a *Authenticator) replaceHash(ctx context.Context, row store.AccountRow, password string) (now store.AccountRow, err error) {
	hash, err := a.o.Passwords.NewHash(ctx, password)
	if err != nil {
		return now, err
	}
	if now, err = a.o.Accounts.GetAccount(ctx, row.ID); err != nil {
		return now, err
	}
	if now.Password != row.Password {
		return now, store.ErrConflict
	}
	now.Password = hash
	return now, a.o.Accounts.SetAccount(ctx, now)
}
