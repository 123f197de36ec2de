package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runLogout says goodbye first, as RFC 3501 §6.1.3 wants it.
func runLogout(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.enc.Response("", imap.Response{Status: imap.BYE, Text: "Goodbye"})
	c.closing = true
	return completed("LOGOUT")
}
