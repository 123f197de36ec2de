package auth

import "context"

// bearer is the one name that secrets without a name are counted under.
const bearer = "(token)"

// Bearer lets somebody in who shows a secret instead of a name and password, as
// programs do that call the API. verify looks the secret up and returns an
// error that wraps ErrCredentials when it is wrong. Failures count like failed
// passwords, and a host that had too many is not looked at (ErrBlocked).
func (g *Guard) Bearer(ctx context.Context, verify func() error) error {
	if err := g.admit(ctx, bearer); err != nil {
		return g.failed(bearer, "token", err)
	}
	if err := classify(verify()); err != nil {
		return g.failed(bearer, "token", err)
	}
	g.a.accountant.Succeeded(Success{Client: g.client, Name: g.a.canonical(bearer), Taken: g.landed()})
	return nil
}
