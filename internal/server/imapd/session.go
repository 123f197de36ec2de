package imapd

import (
	"posthorn/internal/state/store"
)

// session is what begins with a login.
type session struct {
	c       *conn
	account store.Account
	// condStore: the client wants MODSEQ in every FETCH response (RFC 7162
	// §3.1); it stays so until the end of the connection.
	condStore bool
	// qresync: expunges are told as VANISHED (RFC 7162 §3.2).
	qresync bool
	// rev2: the client speaks IMAP4rev2 (RFC 9051): results of searches come as
	// ESEARCH, and nothing is \Recent.
	rev2 bool
	view *view // nil when no mailbox is selected
}

// state returns where the client stands.
func (c *conn) state() state {
	switch {
	case c.session == nil:
		return notAuthenticated
	case c.session.view == nil:
		return authenticated
	}
	return selected
}

// deselect leaves the selected mailbox, if there is one.
func (s *session) deselect() {
	if s.view != nil {
		s.view.release()
		s.view = nil
	}
}
