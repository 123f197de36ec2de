package dsn

import (
	"bytes"
	"strings"

	"golang.org/x/text/width"
)

// columns of the text for people: under 78 with the indent of a quotation
// (RFC 5322 §2.1.1).
const columns = 72

// runeColumns is the width on a terminal: East Asian characters take two.
func runeColumns(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func textColumns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// noStart must not begin a line, noEnd must not end one, in Japanese.
const (
	noStart = "、。，．・：；？！ー）」』】〕〉》…ぁぃぅぇぉっゃゅょァィゥェォッャュョ々"
	noEnd   = "（「『【〔〈《"
)

// pieces splits text where a line may end: at spaces, which stay at the end
// of a piece, and between East Asian characters.
func pieces(s string) []string {
	var out []string
	start := 0
	var before rune
	for i, r := range s {
		wide := runeColumns(r) == 2 || runeColumns(before) == 2
		switch {
		case i == 0:
		case before == ' ' && r != ' ',
			wide && r != ' ' && !strings.ContainsRune(noStart, r) && !strings.ContainsRune(noEnd, before) && !strings.ContainsRune(".,;:)?!\"", r):
			out = append(out, s[start:i])
			start = i
		}
		before = r
	}
	return append(out, s[start:])
}

// page is text under construction, with LF line ends.
type page []byte

// line adds a line as it is.
func (p *page) line(s string) { *p = append(append(*p, s...), '\n') }

// rule adds a line of c under a heading, or across the page.
func (p *page) rule(c string, n int) { p.line(strings.Repeat(c, n)) }

// wrap adds a paragraph: first in front of its first line, next in front of
// the others. A word stays whole up to 200 columns, so that addresses can be
// copied.
func (p *page) wrap(first, next, s string) {
	const most = 200
	*p = append(*p, first...)
	at, begun := textColumns(first), false
	for _, piece := range pieces(s) {
		bare := strings.TrimRight(piece, " ")
		if begun && at+textColumns(bare) > columns {
			p.end()
			*p = append(*p, next...)
			at, begun = textColumns(next), false
		}
		for textColumns(bare) > most {
			cut := fits(bare, most)
			p.line(bare[:cut])
			*p = append(*p, next...)
			bare, piece, at = bare[cut:], piece[cut:], textColumns(next)
		}
		*p = append(*p, piece...)
		at += textColumns(piece)
		begun = true
	}
	p.end()
}

// end ends a line, without spaces at its end.
func (p *page) end() { *p = append(bytes.TrimRight(*p, " "), '\n') }

// fits is how many octets of s take at most so many columns.
func fits(s string, most int) int {
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > most {
			return i
		}
	}
	return len(s)
}

// pad fills up with spaces to a number of columns.
func pad(s string, to int) string {
	return s + strings.Repeat(" ", max(0, to-textColumns(s)))
}
