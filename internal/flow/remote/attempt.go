package remote

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/smtp"
)

// attempt is one delivery of one job.
type attempt struct {
	d    *Deliverer
	job  queue.Job
	set  *Settings
	need requirement
	log  *event.Logger

	// pending are the recipients without a result.
	pending []store.QueueRecipient
	results []queue.Result
	// problems are those of hosts and of DNS, in the order they came up.
	problems []*problem
	// talked says that a host was ready for the message; broken counts the
	// conversations that ended half way.
	talked bool
	broken int
	// over ends the walk; fresh forbids kept connections, after one was dead.
	over, fresh bool
	// looped says that a host of the destination was this server.
	looped  bool
	content *content
	form    form
	// hurry is when the content must have gone; zero: no hurry.
	hurry time.Time
}

func newAttempt(d *Deliverer, j queue.Job) *attempt {
	m := &j.Claim.Message
	a := &attempt{
		d: d, job: j, set: d.o.Settings(), need: demand(j.To.Relay, m.RequireTLS),
		log: d.o.Log.Message(m.ID), pending: m.Recipients,
	}
	if j.Hurry {
		a.hurry = time.Now().Add(maxHurry)
	}
	return a
}

// within returns when something must have ended that may take so long.
func (a *attempt) within(most time.Duration) time.Time {
	end := time.Now().Add(most)
	if !a.hurry.IsZero() && a.hurry.Before(end) {
		return a.hurry
	}
	return end
}

// hurried reports that a host was given up because of the hurry, which says
// nothing about it.
func (a *attempt) hurried() bool { return !a.hurry.IsZero() && !time.Now().Before(a.hurry) }

// answer is how long the reply to the content may take, zero where the limit of
// the whole dialogue does.
func (a *attempt) answer() time.Duration {
	switch {
	case a.hurry.IsZero():
		return 0
	case a.job.Claim.Message.Sender.IsNull():
		return maxNotice // a notice that comes twice does little harm
	}
	return maxDialogue
}

func (a *attempt) close() {
	if a.content != nil {
		a.content.close()
	}
}

// run walks the hosts until every recipient has a result.
func (a *attempt) run(ctx context.Context) ([]queue.Result, error) {
	a.refuseUnsendable()
	tried, until := 0, a.within(maxWalk)
	if len(a.pending) > 0 {
		for h := range a.hops(ctx) {
			for a.visit(ctx, h) {
			}
			tried++
			if len(a.pending) == 0 || a.over || ctx.Err() != nil || tried == maxHops || a.broken == maxBroken || !time.Now().Before(until) {
				break
			}
		}
	}
	return a.conclude(ctx)
}

// visit tries one address; again asks for another connection to it.
func (a *attempt) visit(ctx context.Context, h hop) (again bool) {
	c, p := a.connection(ctx, h)
	if p != nil {
		a.note(p)
		return false
	}
	return a.converse(ctx, c)
}

// converse sends what is pending over a connection, and keeps it or not. A
// message that makes it panic must not cost a connection each time it is tried.
func (a *attempt) converse(ctx context.Context, c *connection) (again bool) {
	part := a.d.pool.discard
	defer func() { part(c) }()

	release := context.AfterFunc(ctx, c.link.stop)
	state := a.sendAll(ctx, c)
	if !release() && state == good {
		state = spent // the stop has spoiled its deadlines
	}
	switch state {
	case good:
		part = func(c *connection) { a.d.pool.keep(c, a.set.Reuse) }
	case full:
		part = a.d.pool.retire
	case stale:
		a.fresh = true
	case broken:
		a.broken++
	case spent:
	}
	return state == full || state == stale
}

// sendAll runs transactions until nothing is pending or the connection has
// had its time.
func (a *attempt) sendAll(ctx context.Context, c *connection) state {
	for {
		if !a.suit(ctx, c) {
			return spent
		}
		if len(a.pending) == 0 {
			return good
		}
		if c.uses >= c.most(a.set.Reuse) {
			return full
		}
		c.link.until(a.within(maxDialogue))
		c.link.answer(a.answer())
		if s := a.transaction(c); s != good {
			return s
		}
	}
}

// note remembers a problem; one that an administrator must see to is logged
// at once.
func (a *attempt) note(p *problem) {
	a.problems = append(a.problems, p)
	attrs := []slog.Attr{slog.String("destination", a.job.To.Key), slog.String("host", p.host), slog.String("reply", p.reply.String()), event.Err(p.reply.Cause)}
	if p.alarm {
		a.log.Log(event.QueueError, attrs...)
		return
	}
	a.log.Log(event.QueueAttempt, attrs...)
}

// settle gives a recipient its result.
func (a *attempt) settle(r store.QueueRecipient, fate queue.Fate, host string, why reply.Reply) {
	a.results = append(a.results, queue.Result{Recipient: r.ID, Fate: fate, Host: host, Reply: why})
}

// refuse settles a recipient who does not get the message, now or ever.
func (a *attempt) refuse(r store.QueueRecipient, why *problem) {
	fate := queue.Deferred
	if why.reply.Permanent() {
		fate = queue.Failed
	}
	a.results = append(a.results, queue.Result{Recipient: r.ID, Fate: fate, Host: why.host, Reply: why.reply, Ours: why.ours})
}

