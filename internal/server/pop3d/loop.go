package pop3d

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/wire/pop3"
)

// outcome is what a handler comes back with.
type outcome struct {
	pop3.Response
	// ask is a challenge that goes out instead of the response; nil for none.
	ask []byte
	// body writes what follows the response.
	body func(w io.Writer) error
	// hold is how long the answer is held back.
	hold time.Duration
	// then goes on once all that is written; a zero outcome of it says nothing.
	then func() outcome
	// err ends the connection: nothing more can be read from it.
	err error
}

func says(r pop3.Response) outcome { return outcome{Response: r} }

// silent reports an outcome with nothing to say.
func (o *outcome) silent() bool { return o.Response == pop3.Response{} && o.ask == nil }

// Responses that several places give.
var (
	responseStopping = pop3.Err(pop3.SysTemp, "The server is stopping, nothing was deleted")
	responseEnded    = pop3.Err("", "Your login has ended, nothing was deleted")
	responseBusy     = pop3.Err(pop3.SysTemp, "Too many connections, try again later")
	responseTrouble  = pop3.Err(pop3.SysTemp, "Something went wrong here, try again later")
)

// goodbye is what a client is told whose session the server ends.
func (c *connection) goodbye() pop3.Response {
	if listen.Revoked(c.ctx) {
		return responseEnded
	}
	return responseStopping
}

// mostErrors is how many commands a client may get wrong.
const mostErrors = 50

// serve runs a connection from the greeting to its end.
func (c *connection) serve() {
	defer c.close()
	c.log.Log(event.SessionOpened, slog.String("listener", c.net.Listener), slog.String("client", c.net.From()))
	err := c.greet()
	for err == nil && !c.closing {
		err = c.step()
	}
	// Also after a failure: answers to earlier commands may still wait.
	if err = errors.Join(err, c.flush()); err != nil {
		c.log.Log(event.SessionFailed, event.Err(err))
	}
}

// greet says hello without a timestamp, since there is no APOP.
func (c *connection) greet() error {
	switch {
	case c.ctx.Err() != nil:
		return c.say(c.goodbye().Closing())
	case c.guard.Connect() != nil:
		return c.say(pop3.Err(pop3.SysTemp, "Too many failures from your host, try again later").Closing())
	}
	return c.say(pop3.OK("POP3 ready"))
}

// step reads one command, runs it and answers.
func (c *connection) step() error {
	if c.ctx.Err() != nil {
		return c.say(c.goodbye().Closing())
	}
	cmd, err := c.in.ReadCommand()
	if err != nil && !pop3.Recoverable(err) {
		return c.unreadable(err)
	}
	c.lineRead()
	c.commands++
	if err != nil {
		return c.answer(cmd, c.wrong(unreadableText(err), err))
	}
	return c.answer(cmd, c.run(cmd))
}

// run checks that the command may come now and asks its handler.
func (c *connection) run(cmd pop3.Command) outcome {
	row, known := table[cmd.Verb]
	switch {
	case !known:
		return c.wrong("Unknown command", nil)
	case row.in&c.state() != 0:
		return row.handle(c, cmd)
	case c.drop == nil:
		return c.wrong("Log in first", nil)
	}
	return c.wrong("Logged in already", nil)
}

func unreadableText(err error) string {
	switch {
	case errors.Is(err, pop3.ErrTooLong):
		return "Line too long"
	case errors.Is(err, pop3.ErrCharacter):
		return "Forbidden character"
	case errors.Is(err, pop3.ErrArgument):
		return "Wrong arguments"
	}
	return "Unknown command"
}

// wrong answers a command that no working client sends.
func (c *connection) wrong(text string, cause error) outcome {
	c.guard.ProtocolError()
	if c.errors++; c.errors >= mostErrors {
		c.log.Log(event.SessionJunk, slog.Int("errors", c.errors))
		return says(pop3.Err("", "Too many errors").Because(cause).Closing())
	}
	return says(pop3.Err("", text).Because(cause))
}

// trouble answers a failure of our own.
func (c *connection) trouble(err error) outcome {
	if c.ctx.Err() != nil {
		return says(c.goodbye().Because(err).Closing())
	}
	c.log.Log(event.StoreFailed, event.Err(err))
	return says(responseTrouble.Because(err))
}

// answer writes what came of a command, as long as there is more to come.
func (c *connection) answer(cmd pop3.Command, o outcome) error {
	for {
		if o.err != nil {
			return c.unreadable(o.err)
		}
		if o.silent() {
			return nil
		}
		if err := c.deliver(cmd, o); err != nil || c.closing || o.then == nil {
			return err
		}
		o = o.then()
	}
}

// deliver holds an outcome back as long as it costs and writes it.
func (c *connection) deliver(cmd pop3.Command, o outcome) error {
	if o.hold > 0 {
		if c.server.delayed.Add(1) > int64(c.settings.DelayedSessions) {
			o.Response = responseBusy.Closing()
		} else if err := c.flush(); err != nil {
			c.server.delayed.Add(-1)
			return err
		} else {
			c.pause(o.hold)
		}
		c.server.delayed.Add(-1)
	}
	if o.ask != nil {
		return c.collect(func(b []byte) []byte { return pop3.AppendContinue(b, o.ask) })
	}
	if c.log.Enabled(event.SessionCommand) {
		c.log.Log(event.SessionCommand, slog.String("command", cmd.String()), slog.String("response", o.String()), event.Err(o.Cause))
	}
	if err := c.say(o.Response); err != nil || o.body == nil || c.closing {
		return err
	}
	return o.body(c)
}

// say collects one response for writing.
func (c *connection) say(r pop3.Response) error {
	c.closing = c.closing || r.Close
	return c.collect(r.Append)
}

// unreadable ends the connection. A timeout ends it without a response, as
// RFC 1939 §3 wants.
func (c *connection) unreadable(err error) error {
	c.closing = true
	switch {
	case errors.Is(err, errTimeout):
		c.log.Log(event.SessionTimeout)
		return nil
	case errors.Is(err, errStopping):
		return c.say(c.goodbye())
	case errors.Is(err, pop3.ErrFlood):
		c.guard.ProtocolError()
		return c.say(pop3.Err("", "Line too long"))
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}
