package smtpd

import (
	"crypto/tls"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

// helo begins a session without extensions (RFC 5321 §4.1.1.1).
func (s *session) helo(arg string) outcome {
	if o, ok := s.introduce(arg, false); !ok {
		return o
	}
	s.offered = 0
	return says(reply.New(250, reply.Enhanced{}, s.c.server.Hostname()))
}

// ehlo handles EHLO and LHLO: it begins a session and says what it can do.
func (s *session) ehlo(arg string) outcome {
	if o, ok := s.introduce(arg, true); !ok {
		return o
	}
	return says(reply.Reply{Code: 250, Text: s.extensions()})
}

// introduce takes the client's name; a transaction under way is forgotten
// (RFC 5321 §4.1.4).
func (s *session) introduce(arg string, esmtp bool) (outcome, bool) {
	name, err := smtp.ParseHello(arg)
	if err != nil {
		return syntax(err), false
	}
	s.c.hellos++
	s.drop()
	s.facts.Helo, s.facts.ESMTP = name, esmtp
	d := s.judge(policy.Helo)
	s.step(s.hello(esmtp), name, d.Reply)
	if d.Refuses() {
		return says(d.Reply), false
	}
	s.greeted = true
	s.c.outOfStep = s.c.in.Buffered() > 0
	return outcome{}, true
}

// extensions are the lines of the EHLO reply; what they say is remembered, so
// that nothing else is accepted.
func (s *session) extensions() []string {
	c, limits := s.c, s.limits()
	s.offered = smtp.Size | smtp.Body | smtp.BinaryMIME | smtp.SMTPUTF8 | smtp.DSN
	lines := append(make([]string, 0, 16), c.server.Hostname(), "PIPELINING", "SIZE "+strconv.FormatInt(int64(limits.Size), 10),
		"8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "DSN")
	if limits.Recipients > 0 {
		lines = append(lines, "LIMITS RCPTMAX="+strconv.Itoa(limits.Recipients)) // RFC 9422
	}
	if s.facts.TLS {
		s.offered |= smtp.RequireTLS
		lines = append(lines, "REQUIRETLS")
	} else if s.tlsConfig() != nil {
		lines = append(lines, "STARTTLS")
	}
	if s.mechanisms = s.authOffer(limits); len(s.mechanisms) > 0 {
		s.offered |= smtp.Auth
		lines = append(lines, "AUTH "+joinMechanisms(s.mechanisms))
	}
	if hold := c.settings.MaxHold; hold > 0 && s.facts.Kind == policy.Submission {
		s.offered |= smtp.FutureRelease
		lines = append(lines, "FUTURERELEASE "+strconv.FormatInt(int64(hold/time.Second), 10)+" "+
			time.Now().Add(hold).UTC().Format(time.RFC3339))
	}
	return lines
}

func (s *session) tlsConfig() *tls.Config {
	if s.c.server.TLS == nil {
		return nil
	}
	return s.c.server.TLS()
}

// authOffer lists the mechanisms of this moment. Without TLS there are none,
// not even SCRAM, unless the administrator lifts that (M-GEN-06).
func (s *session) authOffer(limits policy.Limits) []sasl.Mechanism {
	if !limits.Auth || s.c.guard == nil || s.facts.Login != nil {
		return nil
	}
	o := s.c.server.Offer(s.c.net.Info)
	if o.TLS = s.facts.TLS; !o.TLS && !o.PlaintextWithoutTLS {
		return nil
	}
	o.Binding = o.TLS && s.binding().Available()
	return sasl.Mechanisms(o)
}

func (s *session) binding() sasl.ChannelBinding {
	state := s.c.net.TLS()
	if state == nil {
		return sasl.ChannelBinding{}
	}
	return sasl.ServerBinding(state, s.c.net.Leaf())
}

func joinMechanisms(list []sasl.Mechanism) string {
	var b strings.Builder
	for i, m := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(m))
	}
	return b.String()
}

// hello is the verb the client introduced itself with.
func (s *session) hello(esmtp bool) string {
	switch {
	case s.c.lmtp:
		return "LHLO"
	case esmtp:
		return "EHLO"
	}
	return "HELO"
}
