package pop3d

import (
	"crypto/tls"
	"errors"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/pop3"
	"posthorn/internal/wire/sasl"
)

// session is what a client has said before its login. STLS begins a new one.
type session struct {
	name string // of USER, until PASS
}

var responseNoTLS = pop3.Err("", "Encryption required, use STLS first")

// offer lists the mechanisms of this moment. Without TLS there are none, not
// even SCRAM, unless the administrator lifts that (M-GEN-06).
func (c *connection) offer() []sasl.Mechanism {
	o := c.server.d.Offer(c.net.Info)
	if o.TLS = c.net.TLS() != nil; !o.TLS && !o.PlaintextWithoutTLS {
		return nil
	}
	o.Binding = o.TLS && c.binding().Available()
	return sasl.Mechanisms(o)
}

// mayShow reports whether a password may be shown on this connection.
func (c *connection) mayShow() bool {
	return c.net.TLS() != nil || c.server.d.Offer(c.net.Info).PlaintextWithoutTLS
}

func (c *connection) binding() sasl.ChannelBinding {
	state := c.net.TLS()
	if state == nil {
		return sasl.ChannelBinding{}
	}
	return sasl.ServerBinding(state, c.net.Leaf())
}

// tlsConfig is nil where STLS is not possible.
func (c *connection) tlsConfig() *tls.Config {
	if c.net.TLS() != nil || c.server.d.TLS == nil {
		return nil
	}
	return c.server.d.TLS()
}

// refuse answers a failed login, in the same words whether the name exists.
func (c *connection) refuse(err error) outcome {
	var o outcome
	switch {
	case errors.Is(err, sasl.ErrCancelled):
		return says(pop3.Err("", "Authentication cancelled"))
	case errors.Is(err, sasl.ErrProtocol):
		return c.wrong("Cannot read the response", err)
	case errors.Is(err, sasl.ErrCredentials), errors.Is(err, sasl.ErrBinding):
		o = says(pop3.Err(pop3.AuthFailed, "Wrong name or password").Because(err))
	default:
		o = says(pop3.Err(pop3.SysTemp, "Cannot log in now, try again later").Because(err))
	}
	var last bool
	if o.hold, last = c.guard.Penalty(); last {
		o.Response = o.Closing()
	}
	return o
}

// enter opens the maildrop of who has logged in. The client stays in the
// AUTHORIZATION state if that fails (RFC 1939 §4).
func (c *connection) enter(row store.AccountRow) outcome {
	if !c.server.locks.take(row.ID) {
		return says(pop3.Err(pop3.InUse, "The maildrop is in use by another session"))
	}
	drop, err := openMaildrop(c.ctx, c.server.d.Store.Account(row.ID))
	if err != nil {
		c.server.locks.release(row.ID)
		return c.trouble(err)
	}
	c.drop, c.session = drop, nil
	c.net.LoggedIn(row)
	return says(pop3.OK(drop.summary()))
}
