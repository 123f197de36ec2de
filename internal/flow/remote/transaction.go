package remote

import (
	"errors"
	"io"
	"log/slog"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/smtp"
)

// state is what is left of a connection after a transaction.
type state uint8

const (
	good   state = iota // for more
	full                // it has carried all it may
	spent               // answered, and not to be used again
	stale               // kept too long: the host had left before MAIL
	broken              // it ended half way
)

// maxRcpt is how many recipients any host must take (RFC 5321 §4.5.3.1.8).
const maxRcpt = 100

// transaction sends the message to the next recipients pending.
func (a *attempt) transaction(c *connection) state {
	n := min(len(a.pending), maxRcpt)
	if l := c.client.Limits().Rcpts; l > 0 {
		n = min(n, l)
	}
	batch, rest := a.pending[:n], a.pending[n:]
	sent, err := c.client.Send(a.message(c, batch))
	c.uses++
	if c.reused && nothingHeard(sent, err) {
		return stale
	}
	a.talked = true
	a.pending = append(a.judge(c, batch, sent, err), rest...)
	a.trace(c, n, sent, err)
	return a.after(c, sent, err)
}

// nothingHeard says that the host was gone before the transaction began.
func nothingHeard(sent *smtp.Sent, err error) bool {
	return err != nil && (sent.Mail.IsZero() || sent.Mail.Code == 421)
}

func (a *attempt) message(c *connection, batch []store.QueueRecipient) smtp.Message {
	q := &a.job.Claim.Message
	m := smtp.Message{
		Mail: smtp.Mail{
			Sender: q.Sender, Size: a.form.size, Body: a.form.body, RequireTLS: q.RequireTLS,
			Return: q.Return, EnvelopeID: q.EnvelopeID,
			SMTPUTF8: q.SMTPUTF8 && offers(c, "SMTPUTF8"),
		},
		Content: a.content.reader(a.form.seven),
		Ended:   c.link.end,
	}
	for _, r := range batch {
		m.Rcpt = append(m.Rcpt, smtp.Rcpt{Recipient: r.Address, Notify: smtp.Notify(r.Notify), Original: r.Original})
		m.Mail.SMTPUTF8 = m.Mail.SMTPUTF8 || !r.Address.IsASCII()
	}
	return m
}

// judge settles the recipients about whom the host has spoken, and returns
// those that another transaction or host may still serve.
func (a *attempt) judge(c *connection, batch []store.QueueRecipient, sent *smtp.Sent, err error) (left []store.QueueRecipient) {
	host, aware := c.key.hop, offers(c, "DSN")
	refused, _ := errors.AsType[*smtp.RefusedError](err)
	taken := 0
	for i := range sent.Rcpt {
		if sent.Rcpt[i].Code/100 == 2 {
			taken++
		}
	}
	for i, r := range batch {
		own := sent.Rcpt[i]
		switch {
		case sent.Mail.Code >= 400:
			a.refuse(r, said(host, kept(sent.Mail, "MAIL"))) // RCPT was then answered to nothing
		case taken > 0 && tooMany(own):
			left = append(left, r)
		case own.Code >= 400:
			a.refuse(r, said(host, kept(rcptReply(own), "RCPT")))
		case own.Code/100 == 2 && err == nil:
			a.settle(r, queue.Delivered, host.String(), kept(sent.Data, "content"))
			a.results[len(a.results)-1].Aware = aware
		case own.Code/100 == 2 && refused != nil:
			a.refuse(r, said(host, kept(refused.Reply, refused.Verb)))
		case own.Code/100 == 2 && sent.Ended:
			// The host may have the message or not: the window that SMTP leaves
			// open (RFC 1047). Sending it twice is better than not at all.
			a.refuse(r, ioProblem(host, "the end of the message", err))
		case a.content.failed != nil:
			a.refuse(r, unreadable(a.content.failed))
		default:
			left = append(left, r)
		}
	}
	return left
}

// tooMany says that the recipient was one too many for this transaction. 552
// is the old code for it (RFC 5321 §4.5.3.1.10); with a code of its own it
// means a full mailbox.
func tooMany(r reply.Reply) bool {
	return (r.Code == 452 || r.Code == 552) && (r.Enhanced.IsZero() || r.Enhanced.Subject == 5 && r.Enhanced.Detail == 3)
}

// rcptReply makes 552 for too many recipients temporary, as RFC 5321
// §4.5.3.1.10 wants.
func rcptReply(r reply.Reply) reply.Reply {
	if tooMany(r) && r.Code == 552 {
		r.Code, r.Enhanced = 452, reply.E(4, 5, 3)
	}
	return r
}

// after says what the connection is still good for. A problem is noted where
// the conversation broke off.
func (a *attempt) after(c *connection, sent *smtp.Sent, err error) state {
	refusal, refused := errors.AsType[*smtp.RefusedError](err)
	leaving := sent.Mail.Code == 421 || sent.Data.Code == 421
	last := sent.Data
	for _, r := range sent.Rcpt {
		if r.Code == 421 {
			leaving, last = true, r
		}
	}
	switch {
	case err == nil && !leaving:
		return good
	case a.content.failed != nil:
		a.refuseAll(unreadable(a.content.failed))
		return spent
	case refused && (leaving || errors.Is(err, io.ErrUnexpectedEOF)), err == nil:
		return spent
	case refused:
		open := refusal.Verb == "MAIL" || refusal.Verb == "DATA" // perhaps
		if open && c.client.Reset() != nil {
			return spent // the message has its answers
		}
		return good
	case leaving:
		a.note(said(c.key.hop, kept(last, "RCPT").Because(err)))
	default:
		a.note(ioProblem(c.key.hop, "the message", err))
	}
	return broken
}

// trace logs the attempt with what TLS was worth.
func (a *attempt) trace(c *connection, recipients int, sent *smtp.Sent, err error) {
	if !a.log.Enabled(event.QueueAttempt) {
		return
	}
	last := sent.Data
	if refused, ok := errors.AsType[*smtp.RefusedError](err); ok {
		last = refused.Reply
	}
	attrs := []slog.Attr{
		slog.String("destination", a.job.To.Key), slog.String("host", c.key.hop.String()),
		slog.Int("recipients", recipients), slog.Bool("reused", c.reused),
		slog.String("reply", kept(last, "").String()), slog.String("tls", c.security()), event.Err(err),
	}
	a.log.Log(event.QueueAttempt, attrs...)
}
