package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runMove is MOVE and UID MOVE (RFC 6851). COPYUID comes before the EXPUNGE
// responses, which the loop writes.
func runMove(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	t, err := c.transfer(ctx, cmd)
	if err != nil {
		return failed(err)
	}
	v := c.session.view
	switch {
	case t.refused.Status != "":
		return t.refused
	case v.readOnly:
		return readOnly()
	case len(t.uids) == 0:
		return completed("MOVE")
	}
	result, err := c.session.account.Move(ctx, v.id, t.uids, t.to)
	if err != nil {
		return tryCreate(err)
	}
	if code := copyUID(result); code != "" {
		v.tellCode(code, "Moved")
	}
	v.refreshed(ctx)
	return v.withHighest(completed("MOVE"))
}
