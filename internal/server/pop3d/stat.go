package pop3d

import (
	"fmt"

	"posthorn/internal/wire/pop3"
)

// stat counts what is not marked (RFC 1939 §5).
func (c *connection) stat(pop3.Command) outcome {
	return says(pop3.OK(fmt.Sprintf("%d %d", c.drop.left, c.drop.octets)))
}
