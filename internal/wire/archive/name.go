package archive

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// MaxName bounds a clean name, in octets.
const MaxName = 255

// CleanName makes a file name fit to be shown: valid UTF-8 in one line,
// without control and direction characters, which become "?", and at most
// MaxName octets long. Of a longer name beginning and end stay.
func CleanName(name string) string {
	if clean(name) && len(name) <= MaxName {
		return name
	}
	name = shorten(name) // before the work, which is in proportion to it
	name = strings.Map(func(r rune) rune {
		if !printable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	return shorten(name)
}

func clean(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !printable(r) }) < 0
}

// printable excludes format characters like the right-to-left override, which
// makes "gpj.exe" look like "exe.jpg", and line separators.
func printable(r rune) bool {
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

func shorten(name string) string {
	if len(name) <= MaxName {
		return name
	}
	const gap = "…"
	const front = (MaxName - len(gap)) / 2
	start, end := name[:front], name[len(name)-(MaxName-len(gap)-front):]
	for range utf8.UTFMax - 1 { // no half characters at the gap
		if r, n := utf8.DecodeLastRuneInString(start); r == utf8.RuneError && n == 1 {
			start = start[:len(start)-1]
		}
		if r, n := utf8.DecodeRuneInString(end); r == utf8.RuneError && n == 1 {
			end = end[1:]
		}
	}
	return start + gap + end
}

// zipName decodes a name of a zip, in code page 437 unless it is UTF-8
// (APPNOTE D.1; many programs forget the flag).
func zipName(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	text, err := charmap.CodePage437.NewDecoder().Bytes(raw)
	if err != nil {
		return string(raw)
	}
	return string(text)
}
