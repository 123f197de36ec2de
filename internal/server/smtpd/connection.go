package smtpd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/wait"
	"posthorn/internal/server/listen"
	"posthorn/internal/wire/smtp"
)

// connection is one socket until it closes. It outlives sessions: what a
// client did wrong before STARTTLS still counts after it (B1G-LIM-05).
type connection struct {
	server   *Server
	ctx      context.Context // done when the server ends sessions
	work     context.Context // of what is done for a message; a stop lets it finish
	settings *Settings       // as they stood when the client connected
	net      *listen.Conn
	lmtp     bool
	in       *smtp.Reader
	out      *[]byte // replies not yet written; nil when none
	log      *event.Logger
	session  *session
	penalty  penalty
	guard    Guard // nil where nobody can log in

	lineSince time.Time // when the first part of an unfinished line was there
	meter     *meter    // set while content is read
	// hold and then are set by a handler for the reply it returns: how long
	// to hold it back, and what goes on once it is written.
	hold    time.Duration
	then    func() outcome
	closing bool
	abrupt  bool // the client did not ask for the end

	said   string    // the command that is answered, as the record shows it
	hellos int       // how often the client introduced itself
	until  time.Time // when a client that was turned away must be gone; zero: it was not

	expelled  bool // banned meanwhile: the next command ends the session
	outOfStep bool // input was waiting behind EHLO: no transaction until it was read

	opened          time.Time
	commands, taken int
	octets          int64
}

// Errors of reading that end a connection with a last word.
var (
	errTimeout  = errors.New("smtpd: client was silent or too slow")
	errStopping = errors.New("smtpd: the server ends the session")
)

// writeTime bounds one flush: a client that does not read its replies.
const writeTime = time.Minute

// flushAt is how many octets of replies are collected at most.
const flushAt = 16 << 10

var outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func newConnection(ctx context.Context, s *Server, n *listen.Conn) *connection {
	c := &connection{
		server: s, ctx: ctx, work: context.WithoutCancel(ctx), settings: s.Settings(), net: n, lmtp: n.Listener == "lmtp", opened: time.Now(),
		log: s.Log.Session(n.Session),
	}
	if s.Guard != nil {
		c.guard = s.Guard(n.Client.Addr(), n.Listener, c.log)
	}
	c.in = smtp.NewReader(c)
	c.session = newSession(c)
	return c
}

// stopTime is how long the work for a message may go on after the session was
// told to end, its checks, its commit and the asking after one in doubt
// together: less than the grace of a stop, so that the client still gets its
// reply. What is taken after the link was closed comes again.
const stopTime = 5 * time.Second

// finishing is the context of a message from before its content comes to its
// reply. It ends soon after the session was told to end, with errStopping.
func (c *connection) finishing() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(c.work)
	stop := context.AfterFunc(c.ctx, func() { time.AfterFunc(stopTime, func() { cancel(errStopping) }) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// close gives everything back. The socket is closed by the listener.
func (c *connection) close() {
	c.session.end()
	c.session.facts.Close()
	c.in.Release()
	c.dropOut()
	c.log.Log(event.SessionClosed, slog.Duration("duration", time.Since(c.opened)), slog.Int("commands", c.commands),
		slog.Int("messages", c.taken), slog.Int64("octets", c.octets))
}

// Read implements io.Reader for the smtp.Reader: it writes what is to be
// written before it waits, so pipelined replies leave together, and puts the
// deadline that applies.
func (c *connection) Read(b []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if c.meter != nil {
		return c.readContent(b)
	}
	now := time.Now()
	deadline := now.Add(c.settings.IdleTimeout)
	if c.in.Buffered() > 0 {
		if c.lineSince.IsZero() {
			c.lineSince = now
		}
		deadline = earlier(deadline, c.lineSince.Add(c.settings.CommandTime))
	} else {
		c.lineSince = time.Time{}
		c.outOfStep = false // whoever waits for replies is in step again
	}
	if !c.until.IsZero() {
		deadline = earlier(deadline, c.until)
	}
	if err := c.net.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := c.net.Read(b)
	c.octets += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, c.readError(err)
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

// write collects a reply.
func (c *connection) write(r reply.Reply) error {
	if c.out == nil {
		c.out = outBuffers.Get().(*[]byte)
	}
	*c.out = r.Append(*c.out)
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
	err := c.net.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		_, err = c.net.Write(*c.out)
	}
	c.dropOut()
	return err
}

func (c *connection) dropOut() {
	if c.out != nil && cap(*c.out) <= 2*flushAt {
		*c.out = (*c.out)[:0]
		outBuffers.Put(c.out)
	}
	c.out = nil
}

// pause lets time pass without reading; false when the server stops meanwhile.
func (c *connection) pause(d time.Duration) bool {
	return wait.For(c.ctx, d)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
