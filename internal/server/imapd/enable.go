package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runEnable turns extensions on (RFC 5161) and names those it did.
func runEnable(_ context.Context, c *conn, _ imap.Command) imap.Response {
	names, err := c.dec.Enable()
	if err != nil {
		return failed(err)
	}
	s := c.session
	c.enc.Untagged()
	c.enc.Atom("ENABLED")
	for _, name := range names {
		switch name {
		case "CONDSTORE":
			s.condStore = true
		case "QRESYNC": // RFC 7162 §3.2.3
			s.condStore, s.qresync = true, true
		default:
			continue
		}
		c.enc.Atom(name)
	}
	c.enc.End()
	return completed("ENABLE")
}
