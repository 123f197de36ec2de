package imapd

import (
	"context"
	"log/slog"
	"strings"

	"posthorn/internal/base/event"
	"posthorn/internal/wire/imap"
)

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
