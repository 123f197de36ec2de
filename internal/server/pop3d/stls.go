package pop3d

import (
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/wire/pop3"
)

// handshakeTime bounds the TLS handshake after STLS.
const handshakeTime = 30 * time.Second

// stls begins TLS (RFC 2595 §4). Input that came with the command is an
// injection: the connection ends without a word (reliability row 19).
func (c *connection) stls(pop3.Command) outcome {
	if c.net.TLS() != nil {
		return c.wrong("TLS is on already", nil)
	}
	config := c.tlsConfig()
	if config == nil {
		return says(pop3.Err("", "TLS is not available"))
	}
	if c.in.Buffered() > 0 {
		c.log.Log(event.TLSFailed, slog.String("reason", "input was pipelined behind STLS"))
		c.closing = true
		return outcome{}
	}
	o := says(pop3.OK("Begin TLS"))
	o.then = func() outcome {
		err := c.flush()
		if err == nil {
			err = c.net.StartTLS(c.ctx, config, handshakeTime)
		}
		if err != nil {
			c.log.Log(event.TLSFailed, event.Err(err))
			c.closing = true
			return outcome{}
		}
		c.in, c.lineSince, c.session = pop3.NewReader(c), time.Time{}, &session{}
		return outcome{}
	}
	return o
}