// refuseAll refuses all that are pending.
func (a *attempt) refuseAll(why *problem) {
	for _, r := range a.pending {
		a.refuse(r, why)
	}
	a.pending = nil
}

// conclude settles what no host has taken or refused.
func (a *attempt) conclude(ctx context.Context) ([]queue.Result, error) {
	if len(a.pending) == 0 {
		return a.results, nil
	}
	if ctx.Err() != nil {
		for _, r := range a.pending {
			a.settle(r, queue.Untried, "", reply.Reply{})
		}
		return a.results, nil
	}
	p := a.verdict()
	a.refuseAll(p)
	if p.final || p.message || a.talked || a.hurried() {
		return a.results, nil
	}
	return a.results, &queue.Outage{Reply: p.reply}
}

// verdict is the problem that decides: the last that may pass, for while one
// host may still take the message it has not failed.
func (a *attempt) verdict() *problem {
	var decides *problem
	for _, p := range a.problems {
		if decides == nil || decides.final || !p.final {
			decides = p
		}
	}
	if decides == nil {
		decides = passing(reply.E(4, 4, 0), "no host of the destination could be tried")
	}
	return decides
}

// refuseUnsendable ends what no command line can carry. The parsers let no
// such address in; nothing relies on that (reliability.md row 18).
func (a *attempt) refuseUnsendable() {
	if !sendable(a.job.Claim.Message.Sender.String()) {
		a.refuseAll(final(553, reply.E(5, 1, 7), "the sender's address cannot be sent"))
		return
	}
	a.each(func(r store.QueueRecipient) bool {
		if sendable(r.Address.String()) {
			return false
		}
		a.refuse(r, final(553, reply.E(5, 1, 3), "the recipient's address cannot be sent"))
		return true
	})
}

func sendable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// each goes through what is pending and takes out what f has settled.
func (a *attempt) each(f func(r store.QueueRecipient) (settled bool)) {
	var left []store.QueueRecipient
	for _, r := range a.pending {
		if !f(r) {
			left = append(left, r)
		}
	}
	a.pending = left
}

// suit settles what this host cannot take, before anything is said about it.
// It is false when there is no message to send.
func (a *attempt) suit(ctx context.Context, c *connection) bool {
	if a.content == nil {
		var err error
		a.content, err = store.OverOutage(ctx, func() (*content, error) { return openContent(ctx, &a.job.Claim) })
		if err != nil {
			if a.over = true; ctx.Err() == nil {
				a.refuseAll(unreadable(err))
			}
			return false
		}
	}
	if why := a.obstacle(c); why != nil {
		a.refuseAll(why)
		return true
	}
	if offers(c, "SMTPUTF8") {
		return true
	}
	a.each(func(r store.QueueRecipient) bool {
		if r.Address.IsASCII() {
			return false
		}
		a.refuse(r, noUTF8(c.key.hop))
		return true
	})
	return true
}

// unreadable is our own trouble with the store.
func unreadable(err error) *problem {
	return passing(reply.E(4, 3, 0), "the message could not be read here").because(err)
}

func noUTF8(h hop) *problem {
	return final(553, reply.E(5, 6, 7), "%s does not support internationalised addresses (SMTPUTF8)", h).at(h)
}

func offers(c *connection, extension string) bool {
	_, ok := c.client.Extension(extension)
	return ok
}

// obstacle returns why the host cannot take the message at all, or nil.
// Afterwards a.form is how it goes to this host.
func (a *attempt) obstacle(c *connection) *problem {
	m, h := &a.job.Claim.Message, c.key.hop
	if !offers(c, "SMTPUTF8") {
		needed, err := m.SMTPUTF8, error(nil)
		if needed {
			needed, err = a.content.headers8Bit()
		}
		switch {
		case err != nil:
			return unreadable(err)
		case needed || !m.Sender.IsASCII():
			return noUTF8(h)
		}
	}
	if err := a.choose(c); errors.Is(err, errNoSevenBit) {
		return final(554, reply.E(5, 6, 3), "%s takes 7-bit content only, and this cannot be converted", h).at(h).because(err)
	} else if err != nil {
		return unreadable(err)
	}
	if most := c.client.MaxSize(); most > 0 && a.form.size > most {
		return final(552, reply.E(5, 3, 4), "the message has %d octets, %s takes at most %d", a.form.size, h, most).at(h)
	}
	return nil
}

// form is how content goes to a host.
type form struct {
	body  smtp.BodyType
	size  int64
	seven *sevenBit // nil: as it is
}

// choose sets the form: as it is where the host can take that, otherwise made
// 7-bit. What was declared binary may still be plain.
func (a *attempt) choose(c *connection) error {
	binary := a.job.Claim.Message.Binary && a.content.binary()
	eight := a.content.eightBit()
	a.form = form{size: a.content.size()}
	switch {
	case binary && offers(c, "CHUNKING") && offers(c, "BINARYMIME"):
		a.form.body = smtp.BodyBinary
	case binary || eight && !offers(c, "8BITMIME"):
		seven, err := a.content.sevenBit()
		if err != nil {
			return err
		}
		a.form.seven, a.form.size = seven, seven.size
	case eight || a.job.Claim.Message.EightBit:
		a.form.body = smtp.Body8Bit
	}
	return nil
}
