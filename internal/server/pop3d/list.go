package pop3d

import (
	"fmt"

	"posthorn/internal/wire/pop3"
)

// list tells sizes (RFC 1939 §5, §11): the octets RETR sends before
// dot-stuffing, every line of them ending in CRLF.
func (c *connection) list(cmd pop3.Command) outcome {
	if cmd.Message != 0 {
		m, err := c.drop.find(cmd.Message)
		if err != nil {
			return noMessage()
		}
		return says(pop3.OK(fmt.Sprintf("%d %d", cmd.Message, m.size)))
	}
	o := says(pop3.OK(c.drop.summary()))
	o.body = c.drop.listing(func(b []byte, number int, m *message) []byte { return pop3.AppendScan(b, number, m.size) })
	return o
}

// noMessage answers a number that no message has, or one that is marked.
func noMessage() outcome { return says(pop3.Err("", "No such message")) }
