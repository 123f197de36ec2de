package smtpd

import (
	"errors"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/wire/smtp"
)

// greet asks policy about the client, waits as it says and sends the banner.
func (c *connection) greet() error {
	if c.ctx.Err() != nil {
		return c.end(c.goodbye())
	}
	s := c.session
	d := s.judge(policy.Connect)
	s.step("connect", "", d.Reply)
	if d.Refuses() {
		c.hold = 0
		return c.turnAway(d.Reply)
	}
	c.server.Policy.Listed(c.work, s.facts)
	d = s.judge(policy.Greeting)
	c.hold = 0                                       // the greeting waits below, the first reply does not wait again
	if delay := d.Delay; delay > 0 && !d.Refuses() { // d is gone with the next judgement
		began := time.Now()
		if err := c.awaitSilence(delay); err != nil || c.closing {
			return err
		}
		if s.facts.SpokeFirst {
			c.foul()
			d = s.judge(policy.Greeting)
			if c.hold = 0; !d.Refuses() && c.enterDelay() { // the wait it broke goes on
				c.pause(delay - time.Since(began))
				c.server.delayed.Add(-1)
			}
		}
	}
	if len(d.Results) > 0 {
		s.step("greeting", "", d.Reply)
	}
	if d.Refuses() {
		return c.turnAway(d.Reply)
	}
	return c.say(reply.New(220, reply.Enhanced{}, c.greeting()))
}

func (c *connection) greeting() string {
	text := c.settings.Banner
	if text != "" {
		text = " " + text
	}
	if c.lmtp {
		return c.server.Hostname() + " LMTP" + text
	}
	return c.server.Hostname() + " ESMTP" + text
}

// awaitSilence is the greeting delay. Input before the greeting is noted
// (B1G-LIM-01) and ends the wait; it stays unread.
func (c *connection) awaitSilence(d time.Duration) error {
	c.session.noted = false // a last word now answers nothing that was noted
	if !c.enterDelay() {
		return c.end(replyBusy)
	}
	defer c.server.delayed.Add(-1)
	if err := c.net.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	err := c.in.Await(c.net)
	if c.ctx.Err() != nil {
		return c.end(c.goodbye())
	}
	if err == nil {
		c.session.facts.SpokeFirst = true
		return nil
	}
	if errors.Is(c.readError(err), errTimeout) {
		return nil
	}
	return err
}

// What a client that was turned away may still say.
const (
	lastWords = 3
	lastTime  = 10 * time.Second
	noService = 554
)

// turnAway refuses a client at the door. After a greeting of 554 it may say a
// few words, none of which does anything (RFC 5321 §3.1, B1G-CLS-04); any other
// refusal closes at once.
func (c *connection) turnAway(r reply.Reply) error {
	if r.Code != noService || r.Close {
		return c.end(r)
	}
	if err := c.say(r); err != nil {
		return err
	}
	c.until = time.Now().Add(lastTime)
	for range lastWords {
		line, err := c.in.ReadLine(smtp.MaxAuth)
		if errors.Is(err, errTimeout) {
			break
		}
		if err != nil {
			return c.unreadable(err)
		}
		c.commands++
		if cmd, err := smtp.ParseCommand(line); err == nil && cmd.Verb == smtp.QUIT {
			return c.end(replyBye)
		}
		if err := c.say(replyTurnedAway); err != nil {
			return err
		}
	}
	return c.end(replyEnough)
}
