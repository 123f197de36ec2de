package listen

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/limit"
)

// door is one socket with the server behind it.
type door struct {
	*Group
	socket *Socket
	server Server
	config *tls.Config // nil: plain text first
}

// Back-off of the accept loop: short enough to recover in well under 2 s.
const (
	backoffFirst = 5 * time.Millisecond
	backoffMost  = 500 * time.Millisecond
)

// accept runs until the socket is closed. No other error ends it: a server
// that stops accepting because of a passing shortage is down for good.
func (d *door) accept() {
	backoff := backoffFirst
	for {
		raw, err := d.socket.Accept()
		if err == nil {
			backoff = backoffFirst
			d.enter(raw)
			continue
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			d.o.Log.Log(event.ListenerBackoff, slog.String("listener", d.socket.Name.Name), event.Err(err))
			d.spare.lend(d.turnAway)
		default:
			d.o.Log.Log(event.ListenerFailed, slog.String("listener", d.socket.Name.Name), event.Err(err))
		}
		if !d.pause(backoff) {
			return
		}
		backoff = min(2*backoff, backoffMost)
	}
}

// pause waits, or returns false when the group stops meanwhile.
func (d *door) pause(wait time.Duration) bool {
	time.Sleep(wait) // at most backoffMost, so a stop is not held up
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.stopped
}

// turnAway answers a few waiting clients, one after the other, by means of the
// spare descriptor, so that they do not hang until their own patience ends.
func (d *door) turnAway() {
	type deadliner interface{ SetDeadline(time.Time) error }
	l, ok := d.socket.Listener.(deadliner)
	if !ok || l.SetDeadline(time.Now().Add(time.Millisecond)) != nil {
		return
	}
	defer func() { _ = l.SetDeadline(time.Time{}) }() // fails only on a closed socket
	for range 16 {
		raw, err := d.socket.Accept()
		if err != nil {
			return // nobody waits, or somebody else took the descriptor
		}
		d.refuse(raw, Info{Listener: d.socket.Name.Name, Client: addrPort(raw.RemoteAddr())}, Descriptors)
	}
}

// refuse says the protocol's polite word and closes. Writing cannot wait: the
// socket's buffer is empty. Before an implicit TLS handshake nothing is said.
func (d *door) refuse(raw net.Conn, info Info, reason Reason) {
	d.refused.add(info, reason)
	if d.config == nil {
		if line := d.server.Refuse(reason, info); len(line) > 0 {
			_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = raw.Write(line) // a client that is gone needs no answer
		}
	}
	_ = raw.Close()
}

// refusalLog counts refusals and logs them at a rate a flood cannot raise.
type refusalLog struct {
	log        *event.Logger
	count      atomic.Uint64
	mu         sync.Mutex
	bucket     limit.Bucket
	suppressed int
}

func (r *refusalLog) add(info Info, reason Reason) {
	r.count.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket.Take(time.Now(), limit.Rate{Count: 1, Per: time.Second, Burst: 10}, 1) > 0 {
		r.suppressed++
		return
	}
	r.log.Log(event.ConnectionRefused, slog.String("listener", info.Listener), slog.String("client", info.From()),
		slog.String("reason", reason.String()), slog.Int("suppressed", r.suppressed))
	r.suppressed = 0
}

// spare is a file descriptor kept for the moment when there is no other.
type spare struct {
	mu     sync.Mutex
	file   *os.File
	closed bool
}

func newSpare() *spare {
	s := &spare{}
	s.reopen()
	return s
}

func (s *spare) reopen() {
	if f, err := os.Open(os.DevNull); err == nil {
		s.file = f // else: none to be had now, the next lend tries again
	}
}

// lend frees the descriptor while f runs.
func (s *spare) lend(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
		f()
	}
	s.reopen()
}

func (s *spare) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}
