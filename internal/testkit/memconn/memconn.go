// Package memconn is a network in memory for tests: buffered connections with
// deadlines that a testing/synctest bubble can virtualise, and a listener.
// net.Pipe is not used because it is unbuffered: closing TLS over it waits.
package memconn

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// capacity is how much one direction buffers before Write waits.
const capacity = 256 << 10

// Pair returns the two ends of a connection between the addresses given.
func Pair(client, server netip.AddrPort) (c, s net.Conn) {
	up, down := newPipe(), newPipe()
	a := &conn{in: down, out: up, local: client, remote: server}
	b := &conn{in: up, out: down, local: server, remote: client}
	return a, b
}

// pipe is one direction: bytes, and who waits for them.
type pipe struct {
	mu       sync.Mutex
	buf      []byte
	closed   bool // no more will be written
	broken   bool // nobody reads any more
	readable chan struct{}
	writable chan struct{}
}

func newPipe() *pipe {
	return &pipe{readable: make(chan struct{}), writable: make(chan struct{})}
}

// wake tells everybody waiting on the channel; mu is held.
func wake(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}

type conn struct {
	in, out       *pipe
	local, remote netip.AddrPort
	mu            sync.Mutex
	rd, wd        deadline
	once          sync.Once
}

// deadline is a point in time and a channel that is closed when it changes.
type deadline struct {
	at      time.Time
	changed chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.at = t
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

func (d *deadline) get() (time.Time, <-chan struct{}) {
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.at, d.changed
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		c.in.mu.Lock()
		if len(c.in.buf) > 0 && len(b) > 0 {
			n := copy(b, c.in.buf)
			c.in.buf = c.in.buf[n:]
			wake(&c.in.writable)
			c.in.mu.Unlock()
			return n, nil
		}
		closed, broken, ready := c.in.closed, c.in.broken, c.in.readable
		c.in.mu.Unlock()
		switch {
		case broken:
			return 0, net.ErrClosed
		case closed:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		if err := c.wait(ready, &c.rd); err != nil {
			return 0, err
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	done := 0
	for {
		c.out.mu.Lock()
		if c.out.closed {
			c.out.mu.Unlock()
			return done, net.ErrClosed
		}
		if c.out.broken {
			c.out.mu.Unlock()
			return done, io.ErrClosedPipe
		}
		if room := capacity - len(c.out.buf); room > 0 && done < len(b) {
			n := min(room, len(b)-done)
			c.out.buf = append(c.out.buf, b[done:done+n]...)
			done += n
			wake(&c.out.readable)
		}
		ready := c.out.writable
		c.out.mu.Unlock()
		if done == len(b) {
			return done, nil
		}
		if err := c.wait(ready, &c.wd); err != nil {
			return done, err
		}
	}
}

// wait blocks until ready, or the deadline passes.
func (c *conn) wait(ready <-chan struct{}, d *deadline) error {
	c.mu.Lock()
	at, changed := d.get()
	c.mu.Unlock()
	if at.IsZero() {
		select {
		case <-ready:
		case <-changed:
		}
		return nil
	}
	left := time.Until(at)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ready:
	case <-changed:
	case <-timer.C:
	}
	return nil
}

// CloseWrite ends this direction: the peer reads what is buffered, then EOF.
func (c *conn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.out.closed {
		c.out.closed = true
		wake(&c.out.readable)
	}
	return nil
}

func (c *conn) Close() error {
	c.once.Do(func() {
		_ = c.CloseWrite()
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.in.broken, c.in.buf = true, nil
		wake(&c.in.readable)
		wake(&c.in.writable)
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rd.set(t)
	c.wd.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rd.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wd.set(t)
	return nil
}
