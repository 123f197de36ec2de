package remote

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"posthorn/internal/base/reply"
	"posthorn/internal/wire/smtp"
)

// problem is why a host, or all of them, could not be used.
type problem struct {
	host  string // "mx.far.test [192.0.2.1]", "" before there was one
	reply reply.Reply
	// ours says that reply is in our words, and not what the host said.
	ours bool
	// final says that asking again later will not help.
	final bool
	// message says that other messages may fare better there.
	message bool
	// silent says that the host accepts connections and does not speak.
	silent bool
	// alarm says that an administrator has to see to it.
	alarm bool
}

func final(code int, e reply.Enhanced, format string, args ...any) *problem {
	return &problem{reply: reply.Newf(code, e, format, args...), ours: true, final: true}
}

func passing(e reply.Enhanced, format string, args ...any) *problem {
	return &problem{reply: reply.Newf(451, e, format, args...), ours: true}
}

// said is what a host answered that does not take a recipient.
func said(h hop, r reply.Reply) *problem { return (&problem{reply: r}).at(h) }

// at names the host.
func (p *problem) at(h hop) *problem { p.host = h.String(); return p }

// because keeps the cause for the log and the recipient's record.
func (p *problem) because(err error) *problem { p.reply = p.reply.Because(err); return p }

// ioProblem is a connection that failed while it waited for what answers verb.
func ioProblem(h hop, verb string, err error) *problem {
	p := passing(reply.E(4, 4, 2), "%s hung up at %s", h, verb)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || isNet && netErr.Timeout():
		p = passing(reply.E(4, 4, 2), "%s did not answer %s in time", h, verb)
	case errors.Is(err, smtp.ErrReply) || errors.Is(err, smtp.ErrLineTooLong) || errors.Is(err, smtp.ErrBareLF):
		p = passing(reply.E(4, 5, 0), "%s answered %s with what is no SMTP reply", h, verb)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		p = passing(reply.E(4, 4, 2), "the connection to %s broke at %s", h, verb)
	}
	return p.at(h).because(err)
}

// Bounds of a reply kept with a recipient: it goes into the queue's rows and
// into notices.
const (
	keptLines  = 12
	keptOctets = 500
)

// kept returns a host's reply as it is kept: with an enhanced status code, and
// not longer than anybody reads.
func kept(r reply.Reply, verb string) reply.Reply {
	if r.Enhanced.IsZero() {
		r.Enhanced, r.Inferred = enhanced(r.Code, verb), true
	}
	lines := make([]string, 0, min(len(r.Text), keptLines))
	for _, line := range r.Text[:min(len(r.Text), keptLines)] {
		lines = append(lines, cut(line))
	}
	r.Text = lines
	return r
}

func cut(line string) string {
	if len(line) > keptOctets {
		line = strings.ToValidUTF8(line[:keptOctets], "") + "…"
	}
	return line
}

// temporary makes a host's 5xx reply one of ours that does not end the
// message; the text tells what the host said.
func temporary(r reply.Reply, words string) *problem {
	return passing(reply.E(4, r.Enhanced.Subject, r.Enhanced.Detail), "%s", cut(words+": "+r.String()))
}

// enhanced returns the code that RFC 3463 has for a plain reply code, for
// hosts without RFC 2034; its class is that of the reply.
func enhanced(code int, verb string) reply.Enhanced {
	class := uint16(code / 100)
	switch code {
	case 421, 521:
		return reply.E(class, 3, 2) // RFC 7504 §4
	case 450:
		return reply.E(class, 2, 0)
	case 451:
		return reply.E(class, 3, 0)
	case 452, 552:
		if verb == "RCPT" {
			return reply.E(class, 2, 2)
		}
		return reply.E(class, 3, 1)
	case 454, 530, 535:
		return reply.E(class, 7, 0)
	case 500, 501, 502, 503, 504, 555:
		return reply.E(class, 5, 0)
	case 551:
		return reply.E(class, 1, 6)
	case 550, 553:
		if verb == "RCPT" {
			return reply.E(class, 1, 0)
		}
	case 556:
		return reply.E(class, 1, 10) // RFC 7505 §4.1
	}
	return reply.E(class, 0, 0)
}
