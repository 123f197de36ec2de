package junk

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold returns the text in the compatibility form NFKC, so that full-width,
// mathematical and composed letters are what they look like. Text in ASCII is
// returned as it is.
func (c *collector) fold(text []byte) []byte {
	if i := bytes.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }); i < 0 || norm.NFKC.IsNormal(text) {
		return text
	}
	c.folded = norm.NFKC.Append(c.folded[:0], text...)
	return c.folded
}

// scan takes the words of a text, its links and the hosts of its addresses.
// Scripts written without spaces give pairs of characters instead of words.
func (c *collector) scan(k kind, text []byte) {
	text = c.fold(text)
	c.prev = c.prev[:0]
	for i := 0; i < len(text); {
		b := text[i]
		if b < utf8.RuneSelf && !alphanumeric(b) {
			i++
			continue
		}
		if n := c.link(text[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case unspaced(r):
			i += c.characters(k, text[i:])
		case b < utf8.RuneSelf || unicode.IsLetter(r) || unicode.IsNumber(r):
			i += c.oneWord(k, text[i:])
		default:
			i += n
		}
	}
}

func alphanumeric(b byte) bool {
	return 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9'
}

// oneWord takes the word at the beginning of text and returns its length.
func (c *collector) oneWord(k kind, text []byte) int {
	w, i, runes := c.word[:0], 0, 0
	var digits, latin, other bool
	for i < len(text) {
		b := text[i]
		if b < utf8.RuneSelf {
			switch {
			case 'a' <= b && b <= 'z':
				latin = true
			case 'A' <= b && b <= 'Z':
				b |= 0x20
				latin = true
			case '0' <= b && b <= '9':
				digits = true
			case b == '\'' && i+1 < len(text) && alphanumeric(text[i+1]):
			default:
				b = 0
			}
			if b == 0 {
				break
			}
			if runes++; runes <= maxRunes {
				w = append(w, b)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if invisible(r) {
			i += n
			continue
		}
		if unspaced(r) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) {
			break
		}
		other = other || 0x370 <= r && r < 0x530 // Greek and Cyrillic
		if runes++; runes <= maxRunes {
			w = utf8.AppendRune(w, unicode.ToLower(r))
		}
		i += n
	}
	c.word = w
	if latin && other {
		c.add(kindForm, []byte("word of mixed alphabets"))
	}
	if i < len(text) && text[i] == '@' {
		if host := hostOf(text[i+1:]); host > 0 && bytes.IndexByte(text[i+1:][:host], '.') > 0 {
			c.host(text[i+1:][:host])
			return i + 1 + host
		}
	}
	c.finish(k, w, runes, digits && !latin && !other, digits)
	return i
}

// finish adds a word that is neither too short nor too long nor a mere number.
func (c *collector) finish(k kind, w []byte, runes int, number, digits bool) {
	switch {
	case number, runes < 2, runes < 3 && len(w) == runes, digits && runes > 14:
		return
	case runes > maxRunes:
		c.add(kindForm, []byte("very long word"))
		return
	}
	c.add(k, w)
	if k != kindSubject {
		return
	}
	if len(c.prev) > 0 {
		c.prev = append(append(c.prev, ' '), w...)
		c.add(kindPair, c.prev)
	}
	c.prev = append(c.prev[:0], w...)
}

// characters takes every two neighbours of a run of characters of scripts
// without spaces, or the single one, and returns the run's length.
func (c *collector) characters(k kind, text []byte) int {
	i, before, runes := 0, 0, 0
	for i < len(text) {
		r, n := utf8.DecodeRune(text[i:])
		if !unspaced(r) {
			break
		}
		if runes++; runes > 1 {
			c.add(k, text[before:i+n])
		}
		before = i
		i += n
	}
	if runes == 1 {
		c.add(k, text[:i])
	}
	return i
}

// unspaced reports characters of scripts whose words nothing parts.
func unspaced(r rune) bool {
	switch {
	case r < 0x0E00:
		return false
	case r < 0x0F00: // Thai, Lao
		return unicode.IsLetter(r) || unicode.IsMark(r)
	case r < 0x1000:
		return false
	case r < 0x10A0, 0x1780 <= r && r < 0x1800: // Myanmar, Khmer
		return unicode.IsLetter(r) || unicode.IsMark(r)
	case r < 0x2E80:
		return false
	case r < 0x3400: // radicals, kana, bopomofo, old hangul; what is left between them are signs
		return r < 0x2FE0 || 0x3005 <= r && r <= 0x3007 || 0x3041 <= r && r <= 0x3096 || 0x309D <= r && r <= 0x309F ||
			0x30A1 <= r && r <= 0x30FA || 0x30FC <= r && r <= 0x318E || 0x31A0 <= r && r <= 0x31BF || 0x31F0 <= r && r <= 0x31FF
	}
	return r < 0x4DC0 || 0x4E00 <= r && r < 0xA000 || 0xAC00 <= r && r < 0xD7A4 || // Han, Hangul
		0xF900 <= r && r < 0xFB00 || 0x20000 <= r && r < 0x323B0
}

// invisible reports what is put inside words to hide them from filters.
func invisible(r rune) bool {
	return r == 0xAD || 0x200B <= r && r <= 0x200F || 0x2060 <= r && r <= 0x2064 || r == 0xFEFF
}
