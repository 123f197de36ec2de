package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runDelete is DELETE (RFC 3501 §6.3.4). Who has the mailbox selected hears
// BYE, except the client itself.
func runDelete(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	name, err := c.dec.MailboxArg()
	if err != nil {
		return failed(err)
	}
	mb, err := c.session.account.FindMailbox(ctx, name)
	if err != nil {
		return failed(err)
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
