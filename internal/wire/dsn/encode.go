package dsn

import (
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"
)

// encodeText returns the text with CRLF line ends in the transfer encoding
// that fits it: ASCII as it is, European text quoted-printable, text mostly
// outside ASCII base64.
func encodeText(text string) (charset, encoding string, body []byte, err error) {
	text = strings.ReplaceAll(text, "\n", "\r\n")
	outside := 0
	for i := 0; i < len(text); i++ {
		if text[i] >= 0x80 {
			outside++
		}
	}
	var b strings.Builder
	switch {
	case outside == 0:
		return "us-ascii", "7bit", []byte(text), nil
	case outside*6 < len(text): // base64 would be longer than the escapes
		w := quotedprintable.NewWriter(&b)
		if _, err = io.WriteString(w, text); err == nil {
			err = w.Close()
		}
		return "utf-8", "quoted-printable", []byte(b.String()), err
	}
	const octets = 57 // in a line of 76 characters
	for rest := []byte(text); len(rest) > 0; {
		n := min(octets, len(rest))
		b.WriteString(base64.StdEncoding.EncodeToString(rest[:n]))
		b.WriteString("\r\n")
		rest = rest[n:]
	}
	return "utf-8", "base64", []byte(b.String()), nil
}

// encodeWords returns a header value as encoded words (RFC 2047) where needed,
// short enough for lines of 76 characters.
func encodeWords(s string) string {
	if line(s, false) == s && !strings.Contains(s, "=?") {
		return s
	}
	const most = 39 // octets in a word
	var words []string
	start := 0
	for i, r := range s {
		if i+utf8.RuneLen(r)-start > most {
			words = append(words, s[start:i])
			start = i
		}
	}
	words = append(words, s[start:])
	for i, w := range words {
		words[i] = "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(w)) + "?="
	}
	return strings.Join(words, " ")
}
