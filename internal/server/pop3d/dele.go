package pop3d

import (
	"fmt"

	"posthorn/internal/wire/pop3"
)

// dele marks a message; QUIT removes it (RFC 1939 §5).
func (c *connection) dele(cmd pop3.Command) outcome {
	m, err := c.drop.find(cmd.Message)
	if err != nil {
		return noMessage()
	}
	c.drop.mark(m)
	return says(pop3.OK(fmt.Sprintf("Message %d is marked", cmd.Message)))
}
