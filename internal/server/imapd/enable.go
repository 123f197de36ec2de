package imapd

import (
	"context"

	"posthorn/internal/wire/imap"
)

// runEnable turns extensions on (RFC 5161, RFC 9051 §6.3.1) and names those it
// did. What is on stays on until the end of the connection.
func runEnable(_ context.Context, c *conn, _ imap.Command) imap.Response {
	names, err := c.dec.Enable()
	if err != nil {
		return failed(err)
	}
	c.enc.Untagged()
	c.enc.Atom("ENABLED")
	for _, name := range names {
		if name = c.enable(name); name != "" {
			c.enc.Atom(name)
		}
	}
	c.enc.End()
	return completed("ENABLE")
}

// enable turns one extension on and returns its name as it is announced, ""
// for one that cannot be turned on.
func (c *conn) enable(name string) string {
	s := c.session
	switch name {
	case "CONDSTORE":
		s.condStore = true
	case "QRESYNC": // RFC 7162 §3.2.3
		s.condStore, s.qresync = true, true
	case "UTF8=ACCEPT": // RFC 6855 §3
		c.takeUTF8()
	case "IMAP4REV2":
		s.rev2 = true
		c.takeUTF8() // RFC 9051 §5.1
		return "IMAP4rev2"
	default:
		return ""
	}
	return name
}

// takeUTF8: mailbox names and quoted strings are UTF-8 from here on, both ways.
func (c *conn) takeUTF8() {
	c.dec.SetUTF8(true)
	c.enc.SetUTF8(true)
}
