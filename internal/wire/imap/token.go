package imap

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"unicode/utf8"
)

// Tokens. Each method takes one, or fails with "Expected <what>". They are
// the building blocks for verbs this package has no method for.

// word takes characters of one class; the view lives until the next line.
func (d *Decoder) word(class func(byte) bool) []byte {
	if _, ok := d.peek(); !ok {
		return nil
	}
	start := d.pos
	for d.pos < len(d.line) && class(d.line[d.pos]) {
		d.pos++
	}
	return d.line[start:d.pos]
}

// keyword takes a word of the protocol in upper case, as a view.
func (d *Decoder) keyword(what string) []byte {
	w := d.word(isKeywordChar)
	if len(w) == 0 || len(w) > 64 {
		d.fail(expected(what))
		return nil
	}
	for i, c := range w {
		w[i] = upper(c)
	}
	return w
}

// arg takes the space before the next argument; what names the argument.
func (d *Decoder) arg(what string) {
	if d.accept(' ') {
		return
	}
	if _, more := d.peek(); more {
		what = "a space before " + what
	}
	d.fail(expected(what))
}

// SP takes the one space before an argument that what names.
func (d *Decoder) SP(what string) { d.arg(what) }

// More reports whether a further argument follows and takes the space before it.
func (d *Decoder) More() bool { return d.accept(' ') }

// Open takes "(" and reports it; without one nothing is taken.
func (d *Decoder) Open() bool { return d.accept('(') }

// Close takes ")" if it is next and reports it.
func (d *Decoder) Close() bool { return d.accept(')') }

// Keyword takes a word of the protocol and returns it in upper case.
func (d *Decoder) Keyword(what string) string { return string(d.keyword(what)) }

// Atom takes an atom.
func (d *Decoder) Atom(what string) string {
	w := d.word(isAtomChar)
	if len(w) == 0 {
		d.fail(expected(what))
	}
	return string(w)
}

// AString takes an atom, quoted string or literal. A quoted string may hold
// UTF-8 (RFC 9051 §4.3), a literal any octet but NUL.
func (d *Decoder) AString(what string) string { return d.stringOr(isAStringChar, what) }

// Text takes a quoted string or literal.
func (d *Decoder) Text(what string) string { return d.stringOr(nil, what) }

// stringOr takes a string, or a word of class where there is one.
func (d *Decoder) stringOr(class func(byte) bool, what string) string {
	c, ok := d.peek()
	switch {
	case d.atLiteral():
		return d.literalText()
	case ok && c == '"':
		return d.quoted()
	case ok && class != nil && class(c):
		return string(d.word(class))
	}
	d.fail(expected(what))
	return ""
}

// NText takes a string or NIL; ok tells which.
func (d *Decoder) NText(what string) (s string, ok bool) {
	if c, more := d.peek(); more && c != '"' && d.acceptFold("NIL") {
		return "", false
	}
	return d.Text(what), true
}

// quoted takes a quoted string whose first octet is '"'.
func (d *Decoder) quoted() string {
	raw := d.line[d.pos+1:]
	end, escaped := 0, false
	for ; end < len(raw) && raw[end] != '"'; end++ {
		if raw[end] != '\\' {
			continue
		}
		escaped = true
		if end++; end == len(raw) || raw[end] != '"' && raw[end] != '\\' {
			d.fail(expected("a quote or backslash after a backslash"))
			return ""
		}
	}
	if end == len(raw) {
		d.fail(expected("a closing quote"))
		return ""
	}
	d.pos += end + 2
	raw = raw[:end]
	if bytes.IndexByte(raw, 0) >= 0 || bytes.IndexByte(raw, '\r') >= 0 || !utf8.Valid(raw) {
		d.fail(expected("a quoted string without NUL, CR and 8-bit text that is not UTF-8"))
		return ""
	}
	if !escaped {
		return string(raw)
	}
	return unescape(raw)
}

func unescape(raw []byte) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// Number takes a number of 32 bits.
func (d *Decoder) Number(what string) uint32 { return uint32(d.number(math.MaxUint32, what)) }

// NZNumber takes a number of 32 bits other than zero.
func (d *Decoder) NZNumber(what string) uint32 {
	n := d.Number(what)
	if n == 0 {
		d.fail(expected(what))
	}
	return n
}

// Number64 takes a number of 63 bits, as mod-sequences and sizes are
// (RFC 7162 §7, RFC 9051 §9).
func (d *Decoder) Number64(what string) uint64 { return d.number(math.MaxInt64, what) }

func (d *Decoder) number(limit uint64, what string) uint64 {
	w := d.word(isDigit)
	n, ok := parseNumber(w, limit)
	if !ok {
		d.fail(expected(what))
	}
	return n
}

// parseNumber reads digits only; limit is at most 63 bits.
func parseNumber[T []byte | string](s T, limit uint64) (uint64, bool) {
	n := uint64(0)
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) || n > limit/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
		if n > limit {
			return 0, false
		}
	}
	return n, len(s) > 0
}

// base64 takes base64 text up to the next space or the end of the line; "="
// alone is the empty string (RFC 4959 §3).
func (d *Decoder) base64(what string) []byte {
	w := d.word(func(c byte) bool { return c != ' ' })
	if string(w) == "=" {
		return []byte{}
	}
	b, ok := decodeBase64(w)
	if !ok || len(w) == 0 {
		d.fail(expected(what))
		return nil
	}
	return b
}

func decodeBase64(w []byte) ([]byte, bool) {
	b := make([]byte, base64.StdEncoding.DecodedLen(len(w)))
	n, err := base64.StdEncoding.Strict().Decode(b, w)
	return b[:n], err == nil && bytes.IndexByte(w, '\r') < 0
}

// list takes "(" item *(SP item) ")" of at most limit items; empty tells
// whether "()" will do.
func (d *Decoder) list(what string, empty bool, limit int, item func()) {
	d.expect('(', "( before "+what)
	if empty && d.accept(')') {
		return
	}
	for n := 0; d.err == nil; n++ {
		if n == limit {
			d.fail(tooMany(what))
			return
		}
		item()
		if d.accept(')') {
			return
		}
		if !d.accept(' ') {
			d.fail(expected("a space or ) after " + what))
		}
	}
}

func tooMany(what string) *Error {
	e := bad("Too many: " + what)
	e.Response.Code = CodeLimit
	return e
}
