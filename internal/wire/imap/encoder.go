package imap

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrShortLiteral says that a literal's source ended before its announced
// size. The response is broken and the connection must be closed.
var ErrShortLiteral = errors.New("imap: literal ended early")

// sheetSize is the output buffer of a busy connection, one TLS record.
const sheetSize = 16 << 10

// sheets lends output buffers, so that idle connections hold none.
var sheets = sync.Pool{New: func() any { return new([sheetSize]byte) }}

// Encoder writes responses. Between the tokens of a line and of a list it
// puts the spaces itself. Write faults are sticky: Flush and Err tell them,
// and whatever follows the first one is dropped.
//
// Output is written when the buffer is full and by Flush; after Flush the Encoder
// holds no buffer. It may be used by one goroutine at a time.
type Encoder struct {
	dst  io.Writer
	buf  []byte
	page *[sheetSize]byte
	utf8 bool
	tok  bool // a token was written last, so a space is due before the next
	err  error
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{dst: w} }

// SetUTF8 says that the client takes UTF-8 in quoted strings and mailbox
// names (RFC 6855, RFC 9051).
func (e *Encoder) SetUTF8(on bool) { e.utf8 = on }

// Reset makes the Encoder write to w, as after STARTTLS or COMPRESS. Flush first.
func (e *Encoder) Reset(w io.Writer) { e.dst = w }

// Err returns the first fault.
func (e *Encoder) Err() error { return e.err }

// Flush writes everything out and gives the buffer back.
func (e *Encoder) Flush() error {
	e.drain()
	if e.page != nil {
		sheets.Put(e.page)
		e.page, e.buf = nil, nil
	}
	return e.err
}

// drain writes the buffer out and keeps it.
func (e *Encoder) drain() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.dst.Write(e.buf)
	}
	if cap(e.buf) > sheetSize { // a token was larger than the buffer
		e.buf = e.page[:0]
	}
	e.buf = e.buf[:0]
}

// need makes sure of a buffer with n octets of room, as far as one has it.
func (e *Encoder) need(n int) {
	if e.page == nil {
		e.page = sheets.Get().(*[sheetSize]byte)
		e.buf = e.page[:0]
	}
	if len(e.buf)+n > sheetSize {
		e.drain()
	}
}

// space writes the space due before a token.
func (e *Encoder) space(n int) {
	e.need(n + 1)
	if e.tok {
		e.buf = append(e.buf, ' ')
	}
	e.tok = true
}

// Untagged begins an untagged response: "* ".
func (e *Encoder) Untagged() {
	e.need(2)
	e.buf = append(e.buf, '*')
	e.tok = true
}

// End ends the response line.
func (e *Encoder) End() {
	e.need(2)
	e.buf = append(e.buf, '\r', '\n')
	e.tok = false
}

// Atom writes s as it is: a word of the protocol, never text of a user.
func (e *Encoder) Atom(s string) {
	e.space(len(s))
	e.buf = append(e.buf, s...)
}

// Appended writes one token that f appends, such as SeqSet.Append or
// Section.AppendResponse.
func (e *Encoder) Appended(f func([]byte) []byte) {
	e.space(0)
	e.buf = f(e.buf)
}

// Number writes a number.
func (e *Encoder) Number(n uint64) {
	e.space(20)
	e.buf = strconv.AppendUint(e.buf, n, 10)
}

// Set writes a set, which must not be empty.
func (e *Encoder) Set(s SeqSet) {
	e.space(0)
	e.buf = s.Append(e.buf)
}

// Open begins a parenthesised list.
func (e *Encoder) Open() {
	e.space(1)
	e.buf = append(e.buf, '(')
	e.tok = false
}

// Close ends a parenthesised list.
func (e *Encoder) Close() {
	e.need(1)
	e.buf = append(e.buf, ')')
	e.tok = true
}

