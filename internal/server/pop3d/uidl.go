package pop3d

import (
	"fmt"

	"posthorn/internal/wire/pop3"
)

// uidl tells unique-ids (RFC 1939 §7).
func (c *connection) uidl(cmd pop3.Command) outcome {
	if cmd.Message != 0 {
		m, err := c.drop.find(cmd.Message)
		if err != nil {
			return noMessage()
		}
		return says(pop3.OK(fmt.Sprintf("%d %s", cmd.Message, c.drop.uid(m))))
	}
	o := says(pop3.OK("Unique-ids follow"))
	o.body = c.drop.listing(func(b []byte, number int, m *message) []byte { return pop3.AppendUID(b, number, c.drop.uid(m)) })
	return o
}
