package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// DecodeXtext reads xtext (RFC 3461 §4): printable ASCII in which "+XX" stands
// for an octet. The second value is false for anything else and for text that
// would decode to a control character, which could end a line in a DSN or a
// log (reliability.md row 31).
func DecodeXtext(s string) (string, bool) {
	if !strings.Contains(s, "+") {
		return s, printable(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		out = append(out, byte(n))
		i += 2
	}
	return string(out), clean(string(out))
}

// EncodeXtext is the inverse of DecodeXtext.
func EncodeXtext(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('+')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// decodeUTF8Xtext reads utf-8-addr-xtext and utf-8-addr-unitext of RFC 6533
// §3: UTF-8 in which \x{HEX} stands for a character.
func decodeUTF8Xtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		digits, _, closed := strings.Cut(strings.TrimPrefix(s[i:], `\x{`), "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !strings.HasPrefix(s[i:], `\x{`) || !closed || err != nil || len(digits) > 6 || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b.WriteRune(rune(n))
		i += len(`\x{`) + len(digits)
	}
	out := b.String()
	return out, utf8.ValidString(out) && clean(out)
}

func upperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// printable reports text of graphic ASCII only.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// clean reports text without control characters.
func clean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