// Join leaves out the space before the next token, as between the addresses
// of an ENVELOPE and the parts of a BODYSTRUCTURE.
func (e *Encoder) Join() { e.tok = false }

// Nil writes NIL.
func (e *Encoder) Nil() { e.Atom("NIL") }

// Flags writes a flag list.
func (e *Encoder) Flags(flags []string) {
	e.space(64)
	e.buf = appendFlags(e.buf, flags)
}

// DateTime writes a date-time in the zone of t.
func (e *Encoder) DateTime(t time.Time) {
	e.space(28)
	e.buf = appendDateTime(e.buf, t)
}

// Text writes a string, quoted if it can be and otherwise as a literal.
func (e *Encoder) Text(s string) {
	e.space(len(s) + 2)
	e.buf = appendString(e.buf, s, e.utf8)
}

// NText writes a string, or NIL if ok is false.
func (e *Encoder) NText(s string, ok bool) {
	if ok {
		e.Text(s)
	} else {
		e.Nil()
	}
}

// Mailbox writes a mailbox name, in modified UTF-7 unless the client takes UTF-8.
func (e *Encoder) Mailbox(name string) {
	if !e.utf8 {
		name = EncodeUTF7(name)
	}
	e.space(len(name) + 2)
	if isAtom(name) && !strings.EqualFold(name, "NIL") {
		e.buf = append(e.buf, name...)
		return
	}
	e.buf = appendString(e.buf, name, e.utf8)
}

// Literal streams size octets from r as a literal. NUL, which a literal must
// not hold (RFC 3501 §9, CHAR8), goes out as 0x80. If r ends early the
// connection is beyond repair: ErrShortLiteral.
func (e *Encoder) Literal(size int64, r io.Reader) error { return e.stream("{", size, r) }

// Literal8 streams size octets from r as a literal8, NUL included, as BINARY
// sections have it (RFC 3516).
func (e *Encoder) Literal8(size int64, r io.Reader) error { return e.stream("~{", size, r) }

func (e *Encoder) stream(open string, size int64, r io.Reader) error {
	e.space(len(open) + 24)
	e.buf = append(e.buf, open...)
	e.buf = append(strconv.AppendInt(e.buf, size, 10), "}\r\n"...)
	for size > 0 && e.err == nil {
		if len(e.buf) >= sheetSize {
			e.drain()
		}
		room := e.buf[len(e.buf):sheetSize]
		n, err := readSome(r, room[:min(int64(len(room)), size)])
		if err != nil {
			if err == io.EOF {
				err = ErrShortLiteral
			}
			e.err = fmt.Errorf("imap: read literal: %w", err)
			break
		}
		if open == "{" {
			replaceNUL(room[:n])
		}
		e.buf = e.buf[:len(e.buf)+n]
		size -= int64(n)
	}
	return e.err
}

// Continue writes a continuation request; text is public, or a challenge in
// base64.
func (e *Encoder) Continue(text string) {
	e.need(len(text) + 4)
	e.buf = append(e.buf, '+', ' ')
	e.buf = append(appendClean(e.buf, text, e.utf8), '\r', '\n')
	e.tok = false
}

// Response writes a status response under the tag; an empty tag makes it
// untagged.
func (e *Encoder) Response(tag string, r Response) {
	if tag == "" {
		tag = "*"
	}
	e.tok = false
	e.Atom(tag)
	e.Atom(string(r.Status))
	if r.Code != "" {
		e.space(len(r.Code) + 2)
		e.buf = append(appendClean(append(e.buf, '['), string(r.Code), e.utf8), ']')
	}
	text := r.Text
	if text == "" {
		text = string(r.Status) // a text is not optional (RFC 3501 §9, resp-text)
	}
	e.space(len(text))
	if r.Code == "" && text[0] == '[' {
		e.buf = append(e.buf, '-') // would be read as a code
	}
	e.buf = appendClean(e.buf, text, e.utf8)
	e.End()
}
