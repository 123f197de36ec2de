package imapd

import "strings"

// baseSubject takes off what replies and forwards add to a decoded subject
// (RFC 5256 §2.1) and reports whether there was any of it.
func baseSubject(decoded string) (base string, reply bool) {
	s := strings.Join(strings.Fields(decoded), " ")
	for {
		s = trimTrailer(s, &reply)
		for {
			next := trimLeader(s, &reply)
			if rest, ok := cutBlob(next); ok && rest != "" {
				next = rest
			}
			if next == s {
				break
			}
			s = next
		}
		inner, ok := cutForward(s)
		if !ok {
			return s, reply
		}
		s, reply = inner, true
	}
}

// trimTrailer removes "(fwd)" and white space from the end.
func trimTrailer(s string, reply *bool) string {
	for {
		s = strings.TrimRight(s, " ")
		n := len(s) - len("(fwd)")
		if n < 0 || !strings.EqualFold(s[n:], "(fwd)") {
			return s
		}
		s, *reply = s[:n], true
	}
}

// trimLeader removes "Re:", "Fwd: ", "[list] Re[2]:" and the like once.
func trimLeader(s string, reply *bool) string {
	rest := strings.TrimLeft(s, " ")
	for {
		after, ok := cutBlob(rest)
		if !ok {
			break
		}
		rest = after
	}
	for _, word := range []string{"re", "fwd", "fw"} {
		if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
			continue
		}
		tail := strings.TrimLeft(rest[len(word):], " ")
		if after, ok := cutBlob(tail); ok {
			tail = after
		}
		if after, ok := strings.CutPrefix(tail, ":"); ok {
			*reply = true
			return strings.TrimLeft(after, " ")
		}
	}
	return strings.TrimLeft(s, " ")
}

// cutBlob removes "[text]" and the white space behind it.
func cutBlob(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+2:], " "), true
}

// cutForward unwraps "[fwd: text]".
func cutForward(s string) (inner string, ok bool) {
	const open = "[fwd:"
	if len(s) <= len(open) || !strings.EqualFold(s[:len(open)], open) || !strings.HasSuffix(s, "]") {
		return s, false
	}
	return strings.TrimSpace(s[len(open) : len(s)-1]), true
}
