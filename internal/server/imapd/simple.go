package imapd

import (
	"context"
	"log/slog"
	"strings"

	"posthorn/internal/base/event"
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

// runLogout says goodbye first, as RFC 3501 §6.1.3 wants it.
func runLogout(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.enc.Response("", imap.Response{Status: imap.BYE, Text: "Goodbye"})
	c.closing = true
	return completed("LOGOUT")
}

// runID tells the name only: versions help attackers first (RFC 2971 §1).
func runID(_ context.Context, c *conn, _ imap.Command) imap.Response {
	fields, err := c.dec.ID()
	if err != nil {
		return failed(err)
	}
	for _, f := range fields {
		if strings.EqualFold(f.Key, "name") {
			c.log.Log(event.SessionCommand, slog.String("command", "ID"), slog.String("name", f.Value))
		}
	}
	c.enc.Untagged()
	c.enc.Atom("ID")
	c.enc.Open()
	c.enc.Text("name")
	c.enc.Text("posthorn")
	c.enc.Close()
	c.enc.End()
	return completed("ID")
}

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

// runNamespace: everything is the user's own (RFC 2342).
func runNamespace(_ context.Context, c *conn, _ imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	c.enc.Untagged()
	c.enc.Atom(`NAMESPACE (("" "/")) NIL NIL`)
	c.enc.End()
	return completed("NAMESPACE")
}
