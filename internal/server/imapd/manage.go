package imapd

import (
	"context"
	"errors"

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

// runRename is RENAME (RFC 3501 §6.3.5).
func runRename(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	from, to, err := c.dec.Rename()
	if err == nil {
		err = imap.CheckName(to)
	}
	if err != nil {
		return failed(err)
	}
	mb, err := c.session.account.FindMailbox(ctx, from)
	if err != nil {
		return failed(err)
	}
	if err := c.session.account.RenameMailbox(ctx, mb.ID, to); err != nil {
		return failed(err)
	}
	if v := c.session.view; v != nil && v.id == mb.ID {
		if err := v.refresh(ctx); err != nil && !errors.Is(err, store.ErrNotFound) {
			return failed(err)
		}
	}
	return completed("RENAME")
}

// runSubscribe is SUBSCRIBE and UNSUBSCRIBE. A name need not exist
// (RFC 3501 §6.3.6), but must be one that could.
func runSubscribe(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	name, err := c.dec.MailboxArg()
	on := cmd.Verb == "SUBSCRIBE"
	if err == nil && on {
		err = imap.CheckName(name)
	}
	if err == nil {
		err = c.session.account.SetSubscribed(ctx, name, on)
	}
	if err != nil {
		return failed(err)
	}
	return completed(cmd.Verb)
}
