package imapd

import (
	"context"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/wire/imap"
)

// handshakeTime bounds a TLS handshake.
const handshakeTime = 30 * time.Second

// runStartTLS is STARTTLS (RFC 3501 §6.2.1). Octets that came in plain text
// behind the command are an injection: the connection ends, nothing of them is
// read (CVE-2011-0411).
func runStartTLS(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	if err := c.dec.End(); err != nil {
		return failed(err)
	}
	config := c.s.tlsConfig()
	if c.net.TLS() != nil || config == nil {
		return imap.Response{Status: imap.BAD, Text: "STARTTLS is not available"}
	}
	if c.dec.Buffered() > 0 || c.in.has {
		c.closing = true
		return imap.Response{Status: imap.BAD, Text: "Plain text behind STARTTLS"}
	}
	c.enc.Response(cmd.Tag, imap.Response{Status: imap.OK, Text: "Begin TLS now"})
	if c.enc.Flush() != nil {
		c.closing = true
		return imap.Response{}
	}
	// A session ticket behind the handshake makes a known client (imaplib2, and
	// with it offlineimap) read and write at once, and hang. Resumption is for
	// implicit TLS.
	config = config.Clone()
	config.SessionTicketsDisabled = true
	if err := c.net.StartTLS(ctx, config, handshakeTime); err != nil {
		c.log.Log(event.TLSFailed, event.Err(err))
		c.abort()
		return imap.Response{}
	}
	c.log.Log(event.TLSStarted)
	c.dec.Reset(&c.in)
	c.errors = 0
	return imap.Response{}
}

// abort ends the connection without a word more.
func (c *conn) abort() {
	c.closing = true
	c.enc = imap.NewEncoder(discard{})
}

// discard takes what nobody can read any more.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
