package smtpd

import (
	"time"

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
	if c.outOfStep {
		return says(replyPipelining)
	}
	m, err := smtp.ParseMail(arg, s.offered)
	if err != nil {
		return syntax(err)
	}
	if r, ok := s.stillIn(); !ok {
		return says(r)
	}
	now := time.Now()
	release, err := s.release(m, now)
	if err != nil {
		return syntax(err)
	}
	if c.server.Tight != nil && c.server.Tight() {
		return says(replyTight)
	}
	room, err := c.server.readRoom(c.work, now)
	if err != nil {
		return s.local(err)
	}
	if m.Sender.Domain == "" && !m.Sender.IsNull() && s.facts.Login != nil && len(s.facts.Login.Addresses) > 0 {
		m.Sender.Domain = s.facts.Login.Addresses[0].Domain // RFC 6409 §6.1
	}
	f := s.facts
	f.Time, f.Message, f.Sender, f.Room = now, c.server.Idents.New(), m.Sender, room
	f.DeclaredSize = unit.Size(m.Size)
	f.Params = policy.MailParams{SMTPUTF8: m.SMTPUTF8, RequireTLS: m.RequireTLS}
	r := replySender
	d := s.judge(policy.Mail)
	if d.Refuses() {
		r = d.Reply
	}
	s.tx, s.tried = newTransaction(s, m, release), 0
	s.traceMail(arg, r)
	if d.Refuses() {
		s.logRefusal(policy.Mail, "", r)
		s.tx.refuse(r)
		s.drop()
	}
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
