package imapd

import (
	"context"
	"errors"

	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/sasl"
)

// runAuthenticate is AUTHENTICATE with or without initial response (RFC 3501
// §6.2.2, RFC 4959).
func runAuthenticate(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.Authenticate()
	if err != nil {
		return failed(err)
	}
	server, err := c.guard.Begin(arg.Mechanism, c.binding(), c.mechanisms())
	switch {
	case err == nil:
		return c.exchange(ctx, server, arg.Initial)
	case sasl.Mechanism(arg.Mechanism).Plaintext() && !c.mayLogin():
		return no(imap.CodePrivacyRequired, "Use STARTTLS first")
	case errors.Is(err, sasl.ErrMechanism):
		return no(imap.CodeCannot, "Mechanism is not offered")
	}
	return failed(err)
}

// exchange runs an authentication to its end.
func (c *conn) exchange(ctx context.Context, server sasl.Server, response []byte) imap.Response {
	for {
		challenge, done, err := server.Next(ctx, response)
		switch {
		case err != nil:
			return c.refuseLogin(ctx, err)
		case done:
			return c.enter()
		}
		c.enc.Continue(sasl.Encode(challenge))
		if err := c.enc.Flush(); err != nil {
			return failed(err)
		}
		if response, err = c.dec.AuthResponse(); err != nil {
			if errors.Is(err, imap.ErrCancelled) {
				return imap.Response{Status: imap.BAD, Text: "Authentication cancelled"}
			}
			return failed(err)
		}
	}
}
