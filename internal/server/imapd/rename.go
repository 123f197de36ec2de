package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runRename is RENAME (RFC 3501 §6.3.5, RFC 9051 §6.3.6).
func runRename(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	from, to, err := c.dec.Rename()
	if err == nil {
		to = canonical(to)
		err = imap.CheckName(to)
	}
	if err != nil {
		return failed(err)
	}
	mb, err := c.find(ctx, from)
	if err != nil {
		return failed(err)
	}
	if err := c.session.account.RenameMailbox(ctx, mb.ID, to); err != nil {
		return failed(err)
	}
	if v := c.session.view; v != nil && v.id == mb.ID {
		v.refreshed(ctx)
	}
	if c.session.rev2 && mb.Name != imap.Inbox { // INBOX stays; only its messages moved
		c.listCanonical(to, mb.Name)
	}
	return completed("RENAME")
}
