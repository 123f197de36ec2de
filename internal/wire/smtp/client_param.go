package smtp

import (
	"fmt"
	"strconv"
	"strings"
)

// encodeUTF8Xtext writes utf-8-addr-xtext (RFC 6533 §3): printable ASCII in
// which \x{HEX} stands for every other character.
func encodeUTF8Xtext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`\+=`, r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\x{%02X}`, r)
	}
	return b.String()
}

// Limits are what a server says it takes (RFC 9422); 0 is unsaid.
type Limits struct {
	// Mails is how many transactions a session may have, Rcpts how many
	// recipients a transaction.
	Mails, Rcpts int
}

// Limits returns what the server's LIMITS extension says. Words it does not
// know and malformed ones are passed over.
func (c *Client) Limits() Limits {
	var l Limits
	params, _ := c.Extension("LIMITS")
	for word := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || len(value) > 6 {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.Mails = n
		case "RCPTMAX":
			l.Rcpts = n
		}
	}
	return l
}

// MaxSize returns the largest message the server takes in octets
// (RFC 1870 §4); 0 when it has not said.
func (c *Client) MaxSize() int64 {
	params, _ := c.Extension("SIZE")
	n, _ := parseNumber(params, 20)
	return n
}
