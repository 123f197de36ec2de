package cert

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
)

// A resumed session shows no certificate: the client goes on with the one it
// was shown before, and may bind its login to that (RFC 5929 §4). So the ticket
// says which certificates were in force, sessions are resumed while they are,
// and the connection is told of the one the client knows.

// resumable sets the hooks for that.
func (s *Store) resumable(c *tls.Config) {
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		_, _ = s.get(hello) // a full handshake asks again, and fails by it
		return nil, nil
	}
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, s.mark())
		return c.EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := c.DecryptTicket(ticket, state)
		if err != nil || session == nil || len(session.Extra) != 1 || !bytes.Equal(session.Extra[0], s.mark()) {
			return nil, err
		}
		return session, nil
	}
}

// mark stands for the certificates in force. Those of Source are not in it.
func (s *Store) mark() []byte {
	h := sha256.New()
	for _, l := range *s.current.Load() {
		h.Write(l.sum[:])
	}
	return h.Sum(nil)
}
