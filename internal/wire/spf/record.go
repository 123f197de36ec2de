package spf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxRecord bounds what is read of one record, in octets.
const maxRecord = 16 << 10

// record is a parsed SPF record (RFC 7208 §4.6.1).
type record struct {
	domain     string // whose record it is
	directives []directive
	redirect   template // nil if there is none
	exp        template // nil if there is none
}

// directive is one mechanism with what it means when it matches.
type directive struct {
	text      string // as the domain wrote it
	result    Result
	mechanism string       // lower case
	spec      template     // nil stands for the record's domain
	network   netip.Prefix // ip4, ip6
	bits4     int          // a, mx
	bits6     int          // a, mx
}

// isRecord tells SPF records from other TXT records (RFC 7208 §4.5).
func isRecord(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// parseRecord reads a record that isRecord. It checks every term, so that an
// error is one whoever the client is (RFC 7208 §4.6).
func parseRecord(domain, text string) (*record, error) {
	if len(text) > maxRecord {
		return nil, fmt.Errorf("%w: over %d octets", ErrSyntax, maxRecord)
	}
	r := &record{domain: domain}
	for i, term := range strings.Split(text, " ") {
		if i > 0 && term != "" && !r.add(term) {
			return nil, fmt.Errorf("%w: term %.80q", ErrSyntax, term)
		}
	}
	return r, nil
}

// add reads one term; false means that it is none.
func (r *record) add(term string) bool {
	name, value, ok := cutModifier(term)
	if !ok {
		d, ok := parseDirective(term)
		r.directives = append(r.directives, d)
		return ok
	}
	spec, isSpec := parseDomainSpec(value)
	switch {
	case strings.EqualFold(name, "redirect"):
		ok = r.redirect == nil && isSpec // RFC 7208 §6: at most once
		r.redirect = spec
	case strings.EqualFold(name, "exp"):
		ok = r.exp == nil && isSpec
		r.exp = spec
	default:
		_, ok = parseTemplate(value, mechanismLetters)
	}
	return ok
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

func parseDirective(term string) (d directive, ok bool) {
	d = directive{text: term, result: Pass, bits4: 32, bits6: 128}
	switch term[0] {
	case '-':
		d.result = Fail
	case '~':
		d.result = SoftFail
	case '?':
		d.result = Neutral
	}
	if strings.IndexByte("+-?~", term[0]) >= 0 {
		term = term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	d.mechanism = strings.ToLower(term[:end])
	return d, d.argue(term[end:])
}

// argue reads what follows the mechanism's name.
func (d *directive) argue(arg string) (ok bool) {
	switch d.mechanism {
	case "all":
		return arg == ""
	case "ip4", "ip6":
		d.network, ok = parseNetwork(strings.TrimPrefix(arg, ":"), d.mechanism == "ip4")
		return ok && arg[0] == ':'
	case "include", "exists":
		if arg == "" {
			return false
		}
	case "a", "mx":
		arg = d.cutLengths(arg)
	case "ptr":
	default:
		return false
	}
	if arg == "" {
		return true
	}
	d.spec, ok = parseDomainSpec(arg[1:])
	return ok && arg[0] == ':'
}

// cutLengths takes a dual-cidr-length from the end of arg. What is none stays,
// and can only be part of a domain-spec.
func (d *directive) cutLengths(arg string) string {
	if i := strings.LastIndex(arg, "//"); i >= 0 {
		if n, ok := parseLength(arg[i+2:], 128); ok {
			arg, d.bits6 = arg[:i], n
		}
	}
	if i := strings.LastIndexByte(arg, '/'); i >= 0 {
		if n, ok := parseLength(arg[i+1:], 32); ok {
			arg, d.bits4 = arg[:i], n
		}
	}
	return arg
}

// parseLength reads a prefix length up to most, without leading zeros.
func parseLength(s string, most int) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && 0 <= n && n <= most && strconv.Itoa(n) == s
}

func parseNetwork(s string, v4 bool) (netip.Prefix, bool) {
	addr, length, cut := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" || ip.Is4() != v4 {
		return netip.Prefix{}, false
	}
	bits, ok := ip.BitLen(), true
	if cut {
		bits, ok = parseLength(length, bits)
	}
	return netip.PrefixFrom(ip, bits), ok
}

// parseDomainSpec reads a macro-string that ends with a macro or with a label
// that can be a top-level domain (RFC 7208 §7.1).
func parseDomainSpec(s string) (template, bool) {
	t, ok := parseTemplate(s, mechanismLetters)
	if !ok || len(t) == 0 {
		return nil, false
	}
	last := t[len(t)-1]
	if last.literal {
		name := strings.TrimSuffix(last.text, ".")
		dot := strings.LastIndexByte(name, '.')
		ok = dot >= 0 && isTopLabel(name[dot+1:])
	}
	return t, ok
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
