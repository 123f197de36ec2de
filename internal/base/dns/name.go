package dns

import (
	"fmt"
	"strings"
)

// Bounds of a name in text form (RFC 1035 §2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// normal returns the form in which a name is asked for and remembered: lower
// case, no final dot. Names are A-labels; what could not stand in a question as
// it is (control characters, backslash, other scripts, empty or
// overlong labels) is an ErrNoName, for nobody can have such a record.
//
// Other printable characters pass, spaces too: macros of SPF make such names.
func normal(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	bad := func(why string) (string, error) {
		return "", fmt.Errorf("%w: %.80q %s", ErrNoName, name, why)
	}
	if name == "" || len(name) > maxName {
		return bad("is empty or too long")
	}
	start, upper := 0, false
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if i == start || i-start > maxLabel {
				return bad("has an empty or overlong label")
			}
			start = i + 1
			continue
		}
		c := name[i]
		if c < ' ' || c >= 0x7f || c == '\\' {
			return bad("has a character that no name has")
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, nil
}

// spelled is a normal name as the message library writes it: with a final dot,
// and with a backslash before what is special in master files.
func spelled(name string) string {
	const special = ` "'();@`
	if !strings.ContainsAny(name, special) {
		return name + "."
	}
	b := make([]byte, 0, len(name)+8)
	for i := range len(name) {
		if strings.IndexByte(special, name[i]) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, name[i])
	}
	return string(append(b, '.'))
}

// host returns the normal form of a host name that stands in an answer, where
// anything can stand. The root "." becomes "".
func host(target string) (string, bool) {
	if target == "." {
		return "", true
	}
	name, err := normal(target)
	if err != nil {
		return "", false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "", false
		}
	}
	return name, true
}
