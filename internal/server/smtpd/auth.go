package smtpd

import (
	"errors"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

// auth begins an exchange (RFC 4954 §4, M-GEN-01, M-GEN-06).
func (s *session) auth(arg string) outcome {
	name, initial, err := smtp.ParseAuth(arg)
	limits := s.limits()
	switch {
	case !limits.Auth || s.c.guard == nil:
		return says(replyUnsupported)
	case s.facts.Login != nil:
		return says(reply.New(503, reply.E(5, 5, 1), "Logged in already"))
	case s.tx != nil:
		return says(reply.New(503, reply.E(5, 5, 1), "Not inside a transaction"))
	case err != nil:
		return syntax(err)
	}
	s.settle()
	mechanism := sasl.Mechanism(strings.ToUpper(name))
	offered := s.authOffer(limits)
	if !slices.Contains(offered, mechanism) {
		return says(notOffered(mechanism, s.facts.TLS))
	}
	server, err := s.c.guard.Begin(name, s.binding(), offered)
	if err != nil {
		return s.authFailed(mechanism, err)
	}
	var response []byte
	if initial != nil {
		if response, err = sasl.DecodeInitial(*initial); err != nil {
			return s.authFailed(mechanism, err)
		}
	}
	return s.exchange(server, mechanism, response)
}

// notOffered tells a mechanism we know from one we do not. The secret is never
// asked for without TLS.
func notOffered(m sasl.Mechanism, tls bool) reply.Reply {
	if known := sasl.Mechanisms(sasl.Offer{TLS: true, Login: true, Scram: true, SHA1: true, Binding: true}); !tls && slices.Contains(known, m) {
		return reply.New(504, reply.E(5, 5, 4), "Encryption required, use STARTTLS")
	}
	return reply.New(504, reply.E(5, 5, 4), "Mechanism not supported")
}

// exchange gives the client's response to the mechanism and sends what comes
// back, or ends the exchange.
func (s *session) exchange(server sasl.Server, m sasl.Mechanism, response []byte) outcome {
	challenge, done, err := server.Next(s.c.work, response)
	if err != nil {
		return s.authFailed(m, err)
	}
	if done {
		return s.loggedIn(m)
	}
	s.c.then = func() outcome { return s.respond(server, m) }
	return says(reply.New(334, reply.Enhanced{}, sasl.Encode(challenge)))
}

// respond reads the client's next line.
func (s *session) respond(server sasl.Server, m sasl.Mechanism) outcome {
	line, err := s.c.in.ReadLine(smtp.MaxAuth)
	if err != nil {
		return s.broken(err)
	}
	s.c.lineSince = time.Time{}
	response, err := sasl.DecodeResponse(string(line))
	if err != nil {
		return s.authFailed(m, err)
	}
	return s.exchange(server, m, response)
}

func (s *session) loggedIn(m sasl.Mechanism) outcome {
	account := s.c.guard.Account()
	s.facts.LogIn(&account)
	s.c.net.LoggedIn(account)
	r := reply.New(235, reply.E(2, 7, 0), "Authentication successful")
	s.step("AUTH", string(m), r)
	return says(r)
}

// authFailed says what went wrong without telling whether the name exists; the
// guard has counted it and says what it costs.
func (s *session) authFailed(m sasl.Mechanism, err error) outcome {
	r := reply.New(454, reply.E(4, 7, 0), "Temporary authentication failure")
	switch {
	case errors.Is(err, sasl.ErrCancelled):
		r = reply.New(501, reply.E(5, 7, 0), "Authentication cancelled")
	case errors.Is(err, sasl.ErrProtocol):
		r = reply.New(501, reply.E(5, 5, 2), "Cannot read the response")
	case errors.Is(err, sasl.ErrCredentials), errors.Is(err, sasl.ErrBinding):
		r = reply.New(535, reply.E(5, 7, 8), "Authentication credentials invalid")
	}
	o := says(r.Because(err))
	cost, last := s.c.guard.Penalty()
	s.c.hold = cost
	if last {
		o.more = append(o.more, replyTooManyLogins)
	}
	s.step("AUTH", string(m), o.Reply)
	return o
}

// broken ends the connection because a line or content could not be read.
func (s *session) broken(err error) outcome {
	s.c.closing = true
	r := s.c.lastWord(err)
	if s.noted = false; !r.IsZero() {
		s.noteEnd(r)
	}
	return says(r)
}
