package imap

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// appendClean appends text of one line: control characters, and 8-bit text
// the client does not take, become '?'.
func appendClean(b []byte, s string, utf8OK bool) []byte {
	utf8OK = utf8OK && utf8.ValidString(s)
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f || c > 0x7f && !utf8OK {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// appendString appends s quoted, or as a literal if it holds what cannot be
// quoted. In a literal NUL becomes 0x80.
func appendString(b []byte, s string, utf8OK bool) []byte {
	if !isQuotable(s, utf8OK) {
		b = strconv.AppendInt(append(b, '{'), int64(len(s)), 10)
		b = append(b, "}\r\n"...)
		start := len(b)
		b = append(b, s...)
		replaceNUL(b[start:])
		return b
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// maxQuoted keeps long strings in literals, which nobody must scan.
const maxQuoted = 4096

// isQuotable reports whether s can stand in a quoted string.
func isQuotable(s string, utf8OK bool) bool {
	if len(s) > maxQuoted {
		return false
	}
	wide := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == 0 || c == '\r' || c == '\n':
			return false
		case c > 0x7f:
			wide = true
		}
	}
	return !wide || utf8OK && utf8.ValidString(s)
}

// appendAString appends s as an atom if it can be one, otherwise as a string.
func appendAString(b []byte, s string) []byte {
	if isAtom(s) {
		return append(b, s...)
	}
	return appendString(b, s, true)
}

// replaceNUL makes b fit for a literal, without a change of its length.
func replaceNUL(b []byte) {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			return
		}
		b[i] = 0x80
		b = b[i+1:]
	}
}
