// Package reply holds what an SMTP server says: one value with the code, the
// enhanced status code, the public text and the private cause together.
//
// Handlers return a Reply and never write it; the session loop alone counts
// errors, delays, writes and hangs up. The package knows no socket.
package reply

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Enhanced is an enhanced status code such as 5.7.1 (RFC 3463). The zero
// value means "none": greetings, EHLO and 354 carry no enhanced code
// (RFC 2034 §4).
type Enhanced struct {
	Class, Subject, Detail uint16
}

// E makes an Enhanced from its three numbers.
func E(class, subject, detail uint16) Enhanced { return Enhanced{class, subject, detail} }

// IsZero reports whether there is no enhanced code.
func (e Enhanced) IsZero() bool { return e == Enhanced{} }

// String returns the code as it stands on the wire, or "" for none.
func (e Enhanced) String() string {
	if e.IsZero() {
		return ""
	}
	return string(e.append(make([]byte, 0, 16)))
}

func (e Enhanced) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(e.Class), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(e.Subject), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(e.Detail), 10)
}

// Reply is one SMTP reply. Text is public and holds one entry a line, at
// least one; lines never contain CR or LF once written (see Append). Cause is
// for the operator alone: it goes into the decision record and the log.
type Reply struct {
	Code     int
	Enhanced Enhanced
	Text     []string
	// Cause is the private reason; nil when the text says everything.
	Cause error
	// Close asks the session loop to hang up after the reply is written.
	Close bool
	// Inferred: Enhanced was not part of what another host said, but is what its
	// Code means; String leaves it out.
	Inferred bool
}

// New makes a reply with one line of text.
func New(code int, enhanced Enhanced, text string) Reply {
	return Reply{Code: code, Enhanced: enhanced, Text: []string{text}}
}

// Newf is New with a format.
func Newf(code int, enhanced Enhanced, format string, args ...any) Reply {
	return New(code, enhanced, fmt.Sprintf(format, args...))
}

// Because returns the reply with the private cause set.
func (r Reply) Because(err error) Reply { r.Cause = err; return r }

// Closing returns the reply with Close set.
func (r Reply) Closing() Reply { r.Close = true; return r }

// IsZero reports whether there is no reply at all.
func (r Reply) IsZero() bool { return r.Code == 0 }

// Positive reports a 2xx or 3xx reply.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code < 400 }

// Temporary reports a 4xx reply.
func (r Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent reports a 5xx reply.
func (r Reply) Permanent() bool { return r.Code >= 500 }

// Bounds of what is written.
const (
	// maxLine is the longest reply line including CRLF (RFC 5321 §4.5.3.1.5).
	maxLine = 512
	// maxParts is how many reply lines one line of text may take.
	maxParts = 8
	// challenge is the code of lines that may be longer, and must stay whole
	// (RFC 4954 §4).
	challenge = 334
)

// Append writes the reply in wire form, every line with code, enhanced code
// and CRLF. Control characters in the text become '?', so that no client
// input can end a line early. Text that does not fit into a line goes on in
// the next, from a space or at least from a whole character; after eight lines
// the rest is left out.
func (r Reply) Append(b []byte) []byte {
	lines := r.Text
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, line := range lines {
		for part, more := 1, true; more; part++ {
			start := len(b)
			b = strconv.AppendInt(b, int64(r.Code), 10)
			b = append(b, ' ')
			if !r.Enhanced.IsZero() {
				b = r.Enhanced.append(b)
				b = append(b, ' ')
			}
			text := line
			if room := start + maxLine - len("\r\n") - len(b); len(line) > room && r.Code != challenge {
				text, line = split(line, room)
				more = line != "" && part < maxParts
			} else {
				more = false
			}
			if more || i < len(lines)-1 {
				b[start+3] = '-'
			}
			b = appendClean(b, text)
			b = append(b, '\r', '\n')
		}
	}
	return b
}

// split parts a text that is longer than room octets: behind the last space, if
// that leaves no short line, or before the character that does not fit.
func split(s string, room int) (head, rest string) {
	if i := strings.LastIndexByte(s[:room+1], ' '); i > room/2 {
		return s[:i], strings.TrimLeft(s[i:], " ")
	}
	at := room
	for at > room-utf8.UTFMax && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at], s[at:]
}

// String returns the reply in one line as it was said, for logs and notices.
func (r Reply) String() string {
	text := strings.Join(r.Text, " / ")
	b := strconv.AppendInt(make([]byte, 0, 20+len(text)), int64(r.Code), 10)
	b = append(b, ' ')
	if !r.Enhanced.IsZero() && !r.Inferred {
		b = append(r.Enhanced.append(b), ' ')
	}
	return string(append(b, text...))
}

func appendClean(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}
