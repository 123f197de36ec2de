package mail

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// profile maps a domain to its A-label form for look-up (RFC 5891 §5), mapping
// case and width as people type them (UTS 46). Underscores pass: they occur in
// real host names.
var profile = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.BidiRule())

// ParseDomain returns the normal form of a domain name: lower-case A-labels
// without a final dot, or an address literal "[192.0.2.1]", "[IPv6:…]".
func ParseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	if s == "" || len(s) > MaxDomain {
		return "", badDomain(s, fmt.Sprintf("it is empty or over %d octets", MaxDomain))
	}
	if d, ok := plainDomain(s); ok {
		return d, nil
	}
	if !utf8.ValidString(s) { // the look-up form would hide that
		return "", badDomain(s, "it is not UTF-8")
	}
	if isASCII(s) && !strings.Contains(strings.ToLower(s), "xn--") {
		return "", badDomain(s, faultOf(s))
	}
	d, err := profile.ToASCII(s)
	if err != nil {
		return "", badDomain(s, err.Error())
	}
	if d, ok := checkLabels(strings.ToLower(d)); ok {
		return d, nil
	}
	return "", badDomain(s, faultOf(d))
}

// domainError says what is wrong with a domain, without a word of addresses: a
// domain may stand alone.
type domainError struct{ text string }

func (e domainError) Error() string { return e.text }

// Unwrap makes errors.Is(err, ErrAddress) true.
func (e domainError) Unwrap() error { return ErrAddress }

func badDomain(s, why string) error {
	return domainError{fmt.Sprintf("%q is not a domain name such as example.org: %s", clip(s), why)}
}

// faultOf says why checkLabels refuses a name.
func faultOf(s string) string {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Sprintf("%q cannot stand in it", c)
		}
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return "there is nothing beside one of its dots"
		case len(label) > 63:
			return "a part between dots is over 63 octets"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "a hyphen stands at the end of a part"
		}
	}
	return fmt.Sprintf("it is over %d octets", MaxDomain)
}

// plainDomain is the fast path for ASCII names without A-labels.
func plainDomain(s string) (string, bool) {
	if !isASCII(s) {
		return "", false
	}
	s = strings.ToLower(s)
	if strings.Contains(s, "xn--") {
		return "", false
	}
	return checkLabels(s)
}

// checkLabels checks letters, digits, hyphens and underscores, label length 1
// to 63 (RFC 1035 §2.3.4), no hyphen at a label's ends.
func checkLabels(s string) (string, bool) {
	if len(s) == 0 || len(s) > MaxDomain {
		return "", false
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			c := s[i]
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
				continue
			}
			return "", false
		}
		label := s[start:i]
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		start = i + 1
	}
	return s, true
}

// parseLiteral reads an address literal (RFC 5321 §4.1.3).
func parseLiteral(s string) (string, error) {
	bad := domainError{fmt.Sprintf("%q is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", clip(s))}
	if !strings.HasSuffix(s, "]") {
		return "", bad
	}
	text := s[1 : len(s)-1]
	v6 := len(text) > 5 && strings.EqualFold(text[:5], "IPv6:")
	if v6 {
		text = text[5:]
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is6() != v6 {
		return "", bad
	}
	return Literal(ip), nil
}

// Literal writes an IP address as an address literal.
func Literal(ip netip.Addr) string {
	if ip = ip.Unmap(); ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.WithZone("").String() + "]"
}

// IsLiteral reports whether a domain in normal form is an address literal.
func IsLiteral(domain string) bool { return strings.HasPrefix(domain, "[") }

// Unicode returns the form of a domain that people read.
func Unicode(domain string) string {
	if u, err := idna.Display.ToUnicode(domain); err == nil {
		return u
	}
	return domain
}
