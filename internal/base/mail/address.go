// Package mail holds the words of mail that every floor shares: addresses and
// domains, their grammar, their one normal form and their comparison key.
//
// It knows neither which domains are ours nor what a session is.
package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Address is a mail address: a local part and a domain. The zero Address is
// the null reverse-path "<>". Domain is in the normal form of ParseDomain, or
// empty for the bare <postmaster> (RFC 5321 §4.5.1). Local holds the meaning,
// without quotes: "a b"@example.test has the local part `a b`.
type Address struct {
	Local  string
	Domain string
}

// Limits of RFC 5321 §4.5.3.1, in octets. MaxLocal binds the addresses that are
// made here alone: those of others get longer, and are to be taken where that is
// possible.
const (
	MaxLocal   = 64
	MaxDomain  = 255
	MaxAddress = 254 // a path is 256 with its angle brackets
)

// Errors.
var (
	// ErrAddress is wrapped by every error of this package.
	ErrAddress = errors.New("not a mail address")
	// ErrLong is wrapped when nothing but the length is wrong.
	ErrLong = fmt.Errorf("%w: over %d octets", ErrAddress, MaxAddress)
)

// ParseAddress reads Local@Domain (the Mailbox of RFC 5321 §4.1.2, with the
// internationalised forms of RFC 6531 §3.3). It takes no angle brackets, no
// source route and no comments. The local part may be as long as MaxAddress allows.
func ParseAddress(s string) (Address, error) {
	if !utf8.ValidString(s) {
		return Address{}, fmt.Errorf("%w: invalid UTF-8", ErrAddress)
	}
	local, rest, err := cutLocal(s)
	if err != nil {
		return Address{}, err
	}
	if rest == "" || rest[0] != '@' {
		if strings.Contains(rest, "@") {
			r, _ := utf8.DecodeRuneInString(rest)
			return Address{}, fmt.Errorf("%w: %q: %q cannot stand before the @", ErrAddress, clip(s), r)
		}
		return Address{}, fmt.Errorf("%w: %q has no @domain", ErrAddress, clip(s))
	}
	domain, err := ParseDomain(rest[1:])
	if err != nil {
		return Address{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	a := Address{Local: local, Domain: domain}
	if len(a.String()) > MaxAddress {
		return Address{}, ErrLong
	}
	return a, nil
}

// ParseLocal reads a local part alone, as in <postmaster>.
func ParseLocal(s string) (string, error) {
	local, rest, err := cutLocal(s)
	if err == nil && rest != "" {
		err = fmt.Errorf("%w: unexpected %q after the local part", ErrAddress, clip(rest))
	}
	if err == nil && len(quoteLocal(local)) > MaxAddress {
		err = ErrLong
	}
	return local, err
}

// cutLocal splits off a Dot-string or Quoted-string and returns its meaning.
func cutLocal(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return cutQuoted(s)
	}
	end := 0
	for end < len(s) && (isAtext(s[end]) || s[end] == '.') {
		end++
	}
	local = s[:end]
	if local == "" || local[0] == '.' || local[end-1] == '.' || strings.Contains(local, "..") {
		return "", "", fmt.Errorf("%w: bad local part in %q", ErrAddress, clip(s))
	}
	return norm.NFC.String(local), s[end:], nil
}

func cutQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if b.Len() == 0 {
				return "", "", fmt.Errorf("%w: empty quoted local part", ErrAddress)
			}
			return norm.NFC.String(b.String()), s[i+1:], nil
		case c == '\\' && i+1 < len(s) && s[i+1] >= ' ' && s[i+1] < 0x7f:
			i++
			b.WriteByte(s[i])
		case c == '\\' || c < ' ' || c == 0x7f:
			return "", "", fmt.Errorf("%w: bad character in quoted local part", ErrAddress)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%w: quoted local part is not closed", ErrAddress)
}

// isAtext reports an octet of RFC 5322 §3.2.3 atext or of a UTF-8 sequence
// (RFC 6531 §3.3).
func isAtext(c byte) bool {
	return c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// IsNull reports the null reverse-path.
func (a Address) IsNull() bool { return a.Local == "" && a.Domain == "" }

// String writes the address as it stands in a path, with the local part
// quoted where needed; "" for the null reverse-path.
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	local := quoteLocal(a.Local)
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Path is String in angle brackets: "<>" for the null reverse-path.
func (a Address) Path() string { return "<" + a.String() + ">" }

// Key is the form addresses are compared and stored by: the local part
// folded to lower case, the domain in normal form. Deviates from
// RFC 5321 §2.4 (case-sensitive local parts) because no user expects
// Bob@ and bob@ to be two people.
func (a Address) Key() string { return Address{Local: FoldLocal(a.Local), Domain: a.Domain}.String() }

// FoldLocal returns the local part in the form it is compared by.
func FoldLocal(local string) string { return norm.NFC.String(strings.ToLower(local)) }

// IsASCII reports whether the address needs no SMTPUTF8 on its way.
func (a Address) IsASCII() bool { return isASCII(a.Local) && isASCII(a.Domain) }

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the null
// reverse-path.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = Address{}
		return nil
	}
	got, err := ParseAddress(string(b))
	if err == nil {
		*a = got
	}
	return err
}

func quoteLocal(s string) string {
	plain := s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
	for i := 0; plain && i < len(s); i++ {
		plain = isAtext(s[i]) || s[i] == '.'
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// clip shortens client input for an error text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
