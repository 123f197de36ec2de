package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runUnselect leaves the mailbox as it is (RFC 3691).
func runUnselect(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.session.deselect()
	return completed("UNSELECT")
}
