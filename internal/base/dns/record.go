package dns

import (
	"encoding/hex"
	"net/netip"
	"strings"

	mdns "github.com/miekg/dns"
)

// The readers of records: ok is false for a record that nobody can use, such
// as one whose host name holds a line break.

// readMX takes every name that can be asked for, not only host names: SPF looks
// up the addresses of any. Who connects to a mail exchanger checks its name.
func readMX(rr mdns.RR) (MX, bool) {
	mx, ok := rr.(*mdns.MX)
	if !ok {
		return MX{}, false
	}
	if mx.Mx == "." {
		return MX{Preference: mx.Preference}, true // RFC 7505
	}
	name, err := normal(mx.Mx)
	return MX{Host: name, Preference: mx.Preference}, err == nil
}

func readA(rr mdns.RR) (netip.Addr, bool) {
	a, ok := rr.(*mdns.A)
	if !ok {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(a.A)
	ip = ip.Unmap()
	return ip, ok && ip.Is4()
}

// readAAAA leaves out IPv4 addresses in IPv6 clothes: they would name a host
// that IPv4 rules are not asked about.
func readAAAA(rr mdns.RR) (netip.Addr, bool) {
	a, ok := rr.(*mdns.AAAA)
	if !ok {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(a.AAAA)
	return ip, ok && ip.Is6() && !ip.Is4In6()
}

func readPTR(rr mdns.RR) (string, bool) {
	p, ok := rr.(*mdns.PTR)
	if !ok {
		return "", false
	}
	name, ok := host(p.Ptr)
	return name, ok && name != ""
}

func readTLSA(rr mdns.RR) (TLSA, bool) {
	t, ok := rr.(*mdns.TLSA)
	if !ok {
		return TLSA{}, false
	}
	data, err := hex.DecodeString(t.Certificate)
	return TLSA{Usage: t.Usage, Selector: t.Selector, MatchingType: t.MatchingType, Data: data}, err == nil && len(data) > 0
}

// readTXT joins the strings of a record (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
func readTXT(rr mdns.RR) (string, bool) {
	t, ok := rr.(*mdns.TXT)
	if !ok {
		return "", false
	}
	return unescape(strings.Join(t.Txt, "")), true
}

// unescape turns the master-file form, which the message library keeps strings
// in, back into octets (RFC 1035 §5.1).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) {
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
			continue
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
