package imapd

import (
	"context"
	"errors"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runDelete is DELETE (RFC 3501 §6.3.4). Who has the mailbox selected hears
// BYE, except the client itself.
func runDelete(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	name, err := c.dec.MailboxArg()
	if err != nil {
		return failed(err)
	}
	mb, err := c.find(ctx, name)
	if err != nil {
		return c.cannotDelete(ctx, name, err)
	}
	if err := c.session.account.DeleteMailbox(ctx, mb.ID); err != nil {
		return failed(err)
	}
	if v := c.session.view; v != nil && v.id == mb.ID {
		c.session.deselect()
		c.enc.Response("", imap.Response{Status: imap.OK, Code: imap.CodeClosed, Text: "Selected mailbox deleted"})
	}
	return completed("DELETE")
}

// cannotDelete tells a level above other mailboxes from a name that is not
// there at all (RFC 9051 §6.3.5, §7.1).
func (c *conn) cannotDelete(ctx context.Context, name string, err error) imap.Response {
	if errors.Is(err, store.ErrNotFound) {
		children, err := c.hasChildren(ctx, name)
		if err != nil {
			return failed(err)
		}
		if children {
			return no(imap.CodeHasChildren, "There are mailboxes below it")
		}
	}
	return failed(err)
}
