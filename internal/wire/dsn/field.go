package dsn

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
)

// line returns text that is safe inside one line: control characters become
// spaces, and what is not printable ASCII (with wide: not UTF-8) a "?".
func line(s string, wide bool) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case r < 0x7f:
			b.WriteByte(byte(r))
		case wide && r != utf8.RuneError:
			b.WriteRune(r)
		default:
			b.WriteByte('?')
		}
	}
	return strings.TrimSpace(b.String())
}

// shown returns text for people: printable, in one line, without the marks
// that would turn the direction of what follows, at most so many characters.
func shown(s string, most int) string {
	n := 0
	out := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
	out = strings.Join(strings.Fields(out), " ")
	for i := range out {
		if n++; n > most {
			return strings.TrimSpace(out[:i]) + "…"
		}
	}
	return out
}

// fold writes a field. The value is made safe here, whatever it was before.
// An empty one writes nothing. Lines are folded at spaces (RFC 5322 §2.2.3).
func fold(b []byte, name, value string, wide bool) []byte {
	if value = line(value, wide); value == "" {
		return b
	}
	b = append(append(b, name...), ": "...)
	column := len(name) + 2
	for i, word := range strings.Split(value, " ") {
		if word == "" && column >= maxWord {
			continue // nobody misses so many spaces
		}
		if i > 0 {
			// An empty word stands for two spaces. None begins a line, so that
			// no line consists of spaces alone.
			if column+1+len(word) > maxColumns && word != "" {
				b = append(b, "\r\n"...)
				column = 0
			}
			b = append(b, ' ')
			column++
		}
		for len(word) > maxWord {
			cut := maxWord
			for cut > 0 && !utf8.RuneStart(word[cut]) {
				cut--
			}
			b = append(append(b, word[:cut]...), "\r\n "...)
			word, column = word[cut:], 1
		}
		b = append(b, word...)
		column += len(word)
	}
	return append(b, "\r\n"...)
}

// typed writes a typed address for the delivery status fields: "rfc822; …", or
// for one outside ASCII "utf-8; …" in the form that fits (RFC 6533 §3): as it
// is where UTF-8 may stand and nothing in it could be taken for an escape or
// end a line.
func typed(kind, address string, wide bool) string {
	if strings.EqualFold(kind, "utf-8") && (!wide || line(address, true) != address || strings.Contains(address, `\`)) {
		address = escape(address, wide)
	}
	return kind + "; " + address
}

// final is the type and address of a recipient.
func final(a mail.Address, wide bool) string {
	if a.IsASCII() {
		return typed("rfc822", a.String(), wide)
	}
	return typed("utf-8", a.String(), wide)
}

// original writes an ORCPT value, or "" for one that has no type.
func original(s string, wide bool) string {
	kind, address, ok := strings.Cut(s, ";")
	if !ok || kind == "" || address == "" || strings.Trim(strings.ToLower(kind), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return ""
	}
	return typed(kind, address, wide)
}

// escape writes an address as utf-8-addr-xtext or, wide, utf-8-addr-unitext.
func escape(s string, wide bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > ' ' && r < 0x7f && r != '+' && r != '=' && r != '\\', wide && r >= 0x80 && line(string(r), true) == string(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}

// unescape is its inverse; what is not of that form stays as it is.
func unescape(s string) string {
	var b strings.Builder
	for s != "" {
		before, rest, ok := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !ok {
			break
		}
		digits, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !closed || err != nil || len(digits) > 6 || !utf8.ValidRune(rune(n)) {
			b.WriteString(`\x{`)
			s = rest
			continue
		}
		b.WriteRune(rune(n))
		s = after
	}
	return b.String()
}

// status is the Status field: the enhanced code, or what the reply code and
// the action allow to say.
func (r *Recipient) status() reply.Enhanced {
	e := r.Reply.Enhanced
	class := map[Action]uint16{Failed: 5, Delayed: 4, Delivered: 2, Relayed: 2}[r.Action]
	switch {
	case r.Expired: // trying again may help: class 4 (RFC 3463 §2, §3.5)
		return reply.E(4, 4, 7)
	case e.Class == class, e.Class == 4 && r.Action == Failed:
		return reply.E(e.Class, e.Subject%1000, e.Detail%1000)
	case r.Action == Failed && e.IsZero() && r.Reply.Temporary():
		return reply.E(4, 0, 0)
	}
	return reply.E(class, 0, 0)
}

// diagnostic is the Diagnostic-Code field: what the host said, or our own
// reason under our own type (RFC 3464 §2.3.6).
func (r *Recipient) diagnostic() string {
	if r.Reply.IsZero() {
		return ""
	}
	kind := "smtp; "
	if r.ours() {
		kind = "X-Posthorn; "
	}
	text := r.Reply.String()
	if len(text) > maxDiagnostic {
		text = strings.ToValidUTF8(text[:maxDiagnostic], "")
	}
	return kind + text
}

// ours reports that Reply is in our own words.
func (r *Recipient) ours() bool { return r.Host == "" || r.Ours }

// remote is the Remote-MTA field: the name or, without one, the address.
func (r *Recipient) remote() string {
	name, _, _ := strings.Cut(strings.TrimSpace(r.Host), " ")
	if name == "" {
		return ""
	}
	return "dns; " + name
}
