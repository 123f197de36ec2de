package spf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Macro letters (RFC 7208 §7.2); those of explanations tell more.
const (
	mechanismLetters   = "slodiphv"
	explanationLetters = mechanismLetters + "crt"
)

// maxExpanded bounds the expansion of one string, in octets. A name is cut
// down after that, an explanation dropped.
const maxExpanded = 4096

// values are what macros stand for.
type values struct {
	ip       netip.Addr
	helo     string
	sender   string
	receiver string
	now      time.Time
	domain   string               // %{d}
	name     func() (host string) // %{p}
}

// local and senderDomain split the sender at its last @.
func (v *values) local() string { return v.sender[:max(0, strings.LastIndexByte(v.sender, '@'))] }
func (v *values) senderDomain() string {
	return v.sender[strings.LastIndexByte(v.sender, '@')+1:]
}

// of returns what a letter stands for, in lower case.
func (v *values) of(letter byte) string {
	switch letter {
	case 's':
		return v.sender
	case 'l':
		return v.local()
	case 'o':
		return v.senderDomain()
	case 'd':
		return v.domain
	case 'i':
		return dotted(v.ip)
	case 'p':
		return v.name()
	case 'v':
		if v.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return v.helo
	case 'c':
		return v.ip.String()
	case 'r':
		if v.receiver != "" {
			return v.receiver
		}
		return "unknown"
	}
	return strconv.FormatInt(v.now.Unix(), 10) // t
}

// dotted is the form of %{i}: IPv6 as 32 hexadecimal digits with dots.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	var b strings.Builder
	for i, octet := range ip.As16() {
		if i > 0 {
			b.WriteByte('.')
		}
		fmt.Fprintf(&b, "%x.%x", octet>>4, octet&0xf)
	}
	return b.String()
}

// macro is one %{…}.
type macro struct {
	letter     byte // lower case
	escape     bool // the letter was upper case
	keep       int  // how many parts at the right stay, 0 for all
	reverse    bool
	delimiters string
}

// isMacroString reports visible ASCII with correct macros of these letters.
func isMacroString(s, letters string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	ok := true
	walk(s, func(string) bool { return true }, func(m macro) bool {
		ok = strings.IndexByte(letters, m.letter) >= 0
		return ok
	}, func() { ok = false })
	return ok
}

// expand replaces the macros of s; ok is false if one is wrong or the result
// too long.
func (v *values) expand(s, letters string) (out string, ok bool) {
	var b strings.Builder
	ok = true
	walk(s, func(text string) bool {
		b.WriteString(text)
		ok = b.Len() <= maxExpanded
		return ok
	}, func(m macro) bool {
		if ok = strings.IndexByte(letters, m.letter) >= 0; ok {
			b.WriteString(m.of(v))
			ok = b.Len() <= maxExpanded
		}
		return ok
	}, func() { ok = false })
	return b.String(), ok
}

// walk calls text and subst for the pieces of s until one returns false, or
// wrong for a % that begins nothing.
func walk(s string, text func(string) bool, subst func(macro) bool, wrong func()) {
	for s != "" {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			text(s)
			return
		}
		if at > 0 && !text(s[:at]) {
			return
		}
		s = s[at+1:]
		if s == "" {
			wrong()
			return
		}
		more := true
		switch s[0] {
		case '%':
			more = text("%")
		case '_':
			more = text(" ")
		case '-':
			more = text("%20")
		case '{':
			body, _, closed := strings.Cut(s[1:], "}")
			m, ok := parseMacro(body)
			if !closed || !ok {
				wrong()
				return
			}
			more = subst(m)
			s = s[1+len(body):]
		default:
			wrong()
			return
		}
		if !more {
			return
		}
		s = s[1:]
	}
}

// parseMacro reads what stands between the braces (RFC 7208 §7.1).
func parseMacro(body string) (m macro, ok bool) {
	if body == "" || !isAlpha(body[0]) {
		return m, false
	}
	m.letter, m.escape = body[0]|0x20, body[0] < 'a'
	body = body[1:]
	digits := 0
	for digits < len(body) && isDigit(body[digits]) {
		digits++
	}
	if digits > 0 {
		n, err := strconv.Atoi(body[:digits])
		if err != nil || n == 0 {
			return m, false
		}
		m.keep = n
	}
	body = body[digits:]
	if body != "" && body[0]|0x20 == 'r' {
		m.reverse, body = true, body[1:]
	}
	for i := range len(body) {
		if strings.IndexByte(".-+,/_=", body[i]) < 0 {
			return m, false
		}
	}
	m.delimiters = body
	return m, true
}

// of applies the macro's transformers to its value (RFC 7208 §7.3).
func (m macro) of(v *values) string {
	delimiters := m.delimiters
	if delimiters == "" {
		delimiters = "."
	}
	parts := split(v.of(m.letter), delimiters)
	if m.reverse {
		slices.Reverse(parts)
	}
	if m.keep > 0 && m.keep < len(parts) {
		parts = parts[len(parts)-m.keep:]
	}
	out := strings.Join(parts, ".")
	if m.escape {
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
