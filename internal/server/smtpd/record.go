package smtpd

import (
	"crypto/tls"
	"strings"

	"posthorn/internal/base/reply"
	"posthorn/internal/state/record"
	"posthorn/internal/wire/smtp"
)

// newTrace begins the decision record of a session.
func (s *session) newTrace() *record.Trace {
	f := s.facts
	return s.c.server.Recorder.Trace(record.Session{
		ID: f.Session, Begin: s.c.opened, Listener: f.Listener, Client: f.Client, Port: f.Port, Hostname: f.Hostname, TLS: s.tlsName(),
	})
}

func (s *session) tlsName() string {
	state := s.c.net.TLS()
	if state == nil {
		return ""
	}
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}

// step adds to the record what the client did, what it was told and what
// policy said about it, if it was asked.
func (s *session) step(verb, argument string, r reply.Reply) {
	asked := s.asked
	s.asked, s.noted = false, true
	if s.trace == nil {
		return
	}
	st := s.trace.Spare()
	st.Verb, st.Argument = verb, argument
	if !r.IsZero() {
		st.Reply = r.String()
	}
	if asked {
		s.judged.Record(st)
	}
	if st.Reason == "" && r.Cause != nil {
		st.Reason = r.Cause.Error()
	}
	s.describe()
	s.trace.Step(st)
}

// describe copies what is known by now about the session.
func (s *session) describe() {
	f, t := s.facts, &s.trace.Session
	t.Kind, t.Trust, t.Helo, t.Hostname = f.Kind.String(), f.Trust.String(), f.Helo, f.Hostname
	if f.Login != nil {
		t.Account = int64(f.Login.ID)
		if len(f.Login.Addresses) > 0 {
			t.Login = f.Login.Addresses[0].String()
		}
	}
}

// traceMail begins the record of an attempt; known says that there is a sender,
// if only the text of one.
func (s *session) traceMail(arg, sender string, known bool, r reply.Reply) {
	s.noted = true
	if s.trace == nil {
		return
	}
	s.trace.Open(s.facts.Message)
	s.trace.HasSender, s.trace.Sender = known, sender
	s.step("MAIL", arg, r)
}

// settle closes the record of a MAIL that was refused: what follows belongs to
// the session.
func (s *session) settle() {
	if s.tx == nil {
		s.trace.Close(s.refused)
	}
}

// pathIn returns the text of a path that could not be read, for the record.
func pathIn(arg, keyword string) (path string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", false
	}
	path, ok = strings.CutPrefix(strings.TrimLeft(arg[len(keyword):], " "), "<")
	path, _, _ = strings.Cut(path, ">")
	return path, ok
}

// noteRefusal adds to the record a command that was refused before anybody was
// asked about it. Replay must not take it for a step of the session.
func (s *session) noteRefusal(r reply.Reply) {
	if !s.noted {
		s.step(record.Command, s.c.said, r)
	}
}

// noteEnd adds to the record a last word of ours that answers no command.
func (s *session) noteEnd(r reply.Reply) {
	switch {
	case s.noted:
	case r.Enhanced == replyTimeout.Enhanced:
		s.step(record.Timeout, "", r)
	case r.Enhanced == replyStopping.Enhanced && r.Text[0] == replyStopping.Text[0]:
		s.step(record.Stopped, "", r)
	default:
		s.step(record.End, "", r)
	}
}

// shown is what a record may show of a command: not what may be a password, in
// a line that is none of our commands or in an exchange of AUTH gone wrong.
func shown(c smtp.Command) string {
	switch c.Verb {
	case smtp.Unknown:
		return ""
	case smtp.MAIL, smtp.RCPT, smtp.HELO, smtp.EHLO, smtp.LHLO:
		return strings.TrimSpace(c.Verb.String() + " " + c.Arg)
	}
	return c.Verb.String()
}

// end closes the session's record with the session.
func (s *session) end() {
	s.drop()
	s.trace.Done()
	s.trace = nil
}

// contentStep is the step of a whole message.
func (s *session) contentStep(tx *transaction, r reply.Reply) {
	if s.trace == nil {
		return
	}
	f := s.facts
	s.trace.Size, s.trace.Hops = tx.body.size, f.Hops
	for _, a := range f.From {
		s.trace.Authors = append(s.trace.Authors, a.String())
	}
	s.step("content", "", r)
}
