package smtpd

import (
	"context"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

// session is what a client has said about itself. It begins with the
// connection; STARTTLS begins a new one, for what was said in clear text
// counts for nothing (RFC 3207 §4.2).
type session struct {
	c     *connection
	facts *policy.Facts
	// greeted is set by HELO, EHLO or LHLO.
	greeted bool
	// offered are the parameters EHLO announced; mechanisms those of AUTH.
	offered    smtp.Param
	mechanisms []sasl.Mechanism
	tried      int // RCPT commands since the last transaction ended
	owed       int // recipients of a message refused in a chunk before its last
	tx         *transaction
	trace      *record.Trace
	// refused is how the last MAIL ended, while it is refused and its record open.
	refused record.Outcome
	// judged is what policy last said, until it is in the record.
	judged policy.Decision
	asked  bool
	noted  bool // what is answered now is in the record
	short  bool // MAIL was put off for want of memory or disk, which is noted once
}

func newSession(c *connection) *session {
	n := c.net
	f := &policy.Facts{
		Time: time.Now(), Session: n.Session, Listener: n.Listener, Client: n.Client.Addr(), Port: n.Client.Port(),
		TLS: n.TLS() != nil, Sources: c.server.Sources,
	}
	c.server.Policy.Classify(f)
	s := &session{c: c, facts: f}
	s.trace = s.newTrace()
	return s
}

// renewed is the session after STARTTLS. What policy knows about the
// connection stays, refusals it still holds back too; all the client said goes.
func (s *session) renewed() *session {
	s.drop()
	s.facts.StartTLS()
	next := &session{c: s.c, facts: s.facts}
	if next.trace = s.trace; next.trace != nil {
		next.trace.TLS = next.tlsName()
	}
	next.step("STARTTLS", "", reply.Reply{})
	return next
}

// state is where the session stands, for the command table.
func (s *session) state() state {
	switch {
	case !s.greeted:
		return beforeHello
	case s.tx == nil:
		return ready
	case s.tx.chunked:
		return chunks
	}
	return envelope
}

// judge asks policy. What it said is kept until the next step of the record.
func (s *session) judge(stage policy.Stage) *policy.Decision { return s.judgeIn(s.c.work, stage) }

// judgeIn is judge within a context.
func (s *session) judgeIn(ctx context.Context, stage policy.Stage) *policy.Decision {
	s.judged, s.asked = s.c.server.Policy.Judge(ctx, stage, s.facts), true
	s.c.hold = s.judged.Delay
	for i := range s.judged.Results {
		if r := &s.judged.Results[i]; r.Action > policy.Pass {
			s.c.log.Message(s.facts.Message).Log(event.PolicyDecision, slog.String("check", r.Entry.Name), slog.String("stage", stage.String()),
				slog.String("action", r.Action.String()), slog.String("mode", r.Mode.String()), slog.String("reason", r.Reason))
		}
	}
	return &s.judged
}

// logRefusal writes the line about a sender or recipient that was not taken.
func (s *session) logRefusal(stage policy.Stage, recipient string, r reply.Reply) {
	what := event.MessageRefused
	if r.Temporary() {
		what = event.MessageDeferred
	}
	if !s.c.log.Enabled(what) {
		return
	}
	s.c.log.Message(s.facts.Message).Log(what, slog.String("stage", stage.String()), slog.String("sender", s.facts.Sender.String()),
		slog.String("recipient", recipient), slog.String("reply", r.String()), event.Err(r.Cause))
}

// drop ends the transaction, if there is one.
func (s *session) drop() {
	s.settle()
	s.tried, s.owed = 0, 0
	if s.tx != nil {
		s.trace.Close(s.tx.fate())
		s.tx.discard()
		s.tx = nil
	}
	f := s.facts
	f.Message, f.Accepted, f.Refused = ident.ID{}, 0, 0
	f.Rest()
}

// limits are those in force for the session as it stands.
func (s *session) limits() policy.Limits { return s.c.server.Policy.Limits(s.facts) }

// syntax answers an error of the grammar.
func syntax(err error) outcome { return says(smtp.ReplyTo(err)) }

// nothing refuses an argument where none is allowed.
func nothing(arg string) (reply.Reply, bool) {
	if err := smtp.ParseNothing(arg); err != nil {
		return smtp.ReplyTo(err), false
	}
	return reply.Reply{}, true
}
