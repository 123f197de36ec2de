package pop3d

import "posthorn/internal/wire/pop3"

// rset takes all marks off (RFC 1939 §5).
func (c *connection) rset(pop3.Command) outcome {
	c.drop.reset()
	return says(pop3.OK(c.drop.summary()))
}
