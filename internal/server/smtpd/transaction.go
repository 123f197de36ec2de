package smtpd

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/wire/smtp"
)

// transaction is one message on its way in, from MAIL to the end of its
// content.
type transaction struct {
	s       *session
	env     accept.Envelope
	taken   int // recipients answered with 250, discarded ones too
	binary  bool
	chunked bool // BDAT has begun
	body    *content
	work    context.Context // from the beginning of the content; see finishing
	done    context.CancelFunc
	refusal reply.Reply // the last one, zero when there was none
	spoiled bool        // it ends all
}

func newTransaction(s *session, m smtp.Mail, release time.Time) *transaction {
	f := s.facts
	tx := &transaction{s: s, binary: m.Body == smtp.BodyBinary}
	tx.env = accept.Envelope{
		Key: f.Message, Time: f.Time, Sender: m.Sender, Return: m.Return, EnvelopeID: m.EnvelopeID,
		SMTPUTF8: m.SMTPUTF8, EightBit: m.Body == smtp.Body8Bit, Binary: tx.binary, RequireTLS: m.RequireTLS, Release: release,
	}
	if f.Client.IsValid() {
		tx.env.Client = f.Client.String()
	}
	if f.Login != nil {
		tx.env.Account = f.Login.ID
	}
	return tx
}

// discard gives back what the content took.
func (tx *transaction) discard() {
	if tx.body != nil {
		tx.body.close()
		tx.body = nil
	}
	if tx.done != nil {
		tx.done()
	}
}

// refuse remembers the reply that decides about the attempt, should nothing
// better follow.
func (tx *transaction) refuse(r reply.Reply) { tx.refusal = r }

// spoil refuses the attempt for good, whatever was taken of it.
func (tx *transaction) spoil(r reply.Reply) { tx.refusal, tx.spoiled = r, true }

// fate is how the attempt ends when no content was judged.
func (tx *transaction) fate() record.Outcome {
	if tx.taken > 0 && tx.body != nil && !tx.spoiled || tx.refusal.IsZero() {
		return record.Aborted
	}
	_, o := refusal(tx.refusal)
	return o
}

// begin asks policy whether content may come, and opens a place for it.
func (tx *transaction) begin() (reply.Reply, bool) {
	r := tx.open()
	tx.s.step("DATA", "", r)
	return r, r.IsZero()
}

// open is begin without the record; a zero reply says that content may come.
func (tx *transaction) open() reply.Reply {
	tx.work, tx.done = tx.s.c.finishing()
	if d := tx.s.judge(policy.Data); d.Refuses() {
		return d.Reply
	}
	if tx.taken == 0 {
		return replyNoRcpt
	}
	body, err := newContent(tx)
	if err != nil {
		return accept.ReplyTo(err)
	}
	tx.body = body
	return reply.Reply{}
}

// finish judges the whole message and takes responsibility for it, or says
// why not. The transaction is over then.
func (tx *transaction) finish(bare bool) outcome {
	r, end := tx.verdict(bare)
	s := tx.s
	s.contentStep(tx, r)
	tx.log(r, end)
	s.trace.Close(end)
	o := s.c.perRecipient(r, tx.taken)
	s.drop()
	return o
}

