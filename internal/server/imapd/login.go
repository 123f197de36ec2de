package imapd

import (
	"context"
	"errors"
	"time"

	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/sasl"
)

// runLogin is LOGIN (RFC 3501 §6.2.3). Before TLS it is refused without
// looking at the password (M-GEN-06).
func runLogin(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	if !c.mayLogin() {
		return no(imap.CodePrivacyRequired, "Use STARTTLS first")
	}
	user, password, err := c.dec.Login()
	if err != nil {
		return failed(err)
	}
	// PLAIN has the checks of names and of empty passwords that LOGIN needs too.
	server, err := c.guard.Begin(string(sasl.Plain), sasl.ChannelBinding{}, []sasl.Mechanism{sasl.Plain})
	if err != nil {
		return failed(err)
	}
	r := c.exchange(ctx, server, []byte("\x00"+user+"\x00"+password))
	if r.Status == imap.BAD { // a name no account has, not a syntax fault
		return c.refuseLogin(ctx, sasl.ErrCredentials)
	}
	return r
}

// refuseLogin answers a failed login after the delay it costs; the words are
// the same for unknown names and wrong passwords.
func (c *conn) refuseLogin(ctx context.Context, err error) imap.Response {
	delay, last := c.guard.Penalty()
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
	r := no(imap.CodeAuthenticationFailed, "Authentication failed")
	switch {
	case errors.Is(err, sasl.ErrProtocol):
		return imap.Response{Status: imap.BAD, Text: "Malformed response"}
	case !errors.Is(err, sasl.ErrCredentials) && !errors.Is(err, sasl.ErrBinding):
		r = no(imap.CodeUnavailable, "Cannot check that now, try again later")
	}
	if last {
		r.Close, r.Text = true, "Too many failed logins"
	}
	return r
}

// enter begins the session of whoever proved to be the owner of an account.
func (c *conn) enter() imap.Response {
	row := c.guard.Account()
	c.session = &session{c: c, account: c.s.d.Store.Account(row.ID)}
	c.net.LoggedIn(row)
	c.errors = 0
	c.dec.SetLimits(imap.AfterLogin(int64(c.set.MessageSize) * 2))
	return imap.Response{Status: imap.OK, Code: imap.CodeCapability(c.capabilities()), Text: "Logged in"}
}
