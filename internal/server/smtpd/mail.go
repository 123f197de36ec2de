package smtpd

import (
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/wire/smtp"
)

// mail begins a transaction (RFC 5321 §4.1.1.2).
func (s *session) mail(arg string) outcome {
	c := s.c
	s.settle()
	m, err := smtp.ParseMail(arg, s.offered)
	if c.outOfStep {
		return s.unasked(arg, m, err, replyPipelining)
	}
	if err != nil {
		return s.unasked(arg, m, err, smtp.ReplyTo(err))
	}
	if r, ok := s.stillIn(); !ok {
		return s.unasked(arg, m, nil, r)
	}
	now := time.Now()
	release, err := s.release(m, now)
	if err != nil {
		return s.unasked(arg, m, nil, smtp.ReplyTo(err))
	}
	if c.server.Tight != nil && c.server.Tight() {
		return s.putOff(arg, m, replyTight)
	}
	room, err := c.server.readRoom(c.work, now)
	if err != nil {
		return s.putOff(arg, m, replyLocalError.Because(err))
	}
	if m.Sender.Domain == "" && !m.Sender.IsNull() && s.facts.Login != nil && len(s.facts.Login.Addresses) > 0 {
		m.Sender.Domain = s.facts.Login.Addresses[0].Domain // RFC 6409 §6.1
		if len(m.Sender.String()) > mail.MaxAddress {
			return s.unasked(arg, m, nil, replyLongSender)
		}
	}
	f := s.facts
	f.Time, f.Message, f.Sender, f.Room = now, c.server.Idents.New(), m.Sender, room
	f.DeclaredSize = unit.Size(m.Size)
	f.Params = policy.MailParams{SMTPUTF8: m.SMTPUTF8, RequireTLS: m.RequireTLS}
	d := s.judge(policy.Mail)
	s.tried, s.owed = 0, 0
	if d.Refuses() {
		return s.refuseMail(arg, f.Sender.String(), true, d.Reply)
	}
	s.tx = newTransaction(s, m, release)
	s.traceMail(arg, f.Sender.String(), true, replySender)
	return says(replySender)
}

// unasked refuses MAIL before the rules are asked; unread is why its argument
// could not be read, nil when it could.
func (s *session) unasked(arg string, m smtp.Mail, unread error, r reply.Reply) outcome {
	sender, known := m.Sender.String(), true
	if unread != nil {
		sender, known = pathIn(arg, "FROM:")
	}
	s.facts.Message, s.facts.Sender = s.c.server.Idents.New(), m.Sender
	return s.refuseMail(arg, sender, known, r)
}

// putOff is unasked for want of something of ours. It is noted once a session:
// where memory is short, records must not take more of it.
func (s *session) putOff(arg string, m smtp.Mail, r reply.Reply) outcome {
	if s.short {
		s.noted = true
		return says(r)
	}
	s.short = true
	return s.unasked(arg, m, nil, r)
}

// refuseMail notes the attempt and refuses it. Its record stays open for what
// was pipelined behind MAIL, until settle.
func (s *session) refuseMail(arg, sender string, known bool, r reply.Reply) outcome {
	s.traceMail(arg, sender, known, r)
	s.logRefusal(policy.Mail, "", r)
	_, s.refused = refusal(r)
	s.facts.Message = ident.ID{}
	s.facts.Rest()
	return says(r)
}

// stillIn reports whether whoever logged in may still: an account that was
// disabled or removed meanwhile, or has a new password, sends no more, not
// even on an old connection.
func (s *session) stillIn() (reply.Reply, bool) {
	account := s.facts.Login
	if account == nil {
		return reply.Reply{}, true
	}
	if listen.Revoked(s.c.ctx) {
		return replyLoginEnded, false
	}
	for _, addr := range account.Addresses {
		to, err := s.c.server.Directory.Resolve(s.c.work, addr)
		if err != nil {
			return replyLocalError.Because(err), false
		}
		if to.Account == account.ID && to.Kind == directory.Local {
			return reply.Reply{}, true
		}
	}
	return replyLoginEnded, false
}

// release is when the message may be sent at the earliest (RFC 4865); zero
// for at once.
func (s *session) release(m smtp.Mail, now time.Time) (time.Time, error) {
	at := m.HoldUntil
	if m.HoldFor > 0 {
		at = now.Add(m.HoldFor)
	}
	if at.Sub(now) > s.c.settings.MaxHold {
		return time.Time{}, &smtp.Error{Reply: reply.New(501, reply.E(5, 5, 4), "The release time is too far in the future")}
	}
	return at, nil
}
