// Package smtp is the grammar of SMTP and LMTP (RFC 5321, RFC 2033): command
// lines, paths, parameters, message content by DATA and BDAT, replies, and a
// client that speaks them.
//
// It stands at the first step of a message's way in (server/smtpd reads with
// it) and at the last one out (flow/remote, flow/local write with Client). It
// opens no socket and knows neither which domains are ours nor what is
// allowed: syntax alone is judged here, and each syntax error names the reply
// that RFC 5321 or an extension wants for it.
package smtp

import (
	"errors"

	"posthorn/internal/base/reply"
)

// Limits of a command line in octets, without its CRLF.
const (
	// MaxLine is the limit of RFC 5321 §4.5.3.1.4.
	MaxLine = 510
	// MaxMail adds what the extensions allow MAIL: SIZE 26 (RFC 1870), BODY 17
	// (RFC 6152), AUTH 500 (RFC 4954), RET and ENVID 116 (RFC 3461), SMTPUTF8 10
	// (RFC 6531), REQUIRETLS 11 (RFC 8689), HOLDUNTIL 34 (RFC 4865).
	MaxMail = MaxLine + 26 + 17 + 500 + 116 + 10 + 11 + 34
	// MaxRcpt adds ORCPT and NOTIFY (RFC 3461 §5).
	MaxRcpt = MaxLine + 500 + 35
	// MaxAuth is the limit for AUTH and the lines of its exchange (RFC 4954 §4).
	MaxAuth = 12288
)

// Error is a syntax error together with the reply that answers it.
type Error struct{ Reply reply.Reply }

// Error implements error.
func (e *Error) Error() string { return "smtp: " + e.Reply.String() }

// ReplyTo returns the reply for an error of this package; any other error is
// a local error in processing.
func ReplyTo(err error) reply.Reply {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reply
	}
	return reply.New(451, reply.E(4, 3, 0), "Local error in processing").Because(err)
}

func refuse(code int, class, subject, detail uint16, text string) error {
	return &Error{reply.New(code, reply.E(class, subject, detail), text)}
}

// badArgument is the error for a malformed argument or parameter value.
func badArgument(text string) error { return refuse(501, 5, 5, 4, text) }
