package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runNamespace: everything is the user's own (RFC 2342).
func runNamespace(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.enc.Untagged()
	c.enc.Atom(`NAMESPACE (("" "/")) NIL NIL`)
	c.enc.End()
	return completed("NAMESPACE")
}
