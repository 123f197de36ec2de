package imap

import "strings"

// Pattern is a LIST pattern (RFC 3501 §6.3.8): "*" stands for any characters,
// "%" for any but the delimiter. INBOX as the first level matches in any case.
type Pattern struct {
	text string // wildcards joined, so that none follows another
	wild bool
}

// NewPattern makes the pattern of a reference and a mailbox name with
// wildcards. They are joined as they are; a name that begins with the
// delimiter is absolute.
func NewPattern(reference, name string) Pattern {
	if absolute, ok := strings.CutPrefix(name, string(Delimiter)); ok {
		reference, name = "", absolute
	}
	var text []byte
	wild := false
	for _, c := range []byte(reference + name) {
		if c != '*' && c != '%' {
			text = append(text, c)
			continue
		}
		wild = true
		n := len(text) - 1
		switch {
		case n >= 0 && (text[n] == '*' || text[n] == c): // the same again
		case n >= 0 && text[n] == '%': // "%*" is "*"
			text[n] = '*'
		default:
			text = append(text, c)
		}
	}
	return Pattern{text: string(text), wild: wild}
}

// String returns the pattern with its wildcards.
func (p Pattern) String() string { return p.text }

// HasWildcard reports whether more than one name can match.
func (p Pattern) HasWildcard() bool { return p.wild }

// Match reports whether the name matches. It takes at most len(pattern) times
// len(name) steps, whatever the pattern is.
func (p Pattern) Match(name string) bool {
	if p.text == "*" {
		return true
	}
	fold := 0 // octets that match in any case
	if underInbox(name) {
		fold = len(Inbox)
	}
	if !p.wild {
		return len(p.text) == len(name) && strings.EqualFold(p.text[:fold], name[:fold]) && p.text[fold:] == name[fold:]
	}
	return p.run(name, fold)
}

// run follows all places in the pattern at once: at[i] says that the pattern
// up to i matches the name so far.
func (p Pattern) run(name string, fold int) bool {
	at := make([]bool, len(p.text)+1)
	at[0] = true
	first, last := 0, p.skip(at, 0) // the places that may be set
	for i := range len(name) {
		c, alive := name[i], false
		for j := last; j >= first; j-- {
			if !at[j] {
				continue
			}
			at[j] = false
			if j == len(p.text) {
				continue
			}
			switch w := p.text[j]; {
			case w == '*' || w == '%' && c != Delimiter:
				at[j], alive = true, true
				last = max(last, p.skip(at, j))
			case w == c || i < fold && upper(w) == upper(c):
				at[j+1], alive = true, true
				last = max(last, p.skip(at, j+1))
			}
		}
		if !alive {
			return false
		}
		for first < last && !at[first] {
			first++
		}
	}
	return at[len(p.text)]
}

// skip marks the place behind a wildcard at j, which may stand for nothing.
func (p Pattern) skip(at []bool, j int) int {
	if j < len(p.text) && (p.text[j] == '*' || p.text[j] == '%') {
		at[j+1] = true
		return j + 1
	}
	return j
}
