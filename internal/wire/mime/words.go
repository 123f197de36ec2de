package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// DecodeWords returns a header value as UTF-8: encoded words (RFC 2047)
// decoded, raw 8-bit text guessed. What cannot be decoded stays as written; the
// result is valid UTF-8.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return decodeText("", []byte(s))
	}
	var out strings.Builder
	var pending []byte // decoded octets of adjacent words of one character set
	var charset string
	flush := func() {
		out.WriteString(decodeText(charset, pending))
		pending, charset = nil, ""
	}
	for len(s) > 0 {
		start := strings.Index(s, "=?")
		if start < 0 {
			break
		}
		word, n := parseWord(s[start:])
		if n == 0 {
			flush()
			out.WriteString(decodeText("", []byte(s[:start+2])))
			s = s[start+2:]
			continue
		}
		// White space between encoded words is not shown (RFC 2047 §6.2).
		if gap := s[:start]; charset == "" || strings.Trim(gap, " \t\r\n") != "" {
			flush()
			out.WriteString(decodeText("", []byte(gap)))
		}
		if charset != "" && !equalFold(charset, word.charset) {
			flush()
		}
		charset = word.charset
		pending = append(pending, word.text...)
		s = s[start+n:]
	}
	flush()
	out.WriteString(decodeText("", []byte(s)))
	return out.String()
}

type encodedWord struct {
	charset string
	text    []byte
}

// parseWord reads the encoded word at the beginning of s and returns its
// length, or 0 if there is none. Spaces inside are tolerated.
func parseWord(s string) (encodedWord, int) {
	charset, rest, ok := strings.Cut(s[2:], "?")
	if !ok || len(rest) < 2 || rest[1] != '?' || charset == "" || strings.ContainsAny(charset, " =\r\n") {
		return encodedWord{}, 0
	}
	// RFC 2047 §2 allows 75 octets; without a bound, text full of beginnings
	// would be searched to its end for each of them.
	end := strings.Index(rest[2:min(len(rest), maxToken)], "?=")
	if end < 0 {
		return encodedWord{}, 0
	}
	text := []byte(rest[2 : 2+end])
	n := len(s) - len(rest) + 2 + end + 2
	charset, _, _ = strings.Cut(charset, "*") // language, RFC 2231 §5
	switch rest[0] {
	case 'q', 'Q':
		text = decodeQ(text)
	case 'b', 'B':
		var d base64Decoder
		text = d.finish(d.decode(nil, text))
	default:
		return encodedWord{}, 0
	}
	return encodedWord{charset, text}, n
}

// decodeQ decodes the Q encoding in place.
func decodeQ(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		out = append(out, c)
	}
	return out
}

// decodeText turns text in a named character set into valid UTF-8. Without a
// usable name, what is not UTF-8 is taken for Windows-1252.
func decodeText(charset string, b []byte) string {
	if e := Charset(charset); e != nil {
		if out, err := e.NewDecoder().Bytes(b); err == nil {
			return string(bytes.ToValidUTF8(out, []byte("\uFFFD")))
		}
	}
	if e := guess(b); e != nil {
		if out, err := e.NewDecoder().Bytes(b); err == nil {
			return string(out)
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	return string(out)
}

// Charset finds an encoding by the name mail gives it, or returns nil if the
// name is unknown or stands for UTF-8 or ASCII.
func Charset(name string) encoding.Encoding {
	name = strings.ToLower(strings.Trim(name, " \"'"))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "unknown-8bit":
		return nil
	case "gb2312": // a subset, and often more than it says
		name = "gb18030"
	}
	// The web's index refuses some that mail still uses.
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil {
		return e
	}
	return nil
}
