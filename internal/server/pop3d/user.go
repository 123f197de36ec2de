package pop3d

import "posthorn/internal/wire/pop3"

// user takes the name for PASS and says yes to any (RFC 1939 §7). Before TLS it
// is refused, so that no password follows (M-GEN-06).
func (c *connection) user(cmd pop3.Command) outcome {
	if !c.mayShow() {
		return says(responseNoTLS)
	}
	c.session.name = cmd.Text
	return says(pop3.OK("Send PASS"))
}
