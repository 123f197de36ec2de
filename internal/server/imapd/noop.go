package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runNoop is NOOP and CHECK: the client polls, so it hears of everything
// committed before (RFC 3501 §6.1.2, §6.4.1).
func runNoop(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	if c.state() == selected {
		if err := c.session.view.refresh(ctx); err != nil {
			return failed(err)
		}
	}
	return completed(cmd.Verb)
}
