package passwd

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Prepare brings a name or password into the form that is hashed and compared,
// so that two keyboards that type the same characters differently log in alike.
//
// It is SASLprep (RFC 4013) made tolerant, the way PostgreSQL does it: text
// that is not UTF-8, or that has characters SASLprep prohibits, comes back
// unchanged instead of being refused, because such passwords exist and their
// owners must get in. Two parts of SASLprep are left out: the check of
// right-to-left text and the list of unassigned characters; neither changes
// any octet. Printable ASCII is never changed.
func Prepare(s string) string {
	if plainASCII(s) || !utf8.ValidString(s) {
		return s
	}
	mapped := strings.Map(func(r rune) rune {
		switch {
		case mappedToNothing(r):
			return -1
		case r != ' ' && (unicode.Is(unicode.Zs, r) || r == 0x200B):
			return ' ' // RFC 3454 table C.1.2
		}
		return r
	}, s)
	out := norm.NFKC.String(mapped)
	if out == "" || strings.ContainsFunc(out, prohibited) {
		return s
	}
	return out
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mappedToNothing is RFC 3454 table B.1.
func mappedToNothing(r rune) bool {
	switch r {
	case 0x00AD, 0x034F, 0x1806, 0x180B, 0x180C, 0x180D, 0x200C, 0x200D, 0x2060, 0xFEFF:
		return true
	}
	return r >= 0xFE00 && r <= 0xFE0F
}

// prohibited is the union of RFC 3454 tables C.2 to C.9 as RFC 4013 §2.3
// names them: controls, private use, noncharacters, surrogates, what is
// inappropriate for plain text, and direction or tagging characters.
func prohibited(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Co, r), r&0xFFFE == 0xFFFE, r >= 0xFDD0 && r <= 0xFDEF:
		return true
	case r >= 0xFFF9 && r <= 0xFFFD, r >= 0x2FF0 && r <= 0x2FFB, r >= 0x1D173 && r <= 0x1D17A:
		return true
	case r == 0x06DD, r == 0x070F, r == 0x180E, r == 0x0340, r == 0x0341, r == 0x200E, r == 0x200F:
		return true
	case r >= 0x2028 && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r >= 0xE0000 && r <= 0xE007F:
		return true
	}
	return false
}
