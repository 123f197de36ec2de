package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
)

// Options of a Group. The functions are asked for each new connection, so
// that a changed setting works at once; a nil one means nothing.
type Options struct {
	Log *event.Logger
	// Sessions makes the session identifiers; nil for an own source.
	Sessions *ident.Source
	// Limits bound the connections.
	Limits func() Limits
	// Proxies may name the client by a PROXY header, and must.
	Proxies func() []netip.Prefix
	// Exempt reports hosts that PerHost does not bind: loopback, trusted ones.
	Exempt func(netip.Addr) bool
	// Tight reports that memory is short: newcomers are refused.
	Tight func() bool
	// HandshakeTimeout bounds implicit TLS handshakes; 0 means 30 seconds.
	HandshakeTimeout time.Duration
}

// Group runs the listeners of one process under common limits. Use NewGroup.
type Group struct {
	o        Options
	ctx      context.Context
	cancel   context.CancelCauseFunc
	admitted *admission
	spare    *spare
	most     int // connections the process has descriptors for
	refused  refusalLog

	mu      sync.Mutex
	sockets []*Socket
	stopped bool

	accepting, sessions sync.WaitGroup
	accepted            atomic.Uint64
}

// ErrStopped is returned by Start after Stop.
var ErrStopped = errors.New("listen: the group has been stopped")

// NewGroup returns a group without listeners. It must be stopped.
func NewGroup(o Options) *Group {
	if o.Sessions == nil {
		o.Sessions = ident.NewSource()
	}
	if o.Limits == nil {
		o.Limits = func() Limits { return Limits{} }
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = 30 * time.Second
	}
	g := &Group{o: o, admitted: newAdmission(), spare: newSpare(), most: descriptors()}
	g.refused.log = o.Log
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	return g
}

// Start accepts connections on the socket for the server until Stop, which
// also closes the socket. config is needed where the name implies TLS.
func (g *Group) Start(s *Socket, server Server, config *tls.Config) error {
	if s.Name.TLS && config == nil {
		return errors.New("listen: " + s.Name.Name + " needs a certificate")
	}
	if !s.Name.TLS {
		config = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return ErrStopped
	}
	g.sockets = append(g.sockets, s)
	g.o.Log.Log(event.ListenerOpened, slog.String("listener", s.Name.Name), slog.String("addr", s.Address()))
	door := &door{Group: g, socket: s, server: server, config: config}
	g.accepting.Go(door.accept)
	return nil
}

// limits are those set, within what the process can open: the store must
// never be the one to find that no descriptor is left (reliability row 9).
func (g *Group) limits() Limits {
	l := g.o.Limits()
	if l.Total <= 0 || l.Total > g.most {
		l.Total = g.most
	}
	l.Reserved = min(l.Reserved, l.Total/2)
	return l
}

// descriptors returns how many connections the limit on open files leaves
// after an eighth, at least 64, for the store and outgoing connections.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 512 // half of the smallest usual limit
	}
	n := int(min(l.Cur, 1<<24))
	return max(16, n-max(64, n/8))
}

// Stats is a snapshot for status and metrics.
type Stats struct {
	Open      int            // connections now
	Listeners map[string]int // of them by listener
	Hosts     int            // different client hosts
	Accepted  uint64         // sessions begun since the start
	Refused   uint64         // connections turned away since the start
}

// Stats returns the numbers of this moment.
func (g *Group) Stats() Stats {
	s := Stats{Hosts: g.admitted.hosts.Hosts(), Accepted: g.accepted.Load(), Refused: g.refused.count.Load()}
	g.admitted.mu.Lock()
	defer g.admitted.mu.Unlock()
	s.Open, s.Listeners = g.admitted.open, map[string]int{}
	for name, n := range g.admitted.listeners {
		s.Listeners[name] = n
	}
	return s
}

// Stop closes the listeners, tells every session to end and waits for them
// until the context is done; then it closes their connections. It returns
// how many had to be closed that way. A second Stop waits for nothing.
func (g *Group) Stop(ctx context.Context) (cut int) {
	g.mu.Lock()
	sockets := g.sockets
	g.sockets, g.stopped = nil, true
	g.mu.Unlock()
	for _, s := range sockets {
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			g.o.Log.Log(event.ListenerFailed, slog.String("listener", s.Name.Name), event.Err(err))
		}
	}
	g.accepting.Wait()
	g.spare.close()
	g.cancel(ErrStopping)
	for _, t := range g.admitted.everyone() {
		t.link.interrupt()
	}
	if g.wait(ctx) {
		return 0
	}
	left := g.admitted.everyone()
	for _, t := range left {
		_ = t.link.Close() // the session sees it as a broken connection
	}
	last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	g.wait(last)
	return len(left)
}

// wait reports whether all sessions ended before the context was done.
func (g *Group) wait(ctx context.Context) bool {
	done := make(chan struct{})
	go func() {
		g.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
