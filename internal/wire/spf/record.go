package spf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// record is a parsed SPF record (RFC 7208 §4.6.1).
type record struct {
	domain     string // whose record it is
	directives []string
	redirect   string // a domain-spec, "" if there is none
	exp        string // a domain-spec, "" if there is none
}

// maxRecord bounds what is read of one record, in octets.
const maxRecord = 16 << 10

// parseRecord reads a record that isRecord. It checks every term, so that an
// error is one whoever the client is. The record is never nil.
func parseRecord(text string) (*record, error) {
	r := &record{}
	if len(text) > maxRecord {
		return r, fmt.Errorf("%w: over %d octets", ErrSyntax, maxRecord)
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return r, fmt.Errorf("%w: octet %#x", ErrSyntax, text[i])
		}
	}
	for i, term := range strings.Split(text, " ") {
		if i == 0 || term == "" {
			continue
		}
		if !r.add(term) {
			return r, fmt.Errorf("%w: term %.80q", ErrSyntax, term)
		}
	}
	return r, nil
}

// add reads one term; false means that it is none.
func (r *record) add(term string) bool {
	if name, value, ok := cutModifier(term); ok {
		switch {
		case strings.EqualFold(name, "redirect"):
			ok = r.redirect == "" && isDomainSpec(value)
			r.redirect = value
		case strings.EqualFold(name, "exp"):
			ok = r.exp == "" && isDomainSpec(value)
			r.exp = value
		default:
			ok = isMacroString(value, mechanismLetters)
		}
		return ok
	}
	r.directives = append(r.directives, term)
	mechanism := term
	if strings.IndexByte("+-?~", term[0]) >= 0 {
		mechanism = term[1:]
	}
	return isMechanism(mechanism)
}

// cutModifier splits name=value; the name is a letter and then letters,
// digits, "-", "_" and ".".
func cutModifier(term string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(term, "=")
	if !ok || name == "" || !isAlpha(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) && strings.IndexByte("-_.", name[i]) < 0 {
			return "", "", false
		}
	}
	return name, value, true
}

func isMechanism(s string) bool {
	end := strings.IndexAny(s, ":/")
	if end < 0 {
		end = len(s)
	}
	name, arg := strings.ToLower(s[:end]), s[end:]
	switch name {
	case "all":
		return arg == ""
	case "include", "exists":
		return strings.HasPrefix(arg, ":") && isDomainSpec(arg[1:])
	case "ptr":
		return arg == "" || arg[0] == ':' && isDomainSpec(arg[1:])
	case "a", "mx":
		arg = cutCIDR(arg)
		return arg == "" || arg[0] == ':' && isDomainSpec(arg[1:])
	case "ip4", "ip6":
		return strings.HasPrefix(arg, ":") && isNetwork(arg[1:], name == "ip4")
	}
	return false
}

// cutCIDR takes a dual-cidr-length from the end of s. What is none stays, and
// is then no domain-spec.
func cutCIDR(s string) string {
	if i := strings.LastIndex(s, "//"); i >= 0 && isLength(s[i+2:], 128) {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 && isLength(s[i+1:], 32) {
		s = s[:i]
	}
	return s
}

// isLength reports a prefix length up to most, without leading zeros.
func isLength(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most && strconv.Itoa(n) == s && n >= 0
}

func isNetwork(s string, v4 bool) bool {
	addr, length, cut := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	return err == nil && ip.Zone() == "" && ip.Is4() == v4 && (!cut || isLength(length, ip.BitLen()))
}

// isDomainSpec reports a macro-string that ends with a macro or with a label
// that can be a top-level domain (RFC 7208 §7.1).
func isDomainSpec(s string) bool {
	if !isMacroString(s, mechanismLetters) {
		return false
	}
	if strings.HasSuffix(s, "}") && strings.Contains(s, "%{") || strings.HasSuffix(s, "%%") || strings.HasSuffix(s, "%_") || strings.HasSuffix(s, "%-") {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	return dot >= 0 && isTopLabel(s[dot+1:])
}

// isTopLabel reports letters, digits and inner hyphens, not digits alone.
func isTopLabel(s string) bool {
	digits := true
	for i := range len(s) {
		digits = digits && isDigit(s[i])
		if !isAlnum(s[i]) && (s[i] != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return !digits
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }
