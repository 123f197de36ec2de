package imapd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/wire/imap"
)

// conn is one connection. It belongs to the goroutine that serves it.
type conn struct {
	s   *Server
	net *listen.Conn
	in  source
	out sink
	dec *imap.Decoder
	enc *imap.Encoder
	log *event.Logger
	set *Settings // as they were when the connection began

	begun    time.Time
	commands int
	errors   int // faulty commands
	guard    Guard
	session  *session
	closing  bool // a goodbye has been said
	packed   bool // COMPRESS is on
}

// Serve implements listen.Server.
func (s *Server) Serve(ctx context.Context, nc *listen.Conn) {
	c := &conn{s: s, net: nc, set: s.d.Settings(), log: s.d.Log.Session(nc.Session), begun: time.Now()}
	c.in.conn, c.out.conn, c.out.time = nc, nc, c.set.WriteTime
	c.enc = imap.NewEncoder(&c.out)
	c.dec = imap.NewDecoder(&c.in, imap.BeforeLogin(), c.proceed)
	c.log.Log(event.SessionOpened, slog.String("listener", nc.Listener), slog.String("client", nc.Client.String()))
	c.guard = s.d.Guard(nc.Client.Addr(), nc.Listener, c.log)
	if c.guard.Connect() != nil { // the guard logs
		c.bye(imap.CodeUnavailable, "Try again later")
	} else {
		c.greet()
	}
	defer c.logout()
	for c.enc.Flush() == nil && !c.closing {
		c.serveOne(ctx)
	}
}

// proceed asks the client for a literal.
func (c *conn) proceed() error {
	c.enc.Continue("Ready")
	return c.enc.Flush()
}

func (c *conn) greet() {
	c.enc.Response("", imap.Response{Status: imap.OK, Code: imap.CodeCapability(c.capabilities()), Text: c.set.Greeting})
}

// logout drops the session and what it has selected, also after a panic.
func (c *conn) logout() {
	if c.session != nil {
		c.session.deselect()
		c.session = nil
	}
	c.log.Log(event.SessionClosed, slog.Duration("duration", time.Since(c.begun)), slog.Int("commands", c.commands))
}

// idleUntil is when a silent client is sent away.
func (c *conn) idleUntil() time.Time {
	if c.session == nil {
		return c.begun.Add(c.set.LoginTime)
	}
	return time.Now().Add(c.set.IdleTime)
}

// serveOne reads one command, carries it out and answers it.
func (c *conn) serveOne(ctx context.Context) {
	if ctx.Err() != nil { // commands that came already are not carried out
		c.fault(ctx, "", ctx.Err())
		return
	}
	c.in.idle(c.idleUntil(), c.set.CommandTime)
	cmd, err := c.dec.Next()
	if err != nil {
		c.fault(ctx, cmd.Tag, err)
		return
	}
	c.commands++
	row := find(cmd.Verb)
	r := c.run(ctx, row, cmd)
	if row != nil && r.Status != imap.BAD && !r.Close {
		c.tell(ctx, row.tells(cmd.UID))
	}
	c.answer(cmd, r)
}

// run carries a command out if the state allows it.
func (c *conn) run(ctx context.Context, row *command, cmd imap.Command) imap.Response {
	switch {
	case row == nil || cmd.UID && !row.uid:
		if c.session == nil {
			c.guard.ProtocolError()
		}
		return imap.Response{Status: imap.BAD, Text: "Unknown command"}
	case row.states&c.state() == 0:
		return imap.Response{Status: imap.BAD, Code: imap.CodeClientBug, Text: cmd.Verb + " is not allowed " + row.when(c.state())}
	}
	return row.run(ctx, c, cmd)
}

// answer writes the tagged response and notes what it means for the session.
// The zero Response means that the handler has said everything.
func (c *conn) answer(cmd imap.Command, r imap.Response) {
	if r.Status == "" {
		return
	}
	c.noteCause(cmd.Verb, r.Cause)
	if r.Status == imap.BAD {
		c.errors++
	}
	c.enc.Response(cmd.Tag, r)
	if c.log.Enabled(event.SessionCommand) {
		c.log.Log(event.SessionCommand, slog.String("command", cmd.Verb), slog.String("status", string(r.Status)), slog.String("code", string(r.Code)))
	}
	switch {
	case r.Close:
		c.bye(r.Code, r.Text)
	case c.errors >= c.maxErrors():
		c.log.Log(event.SessionJunk, slog.Int("errors", c.errors))
		c.bye("", "Too many errors")
	}
}

// noteCause tells the operator what a client is told only in general. That a
// client went away in the middle of a command is no fault of the store.
func (c *conn) noteCause(verb string, err error) {
	if err != nil && c.in.err == nil && c.out.err == nil {
		c.log.Log(event.StoreFailed, slog.String("command", verb), event.Err(err))
	}
}

// maxErrors is how many faulty commands are borne; strangers get fewer.
func (c *conn) maxErrors() int {
	if c.session == nil {
		return min(c.set.Errors, 10)
	}
	return c.set.Errors
}

// bye ends the connection with a word.
func (c *conn) bye(code imap.Code, text string) {
	if !c.closing {
		c.enc.Response("", imap.Response{Status: imap.BYE, Code: code, Text: text})
		_ = c.enc.Flush() // the client may be gone; the connection ends either way
	}
	c.closing = true
}

// fault deals with what could not be read: a faulty command goes on, an end
// of the connection or a time-out does not.
func (c *conn) fault(ctx context.Context, tag string, err error) {
	var e *imap.Error
	switch {
	case errors.As(err, &e):
		c.answer(imap.Command{Tag: tag}, e.Response)
	case listen.Revoked(ctx):
		c.bye(imap.CodeExpired, "Your login has ended")
	case ctx.Err() != nil:
		c.bye(imap.CodeUnavailable, "Server is shutting down")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.log.Log(event.SessionTimeout)
		c.bye("", "Autologout, no command for too long")
	default:
		if err != io.EOF {
			c.log.Log(event.SessionFailed, event.Err(err))
		}
		c.closing = true
	}
}

// tell reports what happened in the selected mailbox.
func (c *conn) tell(ctx context.Context, what telling) {
	if what == tellNothing || c.state() != selected {
		return
	}
	v := c.session.view
	if err := v.sync(ctx, what == tellAll); err != nil {
		c.log.Log(event.StoreFailed, event.Err(err))
	}
	if v.told.Gone {
		c.session.deselect()
		c.enc.Response("", imap.Response{Status: imap.BYE, Text: "The selected mailbox was deleted"})
		c.closing = true
	}
}
