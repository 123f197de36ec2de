package pop3

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Code is a response code, what stands in brackets (RFC 2449 §8).
type Code string

// The response codes in use.
const (
	InUse      Code = "IN-USE"      // the maildrop is locked (RFC 2449 §8.1.2)
	LoginDelay Code = "LOGIN-DELAY" // logged in too soon again (RFC 2449 §8.1.1)
	SysTemp    Code = "SYS/TEMP"    // our trouble, will pass (RFC 3206 §4)
	SysPerm    Code = "SYS/PERM"    // our trouble, needs a person (RFC 3206 §4)
	AuthFailed Code = "AUTH"        // the credentials are wrong (RFC 3206 §5)
	UTF8Needed Code = "UTF8"        // the maildrop needs the UTF8 command (RFC 6856 §5)
)

// maxResponse is the longest first line including CRLF (RFC 2449 §4).
const maxResponse = 512

// Response is the status line of an answer. A handler returns it, the session
// loop writes it; listings and messages follow it.
type Response struct {
	OK   bool
	Code Code
	Text string // public
	// Cause is the private reason, for log and record; nil when the text says everything.
	Cause error
	// Close asks the session loop to hang up after the response is written.
	Close bool
}

// OK returns a positive response.
func OK(text string) Response { return Response{OK: true, Text: text} }

// Err returns a negative response; code may be "".
func Err(code Code, text string) Response { return Response{Code: code, Text: text} }

// Because returns the response with the private cause set.
func (r Response) Because(err error) Response { r.Cause = err; return r }

// Closing returns the response with Close set.
func (r Response) Closing() Response { r.Close = true; return r }

// String returns the status line without its line end.
func (r Response) String() string {
	b := r.Append(nil)
	return string(b[:len(b)-2])
}

// Append writes the status line. What is no printable ASCII becomes '?', a
// line over 512 octets is cut, and a text is never mistaken for a code.
func (r Response) Append(b []byte) []byte {
	start := len(b)
	if r.OK {
		b = append(b, "+OK"...)
	} else {
		b = append(b, "-ERR"...)
	}
	if r.Code != "" {
		b = append(b, " ["...)
		b = append(b, r.Code...)
		b = append(b, ']')
	}
	if r.Text != "" {
		b = append(b, ' ')
		body := len(b)
		b = appendPrintable(b, r.Text)
		if r.Code == "" && b[body] == '[' {
			b[body] = '('
		}
	}
	if len(b)-start > maxResponse-2 {
		b = b[:start+maxResponse-2]
	}
	return append(b, "\r\n"...)
}

func appendPrintable(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// AppendContinue writes a challenge of an AUTH exchange (RFC 5034 §4).
func AppendContinue(b, challenge []byte) []byte {
	b = append(b, "+ "...)
	b = base64.StdEncoding.AppendEncode(b, challenge)
	return append(b, "\r\n"...)
}

// AppendScan writes one line of LIST: number and size in octets.
func AppendScan(b []byte, message int, size int64) []byte {
	b = strconv.AppendInt(b, int64(message), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, size, 10)
	return append(b, "\r\n"...)
}

// AppendUID writes one line of UIDL: number and unique-id.
func AppendUID(b []byte, message int, uid string) []byte {
	b = strconv.AppendInt(b, int64(message), 10)
	b = append(b, ' ')
	b = append(b, uid...)
	return append(b, "\r\n"...)
}

// AppendEnd writes the line that ends a listing.
func AppendEnd(b []byte) []byte { return append(b, ".\r\n"...) }

// UID makes the unique-id of a message from the two numbers IMAP knows it by:
// 16 hexadecimal digits. Both never change and are never used again, which is
// what RFC 1939 §7 asks of a unique-id.
func UID(validity, uid uint32) string { return fmt.Sprintf("%08x%08x", validity, uid) }

// Capabilities is what CAPA answers with at one moment (RFC 2449 §6). TOP,
// UIDL, RESP-CODES, AUTH-RESP-CODE and PIPELINING are always there.
type Capabilities struct {
	User bool     // USER and PASS are allowed here and now
	STLS bool     // STLS is possible
	SASL []string // mechanisms, the strongest first
	UTF8 bool     // UTF8 and UTF8 in USER (RFC 6856 §2)
	Lang bool     // LANG (RFC 6856 §3)
	// LoginDelay is the least time between two logins; 0 for none.
	LoginDelay time.Duration
	// Expire is how long messages stay after they were read; 0 for ever.
	Expire time.Duration
	// Implementation names the server; "" keeps it to itself.
	Implementation string
}

// Append writes the lines of the listing, without status line and end.
func (c Capabilities) Append(b []byte) []byte {
	for _, line := range c.lines() {
		b = appendPrintable(b, line)
		b = append(b, "\r\n"...)
	}
	return b
}

func (c Capabilities) lines() []string {
	lines := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"}
	if c.User {
		lines = append(lines, "USER")
	}
	if c.STLS {
		lines = append(lines, "STLS")
	}
	if len(c.SASL) > 0 {
		lines = append(lines, "SASL "+strings.Join(c.SASL, " "))
	}
	if c.UTF8 {
		lines = append(lines, "UTF8 USER")
	}
	if c.Lang {
		lines = append(lines, "LANG")
	}
	if c.LoginDelay > 0 {
		lines = append(lines, "LOGIN-DELAY "+strconv.FormatInt(roundUp(c.LoginDelay, time.Second), 10))
	}
	if c.Expire > 0 {
		lines = append(lines, "EXPIRE "+strconv.FormatInt(int64(c.Expire/(24*time.Hour)), 10))
	} else {
		lines = append(lines, "EXPIRE NEVER")
	}
	if c.Implementation != "" {
		lines = append(lines, "IMPLEMENTATION "+c.Implementation)
	}
	return lines
}

// roundUp counts units, a begun one as a whole: who waits what is announced
// must not be refused.
func roundUp(d, unit time.Duration) int64 { return int64((d + unit - 1) / unit) }
