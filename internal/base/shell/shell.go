// Package shell writes values into commands that people copy into a shell. It
// stands beside a message's way, in answers to administrators. It runs nothing
// and knows no command.
package shell

import "strings"

// Word makes a text one word of a POSIX shell, whatever it holds: local parts
// and names of rules may legally have a backtick, $, & or | (RFC 5321 §4.1.2).
// What needs no quotes stays as it is.
func Word(s string) string {
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// special reports all but the characters that mean nothing to any shell.
func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@:+,=%", r))
}
