package auth

import (
	"context"
	"errors"
	"log/slog"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// renew stores a hash of today's cost for a password that has just proved
// right. The login succeeds whatever comes of it; the next one tries again. The
// SCRAM verifiers stay as they are, so open sessions can tell this from a new
// password (listen.CredentialOf).
func (a *Authenticator) renew(ctx context.Context, row store.AccountRow, password string) {
	if a.o.Accounts == nil {
		return
	}
	err := a.replaceHash(ctx, row, password)
	if errors.Is(err, store.ErrConflict) {
		return // another login did it, or the password was changed
	}
	a.o.Log.Log(event.AuthRenewed, slog.Int64("account", int64(row.ID)), event.Err(err))
}

func (a *Authenticator) replaceHash(ctx context.Context, row store.AccountRow, password string) error {
	hash, err := a.o.Passwords.NewHash(ctx, password)
	if err != nil {
		return err
	}
	now, err := a.o.Accounts.GetAccount(ctx, row.ID)
	if err != nil {
		return err
	}
	if now.Password != row.Password {
		return store.ErrConflict
	}
	now.Password = hash
	return a.o.Accounts.SetAccount(ctx, now)
}
