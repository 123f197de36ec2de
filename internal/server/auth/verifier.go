package auth

import (
	"context"
	"errors"
	"net/netip"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// Verifier returns a sasl.Verifier that counts for a client, for servers that
// run exchanges and delays themselves. What it cannot see is how a SCRAM
// exchange ends, so it does not count those; a Guard does.
func (a *Authenticator) Verifier(client netip.Addr) sasl.Verifier {
	return &clientVerifier{a, client}
}

// Account is Login for those who want the id alone.
func (a *Authenticator) Account(ctx context.Context, id sasl.Identity) (store.AccountID, error) {
	row, err := a.Login(ctx, id)
	if err != nil {
		return 0, err
	}
	return row.ID, nil
}

type clientVerifier struct {
	*Authenticator
	client netip.Addr
}

// VerifyPassword implements sasl.Verifier.
func (v *clientVerifier) VerifyPassword(ctx context.Context, name, password string) (string, error) {
	canonical := v.canonical(name)
	if err := v.accountant.Admit(v.client, canonical); err != nil {
		return "", err
	}
	account, err := v.Authenticator.VerifyPassword(ctx, name, password)
	switch {
	case err == nil:
		v.accountant.Succeeded(v.client, canonical)
	case errors.Is(err, ErrCredentials):
		v.accountant.Failed(Failure{Kind: WrongLogin, Client: v.client, Name: canonical})
	}
	return account, err
}
