package pop3d

import (
	"io"

	"posthorn/internal/wire/pop3"
)

// top sends the header section and some lines of the body (RFC 1939 §7).
func (c *connection) top(cmd pop3.Command) outcome {
	o := c.fetch(cmd.Message, func(w io.Writer, r io.Reader) error {
		_, err := pop3.WriteTop(w, r, cmd.Lines)
		return err
	})
	if o.OK {
		o.Text = "Top of the message follows"
	}
	return o
}
