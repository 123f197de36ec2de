package imap

import (
	"errors"
	"time"
)

// errUnread is the caller's fault: the rest of the command is out of reach.
var errUnread = errors.New("imap: message not read to its end")

// Append is one message of an APPEND (RFC 3501 §6.3.11), up to its content.
type Append struct {
	Flags []string
	// Date is the internal date, zero if the client gave none.
	Date time.Time
	// UTF8 says that the client announced UTF-8 headers (RFC 6855 §4).
	UTF8 bool
	// Literal is the content. Read it to its end before asking for more of
	// the command; not reading it at all refuses it.
	Literal *Literal
}

// AppendMailbox takes the mailbox of APPEND.
func (d *Decoder) AppendMailbox() (string, error) {
	d.arg("a mailbox name")
	name := d.Mailbox("a mailbox name")
	return name, d.err
}

// Append takes the next message up to its content. After the last message
// more is false (RFC 3502 allows several). A Size of 0 is a client that gave
// the whole command up.
func (d *Decoder) Append() (a Append, more bool, err error) {
	if d.messages > 0 {
		if d.rest == restLiteral {
			d.fail(errUnread)
		}
		if d.closeUTF8 {
			d.expect(')', ") after the message")
		}
		if _, ok := d.peek(); !ok && d.rest != restLiteral {
			return Append{}, false, d.err
		}
	}
	d.closeUTF8 = false
	d.arg("a message")
	if c, ok := d.peek(); ok && c == '(' {
		a.Flags = d.Flags()
		d.arg("a message")
	}
	if c, ok := d.peek(); ok && c == '"' {
		a.Date = d.DateTime()
		d.arg("a message")
	}
	if a.UTF8 = d.acceptFold("UTF8 ("); a.UTF8 && d.atLiteral() && !d.literal.Binary {
		d.fail(expected("a literal with ~ after UTF8"))
	}
	if !d.atLiteral() {
		d.fail(expected("a literal"))
	}
	if d.err != nil {
		return Append{}, false, d.err
	}
	a.Literal = &d.literal
	d.messages++
	d.closeUTF8 = a.UTF8
	return a, true, nil
}
