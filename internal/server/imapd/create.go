package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// runCreate is CREATE (RFC 3501 §6.3.3). Every account has its special
// mailboxes already, so USE finds the role taken (RFC 6154 §3).
func runCreate(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.Create()
	if err == nil {
		err = imap.CheckName(arg.Mailbox)
	}
	if err != nil {
		return failed(err)
	}
	if len(arg.Use) > 0 {
		return no("USEATTR", "Special uses are taken already")
	}
	mb, err := c.session.account.CreateMailbox(ctx, arg.Mailbox, store.RoleNone)
	if err != nil {
		return failed(err)
	}
	r := completed("CREATE")
	r.Code = imap.CodeMailboxID(mailboxID(mb.ID))
	return r
}
