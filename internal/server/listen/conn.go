package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"posthorn/internal/state/store"
)

// Conn is a connection as a protocol server gets it: a net.Conn with what is
// known about it. Like any net.Conn it may be read and written by two
// goroutines; StartTLS must be alone.
type Conn struct {
	Info
	net.Conn // the link, or TLS over it; Close under TLS takes 5 s at most
	link     *link
	tls      *tls.Conn
	login    func(store.AccountID, Credential)
}

// NewConn makes a connection outside a Group, as tests of protocol servers do.
func NewConn(raw net.Conn, info Info) *Conn {
	l := newLink(raw, info)
	return &Conn{Info: info, Conn: l, link: l}
}

// TLS returns the state of the TLS connection, nil in plain text.
func (c *Conn) TLS() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// Leaf returns the certificate this side showed, for channel binding: in a
// resumed session, which shows none, that of the session. It is nil in plain text.
func (c *Conn) Leaf() *x509.Certificate {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.link.leaf
}

// StartTLS does the server's side of a handshake; it is bounded by the
// context and by timeout. After an error the connection is of no more use.
// The caller must have discarded what it had read ahead: octets sent in plain
// text before the handshake are an injection (reliability row 19).
func (c *Conn) StartTLS(ctx context.Context, config *tls.Config, timeout time.Duration) error {
	if c.tls != nil {
		return errors.New("listen: TLS is on already")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := tls.Server(c.link, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("listen: TLS handshake: %w", err)
	}
	c.tls, c.Conn = t, t
	return nil
}

// LoggedIn tells who has authenticated, and by what: from now on the
// connection belongs to the users' share and is never closed to make room. It
// lasts as long as row's account may log in with what row has (Group.End).
func (c *Conn) LoggedIn(row store.AccountRow) {
	if c.login != nil {
		c.login(row.ID, CredentialOf(row))
	}
}

// Shield keeps a stop from failing reads while a transfer is running, so that
// the message under way can finish within the grace; unshielding applies it.
func (c *Conn) Shield(on bool) { c.link.shield(on) }

// CloseWrite ends this side's half of the connection, so that the peer reads
// what was written before the connection is closed. It does nothing where the
// socket cannot.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// CloseWrite is that of TCP and Unix sockets.
func (l *link) CloseWrite() error {
	if w, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// link is the raw connection with two additions: octets read ahead by the
// PROXY parser, and reads that can be made to fail for good.
type link struct {
	net.Conn
	ahead  []byte
	client net.Addr // nil: as the socket says
	local  net.Addr
	closed chan struct{}
	once   sync.Once

	mu          sync.Mutex
	readAt      time.Time // the deadline the session asked for
	interrupted bool
	shielded    bool
	leaf        *x509.Certificate
}

func newLink(raw net.Conn, info Info) *link {
	l := &link{Conn: raw, closed: make(chan struct{})}
	if info.Client.IsValid() {
		l.client = net.TCPAddrFromAddrPort(info.Client)
	}
	if info.Local.IsValid() {
		l.local = net.TCPAddrFromAddrPort(info.Local)
	}
	return l
}

func (l *link) Read(b []byte) (int, error) {
	if len(l.ahead) > 0 {
		n := copy(b, l.ahead)
		if l.ahead = l.ahead[n:]; len(l.ahead) == 0 {
			l.ahead = nil
		}
		return n, nil
	}
	return l.Conn.Read(b)
}

func (l *link) RemoteAddr() net.Addr {
	if l.client != nil {
		return l.client
	}
	return l.Conn.RemoteAddr()
}

func (l *link) LocalAddr() net.Addr {
	if l.local != nil {
		return l.local
	}
	return l.Conn.LocalAddr()
}

func (l *link) SetReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readAt = t
	return l.Conn.SetReadDeadline(l.effective())
}

func (l *link) SetDeadline(t time.Time) error {
	return errors.Join(l.SetWriteDeadline(t), l.SetReadDeadline(t))
}

// effective is the read deadline in force; mu is held.
func (l *link) effective() time.Time {
	if l.interrupted && !l.shielded {
		return past
	}
	return l.readAt
}

// interrupt makes reads fail from now on, except under a shield.
func (l *link) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interrupted = true
	_ = l.Conn.SetReadDeadline(l.effective()) // fails only on a closed connection
}

func (l *link) shield(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shielded = on
	if l.interrupted {
		_ = l.Conn.SetReadDeadline(l.effective()) // fails only on a closed connection
	}
}

// Served is called by the certificate store with the certificate it chose.
func (l *link) Served(leaf *x509.Certificate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaf = leaf
}

func (l *link) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// addrPort reads a TCP address, folding IPv4-mapped IPv6; zero for others.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return fold(t.AddrPort())
}

func fold(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
