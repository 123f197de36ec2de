package smtpd

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/server/listen"
	"posthorn/internal/wire/smtp"
)

// outcome is what a handler comes back with. more are further replies (LMTP
// answers once for each recipient). A zero reply writes nothing.
type outcome struct {
	reply.Reply
	more    []reply.Reply
	surplus bool // a recipient refused for the number of them alone, no error
}

func says(r reply.Reply) outcome { return outcome{Reply: r} }

// perRecipient is the answer to a whole message, which over LMTP every accepted
// recipient gets (RFC 2033 §4.2): with fewer, the client takes the reply to its
// next command for that of a recipient.
func (c *connection) perRecipient(r reply.Reply, taken int) outcome {
	o := says(r)
	for i := 1; c.lmtp && i < taken; i++ {
		o.more = append(o.more, r)
	}
	return o
}

// serve runs a connection from the greeting to its end.
func (c *connection) serve() {
	defer c.close()
	c.log.Log(event.SessionOpened, slog.String("listener", c.net.Listener), slog.String("client", c.net.Client.String()))
	err := c.greet()
	for err == nil && !c.closing {
		err = c.step()
	}
	if err == nil {
		err = c.flush()
	}
	if err == nil && c.abrupt && c.ctx.Err() == nil {
		c.linger()
	}
	if err != nil {
		c.log.Log(event.SessionFailed, event.Err(err))
	}
}

// step reads one command, runs it and answers.
func (c *connection) step() error {
	line, err := c.in.ReadLine(smtp.MaxAuth)
	c.session.noted = false
	if err != nil {
		return c.unreadable(err)
	}
	c.lineSince = time.Time{}
	c.commands++
	cmd, err := smtp.ParseCommand(line)
	c.said = shown(cmd)
	var row *command
	var o outcome
	if err != nil {
		c.foul()
		r := smtp.ReplyTo(err)
		r.Close = r.Close || cmd.Verb == smtp.BDAT // its octets would be taken for commands
		o = says(r)
	} else {
		row = &table[cmd.Verb]
		o = c.run(row, cmd)
	}
	err = c.answer(row, cmd.Verb, o)
	c.said = ""
	return err
}

// run checks that the command may come now and asks its handler.
func (c *connection) run(row *command, cmd smtp.Command) outcome {
	if c.expelled {
		return says(replyExpelled)
	}
	if row.handle == nil || row.only == smtpOnly && c.lmtp || row.only == lmtpOnly && !c.lmtp {
		c.foul()
		return says(replyUnknown)
	}
	if state := c.session.state(); row.in&state == 0 {
		return says(outOfOrder(state))
	}
	if row.last && c.in.Buffered() > 0 {
		c.session.facts.ForbiddenInput++
	}
	return row.handle(c.session, cmd.Arg)
}

// usualHellos is how often a client may introduce itself, before and after
// STARTTLS and once more; further ones are junk (M-SEC-ADV-05).
const usualHellos = 3

// answer writes what came of a command, as long as there is more to come.
func (c *connection) answer(row *command, verb smtp.Verb, o outcome) error {
	junk := row != nil && (row.junk || row.hello && c.hellos > usualHellos)
	for !o.Reply.IsZero() {
		if err := c.deliver(verb, o, junk); err != nil || c.closing {
			return err
		}
		then := c.then
		if then == nil {
			return nil
		}
		c.then, junk, c.session.noted = nil, false, false
		o = then()
	}
	return nil
}

// deliver counts a reply, holds it back as long as it costs, and writes it.
func (c *connection) deliver(verb smtp.Verb, o outcome, junk bool) error {
	hold := c.hold
	c.hold = 0
	r, cost := c.penalty.weigh(c, o, junk)
	if !o.Reply.Positive() {
		c.session.noteRefusal(o.Reply)
	}
	if r.Close && !o.Reply.Close {
		c.session.noted = false // the client hears something else
	}
	cost = max(cost, hold)
	switch {
	case cost == 0:
	case c.enterDelay():
		err := c.flush()
		if err == nil {
			c.pause(cost)
		}
		c.server.delayed.Add(-1)
		if err != nil {
			return err
		}
	case r.Code == replyOK.Code && (verb == smtp.DATA || verb == smtp.BDAT):
		// The message is ours: the client must hear it, or it sends it again.
	default:
		c.session.noted = false
		return c.end(replyBusy)
	}
	if c.log.Enabled(event.SessionCommand) {
		c.log.Log(event.SessionCommand, slog.String("verb", verb.String()), slog.String("reply", r.String()))
	}
	if err := c.say(r); err != nil {
		return err
	}
	for i := 0; i < len(o.more) && !c.closing; i++ {
		c.session.noted = c.session.noted && !o.more[i].Close
		if err := c.say(o.more[i]); err != nil {
			return err
		}
	}
	return nil
}

// enterDelay takes one of the bounded places for waiting (reliability.md row 12).
func (c *connection) enterDelay() bool {
	if c.server.delayed.Add(1) <= int64(c.settings.DelayedSessions) {
		return true
	}
	c.server.delayed.Add(-1)
	return false
}

// say collects one reply for writing.
func (c *connection) say(r reply.Reply) error {
	if r.Close && r.Code != replyBye.Code {
		c.session.noteEnd(r)
	}
	c.closing = c.closing || r.Close
	c.abrupt = c.abrupt || r.Close && r.Code != replyBye.Code
	return c.write(r)
}

// end says a last word.
func (c *connection) end(r reply.Reply) error {
	r.Close = true
	return c.say(r)
}

// Bounds of linger.
const (
	lingerTime = 3 * time.Second
	lingerSize = 16 << 20
)

// linger reads past what the client is still sending after our last word. A
// socket closed with input unread is reset, and the client would never read
// that word.
func (c *connection) linger() {
	if c.net.CloseWrite() != nil || c.net.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	c.in.Release()
	n, _ := io.CopyN(io.Discard, c.net, lingerSize) // ends with an error, in general EOF
	c.octets += n
}

// unreadable answers what could not be read as a line, or ends in silence.
func (c *connection) unreadable(err error) error {
	c.closing = true
	if r := c.lastWord(err); !r.IsZero() {
		return c.say(r)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// goodbye is what a client is told whose session the server ends.
func (c *connection) goodbye() reply.Reply {
	if listen.Revoked(c.ctx) {
		return replyLoginEnded
	}
	return replyStopping
}

// lastWord is what a client is told after reading from it failed; zero when
// nobody is there to hear it.
func (c *connection) lastWord(err error) reply.Reply {
	switch {
	case errors.Is(err, errTimeout):
		c.log.Log(event.SessionTimeout)
		return replyTimeout
	case errors.Is(err, errStopping):
		return c.goodbye()
	case errors.Is(err, smtp.ErrLineTooLong):
		c.foul()
		return replyLineTooLong
	case errors.Is(err, smtp.ErrBareLF):
		c.foul()
		return replyBareLF
	case errors.Is(err, errFarTooBig):
		return replyFarTooBig
	}
	return reply.Reply{}
}
