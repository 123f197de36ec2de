package smtpd

import (
	"crypto/tls"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/wire/smtp"
)

// handshakeTime bounds the TLS handshake after STARTTLS.
const handshakeTime = 30 * time.Second

// starttls answers STARTTLS (RFC 3207). Input that came with the command is an
// injection: the connection ends without a word (reliability.md row 19).
func (s *session) starttls(arg string) outcome {
	c := s.c
	if s.facts.TLS {
		return says(reply.New(503, reply.E(5, 5, 1), "TLS is on already"))
	}
	if r, ok := nothing(arg); !ok {
		return says(r)
	}
	if c.server.TLS == nil {
		return says(replyUnsupported)
	}
	config := s.tlsConfig()
	if config == nil {
		return says(replyNoTLS)
	}
	if c.in.Buffered() > 0 {
		c.log.Log(event.TLSFailed, slog.String("reason", "input was pipelined behind STARTTLS"))
		c.closing = true
		return outcome{}
	}
	c.then = func() outcome {
		if err := c.upgrade(config); err != nil {
			c.closing = true
			c.log.Log(event.TLSFailed, event.Err(err))
		}
		return outcome{}
	}
	return says(reply.New(220, reply.E(2, 0, 0), "Go ahead"))
}

// upgrade does the handshake and begins a new session.
func (c *connection) upgrade(config *tls.Config) error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.net.StartTLS(c.ctx, config, handshakeTime); err != nil {
		return err
	}
	c.in.Release()
	c.in = smtp.NewReader(c)
	c.session = c.session.renewed()
	return nil
}
