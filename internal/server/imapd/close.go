package imapd

import (
	"context"
	"errors"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runClose expunges without telling and leaves the mailbox (RFC 3501 §6.4.2).
func runClose(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	v := c.session.view
	if !v.readOnly {
		_, _, err := c.session.account.Expunge(ctx, v.id, everything, true)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return failed(err)
		}
	}
	c.session.deselect()
	return completed("CLOSE")
}
