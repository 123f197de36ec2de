package smtpd

import (
	"crypto/tls"

	"posthorn/internal/base/reply"
	"posthorn/internal/state/record"
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
	s.asked = false
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

// traceMail begins the record of an attempt.
func (s *session) traceMail(arg string, r reply.Reply) {
	if s.trace == nil {
		return
	}
	s.trace.Open(s.facts.Message)
	s.trace.HasSender, s.trace.Sender = true, s.facts.Sender.String()
	s.step("MAIL", arg, r)
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
