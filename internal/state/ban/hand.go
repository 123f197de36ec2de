package ban

import (
	"fmt"
	"net/netip"
	"strings"

	"posthorn/internal/base/limit"
)

// loopback are the networks that are never banned, not even by hand: they are
// how this machine's own programs and its administrator reach it.
var loopback = [...]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// ParseHost reads whom to ban: an address, or a network in CIDR form. An IPv6
// address without a length means its /64, from which a client can choose
// addresses freely; write /128 for one alone.
func ParseHost(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return limit.Host(ip), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no address and no network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48", text[:min(len(text), 80)])
	}
	if ip := p.Addr(); ip.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// CheckManual refuses networks that must not be banned by hand, with the reason.
func CheckManual(host netip.Prefix) error {
	if host.Bits() == 0 {
		return fmt.Errorf("%s would ban everybody", host)
	}
	for _, p := range loopback {
		if p.Overlaps(host) {
			return fmt.Errorf("%s is of %s, by which this machine reaches itself; that is never banned", host, p)
		}
	}
	return nil
}