func (tx *transaction) verdict(bare bool) (reply.Reply, record.Outcome) {
	s, b := tx.s, tx.body
	switch {
	case b.over:
		return refusal(replyTooBig)
	case b.failed != nil:
		return refusal(accept.ReplyTo(b.failed))
	case bare && !tx.binary && b.normal == nil:
		return refusal(replyBareInContent)
	case b.folded:
		return refusal(replyFolded)
	}
	work, late := context.WithTimeoutCause(tx.work, replyTime-b.stalled, errLate)
	defer late()
	if r, ok := s.stillIn(); !ok {
		return refusal(r)
	}
	structure, err := b.finish()
	if err != nil {
		return refusal(accept.ReplyTo(err))
	}
	whole := later{draft: b.draft}
	defer whole.close()
	s.facts.ReadContent(structure)
	s.facts.BareCRLF = bare
	s.facts.Content = &policy.Message{Structure: structure, Body: &whole, Size: b.draft.Size()}
	s.facts.AtOnce, s.facts.Later = tx.env.AtOnce()
	if len(tx.env.Recipients) == 0 && tx.taken > 0 { // every copy was thrown away already
		s.facts.Content = nil
		return tx.thanks(), record.Discarded
	}
	ctx, stop := context.WithTimeoutCause(work, contentTime, errSlowChecks)
	defer stop()
	d := s.judgeIn(ctx, policy.Content)
	s.watchJudged(d)
	s.facts.Content = nil
	if ctx.Err() != nil {
		return refusal(replyLocalError.Because(context.Cause(ctx)))
	}
	if d.Refuses() {
		return refusal(d.Reply)
	}
	if d.Action != policy.Discard && len(d.Effects.Edits) > 0 {
		if structure, err = tx.edit(work, structure, &d.Effects); err != nil {
			return refusal(accept.ReplyTo(err))
		}
	}
	end := record.Discarded
	if d.Action != policy.Discard && len(tx.env.Recipients) > 0 {
		end = record.Accepted
		c := &accept.Content{Body: b.draft, Structure: structure, Trace: tx.head(&d.Effects), Complete: s.facts.Kind == policy.Submission,
			Host: s.c.server.Hostname(), Effects: d.Effects}
		if err := s.c.server.Door.Accept(work, &tx.env, c); err != nil {
			return refusal(accept.ReplyTo(err))
		}
	}
	if w := s.c.server.Watch; w != nil && end == record.Accepted && good(s.facts, &d.Effects) {
		w.Accepted(s.facts)
	}
	return tx.thanks(), end
}

// A client waits ten minutes for the reply to the end of its content
// (RFC 5321 §4.5.3.2.6); mail it has given up it sends again, so it must not be
// taken after that. The checks have their share of the time; what is left of
// the whole is for the commit to begin and for asking after one in doubt. A
// commit that has begun is waited for: its outcome is true whenever it comes.
const (
	contentTime = 6 * time.Minute
	replyTime   = 9 * time.Minute
)

var (
	errSlowChecks = errors.New("smtpd: the checks of the content took too long together")
	errLate       = errors.New("smtpd: the client has waited too long for the reply to its message")
)

// thanks is the reply to a message that was taken.
func (tx *transaction) thanks() reply.Reply {
	tx.s.c.taken++
	tx.s.c.penalty.delivered()
	return reply.New(250, reply.E(2, 0, 0), "queued as "+tx.env.Key.String())
}

// good reports mail from outside that speaks for its host (B1G-LIM-01).
func good(f *policy.Facts, e *policy.Effects) bool {
	return f.Login == nil && e.Junk == "" && e.Quarantine == "" && !e.Copy.Junk && f.Postmasters < len(f.Recipients)
}

// watchJudged tells what was made of a message from outside.
func (s *session) watchJudged(d *policy.Decision) {
	if w := s.c.server.Watch; w != nil && s.facts.Login == nil {
		w.Judged(s.facts, d)
	}
}

// head is what is put before the message: what the checks found out, and our
// trace field.
func (tx *transaction) head(e *policy.Effects) []byte {
	trace := tx.trace()
	if len(e.Fields) == 0 {
		return trace
	}
	return append([]byte(strings.Join(e.Fields, "")), trace...)
}

// refusal pairs a reply with the word of the record.
func refusal(r reply.Reply) (reply.Reply, record.Outcome) {
	if r.Temporary() {
		return r, record.Deferred
	}
	return r, record.Refused
}

// log writes the one line about the message as a whole.
func (tx *transaction) log(r reply.Reply, end record.Outcome) {
	what := event.MessageAccepted
	switch end {
	case record.Discarded:
		what = event.MessageDropped
	case record.Deferred:
		what = event.MessageDeferred
	case record.Refused:
		what = event.MessageRefused
	}
	log := tx.s.c.log
	if !log.Enabled(what) {
		return
	}
	attrs := []slog.Attr{slog.String("sender", tx.env.Sender.String()), slog.Int("recipients", tx.taken), slog.Int64("size", tx.body.size)}
	if end > record.Discarded {
		attrs = append(attrs, slog.String("stage", "content"), slog.String("reply", r.String()), event.Err(r.Cause))
	}
	log.Message(tx.env.Key).Log(what, attrs...)
}
