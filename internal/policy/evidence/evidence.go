// Package evidence finds out what can be known about a client, a name or a
// message: Names asks DNS about clients and domains, Authenticity who a message
// really comes from, and a Stripper takes out results that strangers wrote in
// our name.
//
//	client ─► Names ─► Reverse, Domain, Listed ─────────────────┐
//	sender ─► Authenticity.SPF ──────────┐                      ├─► policy.Facts ─► checks
//	octets ─► Stripper ─► content ─► Authenticity.Message ──────┘
//	                                 DKIM, ARC ─► DMARC ─► Authentication-Results
//
// It is the source behind policy.Names and policy.Authenticity. It does not know
// what follows from an answer, and an outage of DNS is an answer of its own
// (Failed, temperror), never one that could be taken for a refusal.
package evidence

import (
	"strings"
	"unicode"
)

// maxText bounds each text of strangers in an answer, in octets.
const maxText = 400

// plain makes a stranger's text fit for logs, replies, fields and records:
// printable ASCII in one line, of bounded length.
func plain(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if b.Len() >= maxText-1 {
			break
		}
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r < '!' || r > '~':
			r = '?'
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}

// isPlain reports a text that plain leaves as it is: most are.
func isPlain(s string) bool {
	for i := range len(s) {
		inner := s[i] == ' ' && i > 0 && i < len(s)-1 && s[i+1] != ' '
		if (s[i] < '!' || s[i] > '~') && !inner {
			return false
		}
	}
	return len(s) < maxText
}
