package evidence

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
)

// maxCodes bounds the codes kept of one answer.
const maxCodes = 16

// What a list may answer (RFC 5782 §2.1), and what operators answer instead
// when they refuse to.
var (
	codes    = netip.MustParsePrefix("127.0.0.0/8")
	refusals = netip.MustParsePrefix("127.255.255.0/24")
)

// Listed asks one DNS list about the client (B1G-BL-01), within the deadline.
// The text is the list's own, in ASCII and bounded; when the finding is Failed
// it says why.
func (n *Names) Listed(ctx context.Context, zone string, client netip.Addr) policy.Listing {
	client = client.Unmap().WithZone("")
	if !client.IsValid() {
		return policy.Listing{}
	}
	l := n.list(ctx, zone, client)
	n.lists.count(zone, l)
	return l
}

// list asks about an address as it is: the test addresses of IPv6 are IPv4
// addresses in disguise.
func (n *Names) list(ctx context.Context, zone string, client netip.Addr) policy.Listing {
	zone, err := mail.ParseDomain(strings.TrimSuffix(zone, "."))
	if err != nil || mail.IsLiteral(zone) {
		return failed("the list has no domain name")
	}
	name := reversed(client) + zone
	if len(name) > mail.MaxDomain {
		return failed("the name of the list is too long")
	}
	ctx, cancel := dns.Within(ctx, n.o.Deadline)
	defer cancel()
	answer, err := n.o.Resolver.A(ctx, name)
	switch {
	case err != nil && missing(err) == policy.Absent:
		return policy.Listing{Finding: policy.Absent}
	case err != nil:
		return failed(err.Error())
	}
	if listed := accepted(answer.Records); len(listed) > 0 {
		return policy.Listing{Finding: policy.Found, Codes: listed, Text: n.text(ctx, name)}
	}
	slices.SortFunc(answer.Records, netip.Addr.Compare)
	said := answer.Records[0]
	if !refusals.Contains(said) {
		return failed("the answer " + said.String() + " is none of a DNS list")
	}
	return failed("its operator refuses to answer: " + said.String() + " " + n.text(ctx, name))
}

func failed(why string) policy.Listing {
	return policy.Listing{Finding: policy.Failed, Text: plain(why)}
}

// accepted are the codes that mean listed, in order.
func accepted(list []netip.Addr) []netip.Addr {
	list = slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return !codes.Contains(a) || refusals.Contains(a) })
	slices.SortFunc(list, netip.Addr.Compare)
	list = slices.Compact(list)
	return list[:min(len(list), maxCodes)]
}

// text fetches what a list says of an entry. Without an answer there is no text.
func (n *Names) text(ctx context.Context, name string) string {
	answer, err := n.o.Resolver.TXT(ctx, name)
	if err != nil {
		return ""
	}
	slices.Sort(answer.Records)
	return plain(strings.Join(answer.Records, "; "))
}

// reversed is the part of a list's name that asks about an address, with a dot
// at its end: octets (RFC 5782 §2.1) or nibbles (§2.4) backwards.
func reversed(a netip.Addr) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 64)
	if a.Is4() {
		ip := a.As4()
		slices.Reverse(ip[:])
		return netip.AddrFrom4(ip).String() + "."
	}
	ip := a.As16()
	for _, c := range slices.Backward(ip[:]) {
		b = append(b, hex[c&15], '.', hex[c>>4], '.')
	}
	return string(b)
}

var _ policy.Names = (*Names)(nil)
