// Package pop3d is the door where mail is fetched by POP3 (RFC 1939, 2449,
// 2595, 3206, 5034, 6856): it shows an account's INBOX as it stood at login as
// a numbered maildrop.
//
//	connection     a socket: deadlines, failures, what is to be written  (connection.go, loop.go)
//	├ session      AUTHORIZATION: who the client says it is; STLS ends it (session.go)
//	└ maildrop     TRANSACTION: numbers, sizes, marks; QUIT commits it   (maildrop.go)
//
// A verb has a row in table.go and a handler in a file of its own. Handlers
// return an outcome; the loop alone writes, counts, delays and hangs up.
//
// What a client may rely on: DELE removes nothing until QUIT, and QUIT removes
// all that is marked in one operation of the store or, with -ERR, nothing. A
// session that ends in any other way removes nothing (RFC 1939 §6). Where
// Settings.KeepDeleted is set, removed means moved to the trash, which Purge
// clears in time. Fetching a
// message leaves its \Seen flag alone: a device that fetches everything in the
// background is no reader, and a session that deletes nothing writes nothing.
//
// One session at a time has a maildrop; others are told [IN-USE]. The lock is
// kept in this process. A cluster needs one that its nodes share, which comes
// with high availability; UIDs stay right without it, because the store
// serialises each operation.
//
// The package does not know how mail is stored, how passwords are verified, or
// who is banned.
package pop3d

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/pop3"
	"posthorn/internal/wire/sasl"
)

// Guard lets one client log in, counts and logs its failures, and says what
// they cost; *auth.Guard does. An error that wraps none of package sasl's is a
// temporary one.
type Guard interface {
	// Connect refuses a client that is to be sent away unheard.
	Connect() error
	Password(ctx context.Context, name, password string) (store.AccountRow, error)
	Begin(mechanism string, binding sasl.ChannelBinding, offered []sasl.Mechanism) (sasl.Server, error)
	// Account is whose exchange has succeeded.
	Account() store.AccountRow
	// Penalty is how long the answer to the last failure is held back, and
	// whether the connection ends with it.
	Penalty() (delay time.Duration, last bool)
	ProtocolError()
}

// Store is the part of store.Store a Server uses.
type Store interface {
	Account(id store.AccountID) store.Account
	Purge(ctx context.Context) (removed int, more bool, err error)
}

// Deps are what a Server works with. All but TLS and Log are needed. Functions
// are asked for each connection, so that a changed setting works for the next.
type Deps struct {
	Settings func() *Settings
	Store    Store
	Guard    func(client netip.Addr, listener string, log *event.Logger) Guard
	// Offer says which mechanisms the listener has; TLS and Binding are the
	// session's to fill. PlaintextWithoutTLS also lifts SCRAM (M-GEN-06).
	Offer func(listen.Info) sasl.Offer
	// TLS is nil, or returns nil, where STLS is not offered.
	TLS func() *tls.Config
	Log *event.Logger
}

// Server speaks POP3 on all its listeners; one Server holds the locks of all
// maildrops. It implements listen.Server.
type Server struct {
	d       Deps
	locks   locks
	delayed atomic.Int64 // sessions that wait for a delay to end
}

var _ listen.Server = (*Server)(nil)

// New returns a Server. It starts nothing.
func New(d Deps) *Server { return &Server{d: d, locks: locks{held: map[store.AccountID]struct{}{}}} }

// Serve implements listen.Server.
func (s *Server) Serve(ctx context.Context, c *listen.Conn) { newConnection(ctx, s, c).serve() }

// Refuse implements listen.Server.
func (s *Server) Refuse(reason listen.Reason, _ listen.Info) []byte {
	if reason == listen.HostFull {
		return pop3.Err(pop3.SysTemp, "Too many connections from your host, close one first").Append(nil)
	}
	return responseBusy.Append(nil)
}

// locks are the maildrops in use.
type locks struct {
	mu   sync.Mutex
	held map[store.AccountID]struct{}
}

// take locks the account's maildrop unless somebody has it.
func (l *locks) take(id store.AccountID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.held[id]; held {
		return false
	}
	l.held[id] = struct{}{}
	return true
}

func (l *locks) release(id store.AccountID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, id)
}
