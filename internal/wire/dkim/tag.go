package dkim

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"

	"posthorn/internal/base/mail"
)

// Tag is one name=value of a tag list.
type Tag struct{ Name, Value string }

// Tags is a tag list (RFC 6376 §3.2) in its order; no name occurs twice.
type Tags []Tag

// maxTags bounds a list; RFC 6376 and RFC 8617 know fourteen names.
const maxTags = 64

var (
	errTag    = errors.New("is not a list of name=value")
	errTwice  = errors.New("has a tag twice")
	errTags   = errors.New("has too many tags")
	errBase64 = errors.New("not base64")
)

// ParseTags reads a tag list. White space around names and values is dropped;
// inside values it stays. Empty places between semicolons are overlooked.
func ParseTags(s string) (Tags, error) {
	tags := make(Tags, 0, min(strings.Count(s, ";")+1, maxTags))
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.Trim(name, white)
		if !ok && name == "" {
			continue
		}
		if !ok || !tagName(name) {
			return nil, errTag
		}
		if _, again := tags.Get(name); again {
			return nil, errTwice
		}
		if len(tags) == maxTags {
			return nil, errTags
		}
		tags = append(tags, Tag{name, strings.Trim(value, white)})
	}
	return tags, nil
}

// white is what folding white space is made of.
const white = " \t\r\n"

// tagName reports ALPHA *ALNUMPUNC.
func tagName(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// Get returns the value of a tag.
func (t Tags) Get(name string) (value string, ok bool) {
	for _, tag := range t {
		if tag.Name == name {
			return tag.Value, true
		}
	}
	return "", false
}

// list returns a value of words between colons, without white space.
func list(s string) []string {
	words := strings.Split(s, ":")
	for i, w := range words {
		words[i] = strings.Trim(w, white)
	}
	return words
}

// has reports whether a list holds a word, in whatever case.
func has(words []string, word string) bool {
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// squeeze removes all folding white space.
func squeeze(s string) string {
	first := strings.IndexAny(s, white)
	if first < 0 {
		return s
	}
	b := make([]byte, 0, len(s)-1)
	b = append(b, s[:first]...)
	for i := first + 1; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// decode reads base64 with folding white space.
func decode(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(squeeze(s))
	if err != nil || len(b) == 0 {
		return nil, errBase64
	}
	return b, nil
}

// number reads a decimal number of at most eighteen digits.
func number(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, 0 < len(s) && len(s) <= 18
}

// hostName reads d= or s= as a name for DNS: lower case, U-labels as A-labels
// (RFC 8616 §4).
func hostName(s string) (name string, ok bool) {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			name, err := mail.ParseDomain(s)
			return name, err == nil && !mail.IsLiteral(name)
		}
	}
	s = strings.ToLower(s)
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
	}
	for _, c := range []byte(s) {
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return s, len(s) <= 253
}

// printable makes text of strangers fit for a log or a header field.
func printable(s string) string {
	const most = 100
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s[:min(most, len(s))])
	return text
}

// WithoutSignature returns a signature field as it was signed: the value of b=
// with all white space around it, and the CRLF at the end, deleted (RFC 6376
// §3.7).
func WithoutSignature(raw []byte) []byte {
	start, end := len(raw), len(raw) // of what is left out
	for at := bytes.IndexByte(raw, ':') + 1; at < len(raw); {
		next := len(raw)
		if i := bytes.IndexByte(raw[at:], ';'); i >= 0 {
			next = at + i
		}
		name, _, ok := bytes.Cut(raw[at:next], []byte("="))
		if ok && string(bytes.Trim(name, white)) == "b" {
			start, end = at+len(name)+1, next
			break
		}
		at = next + 1
	}
	text := append(make([]byte, 0, len(raw)), raw[:start]...)
	return bytes.TrimSuffix(append(text, raw[end:]...), crlf)
}
