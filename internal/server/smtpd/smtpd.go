// Package smtpd is the door mail comes in by: SMTP on port 25, submission,
// submissions and LMTP, from the greeting to QUIT.
//
// It reads commands with wire/smtp, asks policy what to do, streams content
// into a draft of the store and hands what was accepted to flow/accept. It does
// not know which checks there are, where mail is filed, or what a queue is.
//
//	connection   a socket: counters of errors and junk, deadlines    (connection.go)
//	└ session    from EHLO on: names, login, facts; STARTTLS ends it  (session.go)
//	  └ transaction  from MAIL on: envelope and content; RSET ends it (transaction.go)
//
// A verb has a row in table.go and a handler in a file of its own. Handlers
// return a reply; the loop alone writes, counts, delays and hangs up (loop.go).
package smtpd

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
	"posthorn/internal/wire/sasl"
)

// Policy judges attempts; *policy.Pipeline does.
type Policy interface {
	Classify(f *policy.Facts)
	Listed(ctx context.Context, f *policy.Facts)
	Limits(f *policy.Facts) policy.Limits
	Judge(ctx context.Context, stage policy.Stage, f *policy.Facts) policy.Decision
}

// Directory says what an address leads to.
type Directory interface {
	Resolve(ctx context.Context, addr mail.Address) (directory.Resolution, error)
}

// Guard lets one client log in, counts and logs its failures over all
// protocols, and says what they cost; *auth.Guard does.
type Guard interface {
	Begin(mechanism string, b sasl.ChannelBinding, offered []sasl.Mechanism) (sasl.Server, error)
	Account() store.AccountRow
	Penalty() (delay time.Duration, last bool)
	ProtocolError()
}

// Watch is told what strangers do, over all sessions and nodes: it bans, and
// knows who is known for good mail.
type Watch interface {
	// UnknownRecipient is told of a recipient that nobody here has (M-SEC-ADV-04,
	// B1G-BAN-01), and reports that the client is not let in any more.
	UnknownRecipient(f *policy.Facts, address string) (over bool)
	// Judged is told what the rules made of the content of a message from outside,
	// before anything follows from it. It may look at the facts during the call,
	// and must not wait.
	Judged(f *policy.Facts, d *policy.Decision)
	// Accepted is told of a message taken from outside.
	Accepted(f *policy.Facts)
}

// Store is the part of store.Store a session uses itself.
type Store interface {
	NewDraft(ctx context.Context, size int64) (store.Draft, error)
	Room(ctx context.Context) (store.Room, error)
}

// Door takes responsibility for a message; *accept.Door does.
type Door interface {
	Accept(ctx context.Context, e *accept.Envelope, c *accept.Content) error
}

// Deps are what a Server works with. Functions are asked again and again, so
// that a changed setting works for the next session.
type Deps struct {
	Settings  func() *Settings
	Hostname  func() string
	Policy    Policy
	Directory Directory
	// Sources are what checks may ask.
	Sources policy.Sources
	Store   Store
	Door    Door
	Idents  *ident.Source
	// Guard makes the guard of a connection; nil where nobody can log in.
	Guard func(client netip.Addr, listener string, log *event.Logger) Guard
	// Offer says which mechanisms the listener has; TLS and Binding are the
	// session's to fill. PlaintextWithoutTLS also lifts SCRAM (M-GEN-06).
	Offer func(listen.Info) sasl.Offer
	// Watch is told what strangers do; nil watches nobody.
	Watch Watch
	// Results is our name in Authentication-Results fields: those that claim to be
	// ours are taken out of what comes in. "" takes none out; nil means "".
	Results func() string
	// TLS is nil, or returns nil, where STARTTLS is not offered.
	TLS func() *tls.Config
	// Tight reports that memory is short; nil means never. New transactions
	// are then put off (reliability.md row 8).
	Tight func() bool
	// Recorder keeps decision records; nil keeps none.
	Recorder *record.Recorder
	Log      *event.Logger
}

// Server speaks SMTP and LMTP. It implements listen.Server.
type Server struct {
	Deps
	delayed atomic.Int64 // sessions that wait for a delay to end
	room    atomic.Pointer[roomReading]
	parsers sync.Pool // *mime.Parser
}

// New returns a Server.
func New(d Deps) *Server {
	s := &Server{Deps: d}
	s.parsers.New = func() any { return mime.NewParser() }
	return s
}

// Serve implements listen.Server.
func (s *Server) Serve(ctx context.Context, c *listen.Conn) { newConnection(ctx, s, c).serve() }

// Refuse implements listen.Server.
func (s *Server) Refuse(reason listen.Reason, info listen.Info) []byte {
	if reason == listen.HostFull {
		return reply.New(421, reply.E(4, 7, 0), "Too many connections from "+info.Client.Addr().String()).Append(nil)
	}
	return replyBusy.Append(nil)
}

// roomReading is what Room said, and when.
type roomReading struct {
	room store.Room
	at   time.Time
}

// readRoom asks for the free space at most once a second.
func (s *Server) readRoom(ctx context.Context, now time.Time) (store.Room, error) {
	if last := s.room.Load(); last != nil && now.Sub(last.at) < time.Second && !now.Before(last.at) {
		return last.room, nil
	}
	room, err := s.Store.Room(ctx)
	if err == nil {
		s.room.Store(&roomReading{room, now})
	}
	return room, err
}
