package imapd

import (
	"bytes"
	"context"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// needle is a text to look for, in any case. Texts beyond ASCII are compared
// in normal form C, so that it does not matter how an accent was typed.
type needle struct {
	text string // folded
	// punctuated: it has characters that a rendered address may lack.
	punctuated bool
	ascii      bool
}

func newNeedle(text string) *needle {
	n := &needle{text: fold(text), punctuated: strings.ContainsAny(text, "\"(),:;<>\\[]\t") || strings.Contains(text, "  "), ascii: isASCII(text)}
	return n
}

func (n *needle) empty() bool { return n.text == "" }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fold makes texts equal that differ in case only.
func fold(s string) string {
	if !isASCII(s) {
		s = norm.NFC.String(s)
	}
	return strings.Map(foldRune, s)
}

// foldRune maps the runes of one letter to one of them.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// in reports whether the text holds the needle.
func (n *needle) in(text string) bool {
	if n.ascii {
		return containsFold([]byte(text), n.text)
	}
	return strings.Contains(fold(text), n.text)
}

// containsFold looks for an ASCII text in lower case.
func containsFold(b []byte, text string) bool {
	if text == "" {
		return true
	}
	last := len(b) - len(text) // where it may begin at the latest
	first := [2]byte{text[0], text[0]}
	if c := text[0]; c >= 'a' && c <= 'z' {
		first[1] = c - ('a' - 'A')
	}
	next := [2]int{-1, -1} // where the first letter stands next, in either case
	for i := 0; i <= last; i++ {
		for k, c := range first {
			if next[k] >= i {
				continue
			}
			if n := bytes.IndexByte(b[i:last+1], c); n >= 0 {
				next[k] = i + n
			} else {
				next[k] = len(b)
			}
		}
		if i = min(next[0], next[1]); i <= last && equalASCII(b[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

func equalASCII(b []byte, text string) bool {
	for i := range len(text) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != text[i] {
			return false
		}
	}
	return true
}

// streamSize is how much of a text is looked at at once.
const streamSize = 32 << 10

// stream reports whether what r holds, in UTF-8, has the needle. It reads into
// room, which grows to what it needs and serves one needle after the other.
func (n *needle) stream(ctx context.Context, r io.Reader, room *[]byte) (bool, error) {
	if size := streamSize + 4*len(n.text); cap(*room) < size {
		*room = make([]byte, 0, size)
	}
	buf := (*room)[:0]
	keep := len(n.text) - 1
	if !n.ascii {
		keep = 4*len(n.text) + utf8.UTFMax // folding may change lengths
	}
	for {
		got, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if n.ascii && containsFold(buf, n.text) || !n.ascii && strings.Contains(fold(string(buf)), n.text) {
			return true, nil
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return false, nil
		default:
			return false, err
		}
		if err := searchTime(ctx); err != nil {
			return false, err
		}
		tail := min(keep, len(buf))
		buf = buf[:copy(buf, buf[len(buf)-tail:])]
	}
}
