// Package imapd is the IMAP server (RFC 3501 and, once a client enables it,
// RFC 9051, with the extensions that capability.go lists): the last room of a
// message's way, where clients read it.
//
//	listen ─► connection ⊃ session ⊃ selected mailbox (view)
//	              │            │            └ state/mailbox, what all sessions of the node share
//	              │            └ state/store, one account
//	              └ wire/imap Decoder and Encoder
//
// table.go lists the commands: verb, states, what the client may be told after
// it, handler. Each verb has a file. A handler returns an imap.Response; the
// loop in conn.go writes it, counts errors and hangs up. Only view.go knows
// sequence numbers.
//
// What SEARCH, SORT and THREAD ask of header fields is kept in columns, a block
// of UIDs at a time (headers.go), made when somebody first asks.
//
// The package knows no SQL, no passwords and no files: the store, the
// directory of mailboxes and whoever checks credentials come in by Deps.
package imapd

import (
	"context"
	"crypto/tls"
	"hash/maphash"
	"net/netip"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// Store is what the server needs of the store.
type Store interface {
	NewDraft(ctx context.Context, size int64) (store.Draft, error)
	Account(id store.AccountID) store.Account
}

// Mailboxes opens mailboxes; *mailbox.Registry does.
type Mailboxes interface {
	Open(ctx context.Context, account store.AccountID, id store.MailboxID) (*mailbox.Mailbox, func(), error)
}

// Guard checks the credentials shown on one connection, counts and logs
// failures, and says what each costs; *auth.Guard is one.
type Guard interface {
	// Connect fails for a client that is to be sent away unheard.
	Connect() error
	// Begin starts an exchange; sasl.ErrMechanism if it is not among offered.
	Begin(mechanism string, binding sasl.ChannelBinding, offered []sasl.Mechanism) (sasl.Server, error)
	// ProtocolError counts a command that no client of the protocol sends.
	ProtocolError()
	// Penalty is how long the answer to the last failure is held back, and
	// whether the connection has had its last.
	Penalty() (delay time.Duration, last bool)
	// Account is who logged in.
	Account() store.AccountRow
}

// Deps are what a Server works with. All but Log and TLS are needed.
type Deps struct {
	Store     Store
	Mailboxes Mailboxes
	// Guard makes the guard of a connection to a listener.
	Guard func(client netip.Addr, listener string, log *event.Logger) Guard
	// Offer says which ways to log in there are; TLS and Binding are filled in here.
	Offer func() sasl.Offer
	// Settings returns the settings in force (a setting.Handle's Get).
	Settings func() *Settings
	// TLS returns the configuration for STARTTLS; nil, or a nil result, means
	// that there is none.
	TLS func() *tls.Config
	Log *event.Logger
}

// Server serves IMAP connections; it implements listen.Server.
type Server struct {
	d       Deps
	headers *mailbox.Blocks[*headers]
	words   *mailbox.Blocks[*words]
	seed    maphash.Seed // of what headers remembers of identifiers
}

var _ listen.Server = (*Server)(nil)

// New returns a Server. It starts nothing.
func New(d Deps) *Server {
	return &Server{d: d, headers: mailbox.NewBlocks[*headers](headerMemory), words: mailbox.NewBlocks[*words](wordMemory), seed: maphash.MakeSeed()}
}

// Refuse implements listen.Server.
func (s *Server) Refuse(listen.Reason, listen.Info) []byte {
	return []byte("* BYE [UNAVAILABLE] Too busy, try again later\r\n")
}

// tlsConfig returns the configuration for STARTTLS, nil if there is none.
func (s *Server) tlsConfig() *tls.Config {
	if s.d.TLS == nil {
		return nil
	}
	return s.d.TLS()
}
