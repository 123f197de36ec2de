package pop3d

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/wait"
	"posthorn/internal/server/listen"
	"posthorn/internal/wire/pop3"
)

// connection is one socket until it closes. What a client did wrong before
// STLS still counts after it.
type connection struct {
	server   *Server
	ctx      context.Context
	settings *Settings // as they stood when the client connected
	net      *listen.Conn
	guard    Guard
	in       *pop3.Reader
	out      *[]byte // not yet written; nil when nothing is
	log      *event.Logger

	session *session  // until login
	drop    *maildrop // from then on

	opened    time.Time
	lineSince time.Time // when the first octet of an unfinished line came
	content   time.Time // until when the message under way must be taken; zero for none
	closing   bool

	errors                      int
	commands, fetched, deleted  int
	octetsReceived, octetsGiven int64
}

const (
	// commandTime is how long one line may take from its first octet.
	commandTime = time.Minute
	// writeTime bounds one write to a client that does not read at all.
	writeTime = 2 * time.Minute
	// slowest is the rate at which a message must be taken, in octets a second
	// (reliability row 11).
	slowest = 500
	// flushAt is how many octets are collected before they are written.
	flushAt = 16 << 10
)

// Errors of reading that end a connection.
var (
	errTimeout  = errors.New("pop3d: client was silent or too slow")
	errStopping = errors.New("pop3d: the server ends the session")
)

// outBuffers lend memory to connections that have something to say; most wait.
var outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func newConnection(ctx context.Context, s *Server, n *listen.Conn) *connection {
	c := &connection{server: s, ctx: ctx, settings: s.d.Settings(), net: n, opened: time.Now(), log: s.d.Log.Session(n.Session), session: &session{}}
	c.guard = s.d.Guard(n.Client.Addr(), n.Listener, c.log)
	c.in = pop3.NewReader(c)
	return c
}

// close gives everything back. The socket is closed by the listener.
func (c *connection) close() {
	c.leave()
	c.dropOut()
	c.log.Log(event.SessionClosed, slog.Duration("duration", time.Since(c.opened)), slog.Int("commands", c.commands),
		slog.Int("messages", c.fetched), slog.Int("deleted", c.deleted), slog.Int64("octets", c.octetsReceived+c.octetsGiven))
}

// leave gives the maildrop back; it may be called twice.
func (c *connection) leave() {
	if c.drop != nil {
		c.drop.shelf.clear()
		c.server.locks.release(c.drop.account.ID())
		c.drop = nil
	}
}

func (c *connection) state() state {
	if c.drop == nil {
		return authorization
	}
	return transaction
}

// Read implements io.Reader for the pop3.Reader: before it waits it writes what
// is to be written, so answers to pipelined commands leave together.
func (c *connection) Read(b []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	now := time.Now()
	deadline := c.opened.Add(c.settings.LoginTimeout)
	if c.drop != nil {
		deadline = now.Add(c.settings.IdleTimeout)
	}
	if line := c.lineSince.Add(commandTime); !c.lineSince.IsZero() && line.Before(deadline) {
		deadline = line
	}
	if err := c.net.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := c.net.Read(b)
	if n > 0 {
		if c.lineSince.IsZero() {
			c.lineSince = time.Now()
		}
		c.octetsReceived += int64(n)
		return n, nil
	}
	return 0, c.readError(err)
}

// lineRead begins the time of the next line, which may have come in part.
func (c *connection) lineRead() {
	c.lineSince = time.Time{}
	if c.in.Buffered() > 0 {
		c.lineSince = time.Now()
	}
}

// readError tells a timeout from the end of the server's patience.
func (c *connection) readError(err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.ctx.Err() != nil:
		return errStopping
	}
	return errTimeout
}

// Write implements io.Writer for listings and messages: it collects.
func (c *connection) Write(b []byte) (int, error) {
	return len(b), c.collect(func(out []byte) []byte { return append(out, b...) })
}

// collect has something appended to what is not yet written.
func (c *connection) collect(add func([]byte) []byte) error {
	if c.out == nil {
		c.out = outBuffers.Get().(*[]byte)
	}
	*c.out = add(*c.out)
	if len(*c.out) >= flushAt {
		return c.flush()
	}
	return nil
}

// flush writes what was collected, in one go.
func (c *connection) flush() error {
	if c.out == nil {
		return nil
	}
	deadline := time.Now().Add(writeTime)
	if !c.content.IsZero() && c.content.Before(deadline) {
		deadline = c.content
	}
	err := c.net.SetWriteDeadline(deadline)
	if err == nil {
		var n int
		n, err = c.net.Write(*c.out)
		c.octetsGiven += int64(n)
	}
	c.dropOut()
	return err
}

func (c *connection) dropOut() {
	if c.out != nil && cap(*c.out) <= 4*flushAt {
		*c.out = (*c.out)[:0]
		outBuffers.Put(c.out)
	}
	c.out = nil
}

// pause lets time pass without reading, unless the server stops.
func (c *connection) pause(d time.Duration) {
	wait.For(c.ctx, d)
}
