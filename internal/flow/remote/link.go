package remote

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// link is the socket under a conversation. It bounds every deadline that is
// set on it, so that neither a host that drips octets nor a stop of this
// server can be outlasted.
type link struct {
	net.Conn
	mu    sync.Mutex
	set   time.Time     // as last asked for
	limit time.Time     // never after this, unless zero
	reply time.Duration // how long the answer to the content may take
	ended bool          // the end of the content goes out: the host may own the message
	over  bool          // stop was called
}

// SetDeadline implements net.Conn.
func (l *link) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = t
	return l.apply()
}

// apply puts the earlier of both into force; mu is held.
func (l *link) apply() error {
	t := l.set
	if !l.limit.IsZero() && (t.IsZero() || l.limit.Before(t)) {
		t = l.limit
	}
	return l.Conn.SetDeadline(t)
}

// until sets the limit anew for another message; after a stop there is none.
// An error is left to the next Read or Write, which meets it too.
func (l *link) until(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		t = time.Now()
	}
	l.limit, l.reply, l.ended = t, 0, false
	_ = l.apply()
}

// answer says how long the host may take, once it has the content, to answer.
func (l *link) answer(most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reply = most
}

// unread reports whether the system holds something from the host, or knows
// that it has hung up. Nothing is taken, and nothing waited for.
func (l *link) unread() bool {
	socket, ok := l.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	l.until(time.Time{}) // a deadline that has passed forbids to look
	_ = l.SetDeadline(time.Time{})
	there := true
	err = raw.Read(func(fd uintptr) (done bool) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		there = !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return there || err != nil
}

// end says that the end of the content goes out now.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.reply > 0 && !l.over {
		l.limit = time.Now().Add(l.reply)
		_ = l.apply()
	}
}

// stop breaks the conversation off: at once, or if the host may have the
// message already, after a moment in which it can say so.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	t := time.Now()
	if l.ended {
		t = t.Add(afterTheStop)
	}
	if l.limit.IsZero() || t.Before(l.limit) {
		l.limit = t
	}
	_ = l.apply()
}
