package spf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Macro letters (RFC 7208 §7.2); those of explanations tell more.
const (
	mechanismLetters   = "slodiphv"
	explanationLetters = mechanismLetters + "crt"
)

// maxExpanded bounds the expansion of one macro-string, in octets. Names are
// shorter by far.
const maxExpanded = 4096

// template is a parsed macro-string (RFC 7208 §7.1).
type template []piece

// piece is text or, where letter is not 0, a macro.
type piece struct {
	text       string
	literal    bool // the text stands for itself; that of %% %_ %- does not
	letter     byte // lower case
	escape     bool // the letter was upper case
	keep       int  // how many parts at the right stay, 0 for all
	reverse    bool
	delimiters string
}

// parseTemplate reads visible ASCII with macros of these letters; spaces only
// stand in explanations.
func parseTemplate(s, letters string) (template, bool) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return nil, false
		}
	}
	var t template
	for s != "" {
		at := strings.IndexByte(s, '%')
		if at != 0 {
			if at < 0 {
				at = len(s)
			}
			t = append(t, piece{text: s[:at], literal: true})
			s = s[at:]
			continue
		}
		p, rest, ok := cutMacro(s[1:], letters)
		if !ok {
			return nil, false
		}
		t, s = append(t, p), rest
	}
	return t, true
}

// cutMacro reads what follows a "%".
func cutMacro(s, letters string) (p piece, rest string, ok bool) {
	if s == "" {
		return p, "", false
	}
	switch s[0] {
	case '%':
		return piece{text: "%"}, s[1:], true
	case '_':
		return piece{text: " "}, s[1:], true
	case '-':
		return piece{text: "%20"}, s[1:], true
	case '{':
		body, rest, closed := strings.Cut(s[1:], "}")
		p, ok = parseMacro(body)
		return p, rest, ok && closed && strings.IndexByte(letters, p.letter) >= 0
	}
	return p, "", false
}

// parseMacro reads what stands between the braces.
func parseMacro(body string) (p piece, ok bool) {
	if body == "" || !isAlpha(body[0]) {
		return p, false
	}
	p.letter, p.escape = body[0]|0x20, body[0] < 'a'
	body = body[1:]
	if digits := len(body) - len(strings.TrimLeft(body, "0123456789")); digits > 0 {
		n, err := strconv.Atoi(body[:digits])
		if err != nil || n == 0 { // RFC 7208 §7.3: nonzero
			return p, false
		}
		p.keep, body = n, body[digits:]
	}
	if body != "" && body[0]|0x20 == 'r' {
		p.reverse, body = true, body[1:]
	}
	p.delimiters = body
	return p, strings.Trim(body, ".-+,/_=") == ""
}

// expand writes out a macro-string of a record of domain.
func (e *evaluation) expand(t template, domain string) (string, error) {
	if len(t) == 1 && t[0].letter == 0 {
		return t[0].text, nil
	}
	var b strings.Builder
	for _, p := range t {
		text := p.text
		if p.letter != 0 {
			value, err := e.value(p.letter, domain)
			if err != nil {
				return "", err
			}
			text = p.transform(value)
		}
		if b.Len()+len(text) > maxExpanded {
			return "", fmt.Errorf("%w: a macro expands to over %d octets", ErrSyntax, maxExpanded)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// value returns what a letter stands for. Only that of p can fail: it takes
// look-ups.
func (e *evaluation) value(letter byte, domain string) (string, error) {
	local, host := cutSender(e.sender)
	switch letter {
	case 's':
		return e.sender, nil
	case 'l':
		return local, nil
	case 'o':
		return host, nil
	case 'd':
		return domain, nil
	case 'i':
		return dotted(e.ip), nil
	case 'p':
		return e.validatedName(domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr", nil
		}
		return "ip6", nil
	case 'h':
		return e.helo, nil
	case 'c':
		return e.ip.String(), nil
	case 'r':
		return e.receiver, nil
	}
	return strconv.FormatInt(e.now.Unix(), 10), nil // t
}

// cutSender splits a sender at its last "@".
func cutSender(sender string) (local, domain string) {
	at := strings.LastIndexByte(sender, '@')
	return sender[:max(0, at)], sender[at+1:]
}

// dotted is the form of %{i}: IPv6 as 32 hexadecimal digits with dots.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 63)
	for i, octet := range ip.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, digits[octet>>4], '.', digits[octet&0xf])
	}
	return string(b)
}

// transform applies a macro's transformers to its value (RFC 7208 §7.3).
func (p piece) transform(value string) string {
	delimiters := p.delimiters
	if delimiters == "" {
		delimiters = "."
	}
	parts := split(value, delimiters)
	if p.reverse {
		slices.Reverse(parts)
	}
	if p.keep > 0 && p.keep < len(parts) {
		parts = parts[len(parts)-p.keep:]
	}
	out := strings.Join(parts, ".")
	if p.escape {
		out = escape(out)
	}
	return out
}

// split cuts at each of the delimiters and keeps empty parts.
func split(s, delimiters string) []string {
	var parts []string
	for {
		i := strings.IndexAny(s, delimiters)
		if i < 0 {
			return append(parts, s)
		}
		parts = append(parts, s[:i])
		s = s[i+1:]
	}
}

// escape is the URL escaping of upper-case macros: all but the unreserved
// characters of RFC 3986 §2.3.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if isAlnum(s[i]) || strings.IndexByte("-._~", s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}
