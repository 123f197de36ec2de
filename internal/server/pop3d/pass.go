package pop3d

import "posthorn/internal/wire/pop3"

// pass logs in (RFC 1939 §7). After a failure the client begins with USER again.
func (c *connection) pass(cmd pop3.Command) outcome {
	if !c.mayShow() {
		return says(responseNoTLS)
	}
	name := c.session.name
	c.session.name = ""
	if name == "" {
		return c.wrong("Send USER first", nil)
	}
	row, err := c.guard.Password(c.ctx, name, cmd.Text)
	if err != nil {
		return c.refuse(err)
	}
	return c.enter(row)
}
