package imap

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// modified is the base64 of mailbox names: "," for "/" and no padding
// (RFC 3501 §5.1.3). Strict refuses stray bits behind the last character.
var modified = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

// EncodeUTF7 returns name in modified UTF-7. Octets that are not UTF-8 become
// U+FFFD.
func EncodeUTF7(name string) string {
	if isDirect(name) {
		return name
	}
	return string(appendUTF7(nil, name))
}

// isDirect reports text that stands for itself in modified UTF-7.
func isDirect(s string) bool {
	for i := range len(s) {
		if s[i] == '&' || s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func appendUTF7(b []byte, s string) []byte {
	var units []byte
	for i, r := range s {
		switch {
		case r == '&':
			b = append(b, "&-"...)
		case r >= ' ' && r <= '~':
			b = append(b, byte(r))
		default:
			units = appendUTF16(units, r)
			if next := i + runeLen(s[i:]); next < len(s) && (s[next] < ' ' || s[next] > '~') {
				continue
			}
			b = append(modified.AppendEncode(append(b, '&'), units), '-')
			units = units[:0]
		}
	}
	return b
}

// runeLen is the number of octets range takes for the first rune of s.
func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func appendUTF16(b []byte, r rune) []byte {
	if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
		b = binary.BigEndian.AppendUint16(b, uint16(hi))
		return binary.BigEndian.AppendUint16(b, uint16(lo))
	}
	return binary.BigEndian.AppendUint16(b, uint16(r))
}

// DecodeUTF7 returns modified UTF-7 as UTF-8. It takes the one form that
// EncodeUTF7 writes and no other, so that two different names on the wire are
// never the same mailbox.
func DecodeUTF7(text string) (name string, ok bool) {
	if isDirect(text) {
		return text, true
	}
	var b strings.Builder
	shifted := false // the text just read was base64
	for i := 0; i < len(text); {
		c := text[i]
		if c < ' ' || c > '~' {
			return "", false
		}
		if c != '&' {
			b.WriteByte(c)
			shifted = false
			i++
			continue
		}
		n := strings.IndexByte(text[i:], '-')
		switch {
		case n < 0 || n > 1 && shifted: // "&AOQ-&APY-" is written "&AOQA9g-"
			return "", false
		case n == 1:
			b.WriteByte('&')
			shifted = false
		default:
			if !decodeShift(&b, text[i+1:i+n]) {
				return "", false
			}
			shifted = true
		}
		i += n + 1
	}
	return b.String(), true
}

// decodeShift decodes the base64 between "&" and "-".
func decodeShift(b *strings.Builder, text string) bool {
	raw, err := modified.DecodeString(text)
	if err != nil || len(raw) == 0 || len(raw)%2 != 0 {
		return false
	}
	for i := 0; i < len(raw); i += 2 {
		r := rune(binary.BigEndian.Uint16(raw[i:]))
		if utf16.IsSurrogate(r) {
			if i+4 > len(raw) {
				return false
			}
			i += 2
			if r = utf16.DecodeRune(r, rune(binary.BigEndian.Uint16(raw[i:]))); r == utf8.RuneError {
				return false
			}
		}
		if r >= ' ' && r <= '~' {
			return false // stands for itself
		}
		b.WriteRune(r)
	}
	return true
}
