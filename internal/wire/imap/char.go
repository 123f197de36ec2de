package imap

// Character classes of RFC 3501 §9. None holds a control character, a space
// or an octet above 0x7e.

func isAtomChar(c byte) bool {
	switch c {
	case '(', ')', '{', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func isAStringChar(c byte) bool { return c == ']' || isAtomChar(c) }

func isTagChar(c byte) bool { return c != '+' && isAStringChar(c) }

func isListChar(c byte) bool { return c == '%' || c == '*' || isAStringChar(c) }

// isKeywordChar holds for the words of the protocol itself.
func isKeywordChar(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isSetChar holds for the characters of a sequence set.
func isSetChar(c byte) bool { return isDigit(c) || c == ':' || c == ',' || c == '*' || c == '$' }

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// isAtom reports whether s can stand as an atom.
func isAtom(s string) bool {
	for i := range len(s) {
		if !isAtomChar(s[i]) {
			return false
		}
	}
	return s != ""
}
