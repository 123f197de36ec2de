package pop3d

import "posthorn/internal/wire/pop3"

// noop does nothing (RFC 1939 §5).
func (c *connection) noop(pop3.Command) outcome { return says(pop3.OK("")) }
