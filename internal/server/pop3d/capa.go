package pop3d

import (
	"io"

	"posthorn/internal/wire/pop3"
)

// implementation has no version number: nobody but attackers would use it.
const implementation = "posthorn"

// capa lists what is possible now (RFC 2449 §5). What belongs to the login is
// left out after it.
func (c *connection) capa(pop3.Command) outcome {
	caps := pop3.Capabilities{UTF8: true, Implementation: implementation}
	if c.drop == nil {
		caps.User, caps.STLS = c.mayShow(), c.tlsConfig() != nil
		for _, m := range c.offer() {
			caps.SASL = append(caps.SASL, string(m))
		}
	}
	o := says(pop3.OK("Capabilities follow"))
	o.body = func(w io.Writer) error {
		_, err := w.Write(pop3.AppendEnd(caps.Append(nil)))
		return err
	}
	return o
}
