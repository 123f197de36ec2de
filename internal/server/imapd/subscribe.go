package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runSubscribe is SUBSCRIBE and UNSUBSCRIBE. A name need not exist
// (RFC 3501 §6.3.6), but must be one that could.
func runSubscribe(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	name, err := c.dec.MailboxArg()
	on := cmd.Verb == "SUBSCRIBE"
	if err == nil && on {
		name = canonical(name)
		err = imap.CheckName(name)
	}
	if err == nil {
		err = c.session.account.SetSubscribed(ctx, name, on)
	}
	if other := canonical(name); err == nil && other != name {
		err = c.session.account.SetSubscribed(ctx, other, false)
	}
	if err != nil {
		return failed(err)
	}
	return completed(cmd.Verb)
}
