// Package authres writes and reads the Authentication-Results field (RFC 8601),
// in which a server tells mail programs what SPF, DKIM, DMARC and the others
// found, and finds the fields that a stranger wrote in our name.
//
// It stands at the end of acceptance: forged fields are taken out of the header
// section, then ours is put in front. It does not know what a result means.
package authres

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the name of the field.
const Name = "Authentication-Results"

// Field is an Authentication-Results field.
type Field struct {
	// ID is the authserv-id, the name under which the server judges.
	ID string
	// Results may be empty, which is written as "none".
	Results []Result
}

// Result is what one method found.
type Result struct {
	// Method is "spf", "dkim", "dmarc" and so on.
	Method string
	// Value is "pass", "fail" and so on.
	Value string
	// Reason says why, for people.
	Reason string
	// Comment stands beside the value; it is written, and not read.
	Comment string
	// Properties are what the method looked at.
	Properties []Property
}

// Property is one ptype.property=pvalue, as smtp.mailfrom=a@example.test.
type Property struct{ Type, Name, Value string }

// Bounds of a field.
const (
	maxField      = 64 << 10 // octets read
	maxResults    = 100
	maxProperties = 32  // of a result
	maxValue      = 400 // octets written of one value
	maxKeyword    = 64
	maxLine       = 76
	usual         = 512 // octets of a field with names of usual length
)

// ErrField is wrapped by what Parse says of fields it cannot read.
var ErrField = errors.New("authres: bad Authentication-Results field")

// String writes the whole field, folded, with its line ends. What strangers
// say in the values can neither end the field nor add a result: it is quoted,
// bounded, and without control characters. Results whose method or value is no
// keyword are left out.
func (f Field) String() string {
	w := writer{}
	w.b.Grow(usual)
	w.b.WriteString(Name + ": ")
	w.b.WriteString(value(f.ID))
	written := 0
	for _, r := range f.Results[:min(len(f.Results), maxResults)] {
		if isKeyword(r.Method) && isKeyword(r.Value) {
			w.result(r)
			written++
		}
	}
	if written == 0 {
		w.b.WriteString("; none")
	}
	w.b.WriteString("\r\n")
	return w.b.String()
}

// writer folds lines as they grow.
type writer struct {
	b    strings.Builder
	line int
}

func (w *writer) result(r Result) {
	w.b.WriteString(";\r\n")
	w.line = 0
	w.put("\t", r.Method, "=", r.Value)
	if r.Comment != "" {
		w.put(" ", comment(r.Comment))
	}
	if r.Reason != "" {
		w.put(" ", "reason="+quoted(r.Reason))
	}
	for _, p := range r.Properties[:min(len(r.Properties), maxProperties)] {
		if isKeyword(p.Type) && isKeyword(p.Name) {
			w.put(" ", p.Type, ".", p.Name, "=", value(p.Value))
		}
	}
}

// put writes a piece after the separator, or on a new line.
func (w *writer) put(separator string, parts ...string) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if w.line > 0 && w.line+1+size > maxLine {
		separator, w.line = "\r\n\t", 0
	}
	w.b.WriteString(separator)
	for _, p := range parts {
		w.b.WriteString(p)
	}
	w.line += 1 + size
}

// value writes what may stand without quotes as it is: a token, or an address
// or part of one. Spaces go, as semicolons do in escaped.
func value(s string) string {
	local, domain, at := strings.Cut(s, "@")
	if len(s) > maxValue || s == "" || !isToken(local) && !(at && local == "") || at && !isToken(domain) {
		return quoted(strings.ReplaceAll(s, " ", "?"))
	}
	return s
}

func quoted(s string) string { return `"` + escaped(s, `"\`) + `"` }

func comment(s string) string { return "(" + escaped(s, `()\`) + ")" }

// escaped bounds a text, replaces what would harm a header section, and puts a
// backslash before the special characters. Semicolons go as well: some readers
// know no quotes and would take what follows for another result.
func escaped(s, special string) string {
	var b strings.Builder
	b.Grow(min(len(s), maxValue) + 8)
	for _, r := range s {
		if b.Len() >= maxValue {
			break
		}
		switch {
		case r == ';' || r == utf8.RuneError || unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			r = '?'
		case strings.ContainsRune(special, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isKeyword reports letters, digits, inner hyphens and underscores
// (RFC 8601 §2.2, Keyword).
func isKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || i > 0 && (c == '-' || c == '_')) {
			return false
		}
	}
	return s != "" && len(s) <= maxKeyword && s[len(s)-1] != '-'
}

// isToken reports a token of RFC 2045 §5.1. UTF-8 is not left bare, for not
// every reader expects it.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenChar(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenChar(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}
