package smtpd

import (
	"posthorn/internal/base/reply"
	"posthorn/internal/wire/smtp"
)

// state is where a session stands; a command names the set it is allowed in.
type state uint8

const (
	beforeHello state = 1 << iota
	ready             // no transaction
	envelope          // after MAIL
	chunks            // after the first BDAT

	greeted = ready | envelope | chunks
	anytime = beforeHello | greeted
)

// dialect says which protocol has a command.
type dialect uint8

const (
	both dialect = iota
	smtpOnly
	lmtpOnly
)

// command is one row of the table.
type command struct {
	in     state
	only   dialect
	handle func(s *session, arg string) outcome
	// junk commands cost time in numbers (M-SEC-ADV-05).
	junk  bool
	hello bool // the client introduces itself
	// last commands end a group of pipelined ones (RFC 2920 §3.1).
	last bool
}

// table says of every verb where it may come, who handles it and what policy is
// asked.
var table = [smtp.Verbs]command{
	smtp.HELO:     {in: anytime, only: smtpOnly, handle: (*session).helo, last: true, hello: true}, // asks policy.Helo
	smtp.EHLO:     {in: anytime, only: smtpOnly, handle: (*session).ehlo, last: true, hello: true}, // asks policy.Helo
	smtp.LHLO:     {in: anytime, only: lmtpOnly, handle: (*session).ehlo, last: true, hello: true}, // asks policy.Helo
	smtp.STARTTLS: {in: anytime, handle: (*session).starttls, last: true},
	smtp.AUTH:     {in: greeted, handle: (*session).auth, last: true},
	smtp.MAIL:     {in: ready, handle: (*session).mail},                // asks policy.Mail
	smtp.RCPT:     {in: envelope, handle: (*session).rcpt},             // asks policy.Rcpt
	smtp.DATA:     {in: envelope, handle: (*session).data, last: true}, // asks policy.Data, then policy.Content
	smtp.BDAT:     {in: anytime, handle: (*session).bdat},              // like DATA; its octets follow in any state
	smtp.RSET:     {in: anytime, handle: (*session).rset, junk: true},
	smtp.NOOP:     {in: anytime, handle: (*session).noop, junk: true, last: true},
	smtp.VRFY:     {in: anytime, handle: (*session).vrfy, junk: true, last: true},
	smtp.EXPN:     {in: anytime, handle: (*session).expn, junk: true, last: true},
	smtp.ETRN:     {in: anytime, only: smtpOnly, handle: (*session).etrn, junk: true},
	smtp.HELP:     {in: anytime, handle: (*session).help},
	smtp.QUIT:     {in: anytime, handle: (*session).quit, last: true},
	smtp.HTTP:     {in: anytime, handle: (*session).http},
}

// outOfOrder is the reply to a command that may not come in the state.
func outOfOrder(at state) reply.Reply {
	switch at {
	case beforeHello:
		return replyHelloFirst
	case ready:
		return replyMailFirst
	case chunks:
		return replyInChunks
	}
	return replyNested
}
