package smtpd

import (
	"errors"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/smtp"
)

// Bounds of one transaction, whatever policy says: recipients looked at, RCPT
// commands answered at all, recipients named in the record and the log. On one
// connection mostAttempts recipients are refused for their number.
const (
	mostRecipients = 10_000
	mostAttempts   = 100_000
	mostNamed      = 500
)

// errNowhere says that the directory calls an address ours and names nobody.
// To take the message would be to lose it.
var errNowhere = errors.New("smtpd: the recipient leads to nobody")

// rcpt adds a recipient (RFC 5321 §4.1.1.3).
func (s *session) rcpt(arg string) outcome {
	tx, f := s.tx, s.facts
	s.tried++
	if s.tried > mostRecipients {
		s.noted = true // there are enough in the record
		return tooMany(s.tried)
	}
	r, err := smtp.ParseRcpt(arg, s.offered, tx.env.SMTPUTF8)
	if err != nil {
		f.Refused++
		if path, ok := pathIn(arg, "TO:"); ok {
			arg = path
		}
		return s.rcptStep(arg, smtp.ReplyTo(err))
	}
	to, err := s.c.server.Directory.Resolve(s.c.work, r.Recipient)
	if err != nil {
		return s.rcptStep(arg, replyLocalError.Because(err))
	}
	f.Recipient, f.Resolution = r.Recipient, to
	surplus := f.OverLimit
	d := s.judge(policy.Rcpt)
	if d.Refuses() {
		f.Refused++
		if d.Reply.Enhanced == noSuchRecipient {
			s.watchUnknown(r.Recipient.String())
		}
		o := s.rcptStep(r.Recipient.String(), d.Reply)
		o.surplus = f.OverLimit > surplus
		return o
	}
	if d.Action != policy.Discard {
		copies := destination(&r, &to)
		if len(copies.Accounts)+len(copies.Remote)+len(copies.Copies) == 0 {
			return s.rcptStep(r.Recipient.String(), replyLocalError.Because(errNowhere))
		}
		tx.env.Recipients = append(tx.env.Recipients, copies)
	}
	f.Accepted++
	tx.taken++
	return s.rcptStep(r.Recipient.String(), replyRcpt)
}

// watchUnknown tells of an address nobody has. Who is banned for it hears so at
// the next command.
func (s *session) watchUnknown(address string) {
	f := s.facts
	if w := s.c.server.Watch; w != nil && f.Login == nil && f.Trust == policy.Untrusted {
		s.c.expelled = s.c.expelled || w.UnknownRecipient(f, address)
	}
}

// tooMany refuses recipients unseen, and in the end the client.
func tooMany(tried int) outcome {
	if tried > mostAttempts {
		return says(replyTooManyErrors)
	}
	return outcome{Reply: replyManyRcpt, surplus: true}
}

// destination is where the message goes for a forward-path.
func destination(r *smtp.Rcpt, to *directory.Resolution) accept.Recipient {
	d := accept.Recipient{Address: r.Recipient, Original: r.Original, Notify: store.Notify(r.Notify), Remote: to.Forwards, Copies: to.Copies, System: to.System}
	if !to.Hosted() {
		d.Remote = []mail.Address{r.Recipient}
	}
	for i := range to.Deliveries {
		d.Accounts = append(d.Accounts, to.Deliveries[i].Account)
	}
	return d
}

// rcptStep notes what became of a recipient and answers.
func (s *session) rcptStep(addr string, r reply.Reply) outcome {
	if !r.Positive() {
		s.tx.refuse(r)
	}
	if s.tried > mostNamed {
		s.asked, s.noted = false, true
		return says(r)
	}
	if !r.Positive() {
		s.logRefusal(policy.Rcpt, addr, r)
	}
	if s.trace != nil {
		s.trace.Recipients = append(s.trace.Recipients, addr)
		s.step("RCPT", "<"+addr+">", r)
	}
	return says(r)
}
