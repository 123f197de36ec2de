package remote

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
)

// hop is one address of one host.
type hop struct {
	// host is the name the host must prove to have, or its address as text.
	host string
	addr netip.AddrPort
}

// String names the hop as notices and the queue do: "mx1.far.test [192.0.2.7]".
func (h hop) String() string {
	ip := h.addr.Addr().String()
	if h.host == ip {
		return "[" + ip + "]"
	}
	return h.host + " [" + ip + "]"
}

// Bounds of one delivery.
const (
	maxMX        = 20 // hosts of a domain that are looked at
	maxPerHost   = 6  // addresses of a host
	maxHops      = 10 // addresses that are tried
	maxBroken    = 2  // conversations that may break off half way
	maxWalk      = 15 * time.Minute
	maxSetup     = 10 * time.Minute
	maxDialogue  = 2 * time.Hour
	maxHurry     = 2 * time.Minute // of a job in a hurry, until the content has gone
	maxNotice    = 2 * time.Minute // from then on until a notice is answered
	afterTheStop = 4 * time.Second // flow/queue counts on it
)

// hops walks the addresses to try, best first. Names are looked up as the walk
// comes to them. What did not answer lately comes last.
func (a *attempt) hops(ctx context.Context) iter.Seq[hop] {
	return func(yield func(hop) bool) {
		var late []hop
		for h := range a.ordered(ctx) {
			if until, ok := a.d.dead.Get(h.addr); ok && time.Now().Before(until) {
				late = append(late, h)
			} else if !yield(h) {
				return
			}
			if a.looped {
				break // what is not better than we are is left out
			}
		}
		for _, h := range late {
			if !yield(h) {
				return
			}
		}
	}
}

// ordered walks them in the order of RFC 5321 §5.1 or of the relay.
func (a *attempt) ordered(ctx context.Context) iter.Seq[hop] {
	return func(yield func(hop) bool) {
		to := a.job.To
		switch {
		case to.Relay != nil:
			a.relayHops(ctx, yield)
		case mail.IsLiteral(to.Domain):
			a.literalHop(yield)
		default:
			a.domainHops(ctx, yield)
		}
	}
}

// relayHops walks the relay's hosts; nobody is asked about the recipients'
// domain (M-DEL-02). A relay that cannot be found is a mistake of ours and
// nothing a sender should hear of.
func (a *attempt) relayHops(ctx context.Context, yield func(hop) bool) {
	r := a.job.To.Relay
	for _, host := range r.Hosts {
		host, ips, p := a.relayAddrs(ctx, host)
		if p != nil {
			p.alarm = true
			a.note(p)
			continue
		}
		for _, ip := range ips {
			h := hop{host, netip.AddrPortFrom(ip, r.Port)}
			if r.Port == smtpPort && a.own(ip) {
				p := passing(reply.E(4, 4, 6), "the relay host %s is this server itself", h)
				p.alarm = true
				a.note(p)
				continue
			}
			if !yield(h) {
				return
			}
		}
	}
	if len(r.Hosts) == 0 {
		p := passing(reply.E(4, 3, 5), "the relay has no host")
		p.alarm = true
		a.note(p)
	}
}

// relayAddrs returns the name the relay must prove to have, and its addresses.
func (a *attempt) relayAddrs(ctx context.Context, host string) (string, []netip.Addr, *problem) {
	text := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Unmap().String(), []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := a.addrs(ctx, host)
	switch {
	case err == nil:
		return host, ips, nil
	case errors.Is(err, dns.ErrNotFound):
		return host, nil, passing(reply.E(4, 4, 4), "the relay host %s has no address in DNS", host).because(err)
	}
	return host, nil, passing(reply.E(4, 4, 3), "DNS does not answer for the relay host %s", host).because(err)
}

// literalHop is a domain that is an address already (RFC 5321 §5.1).
func (a *attempt) literalHop(yield func(hop) bool) {
	text := strings.TrimPrefix(strings.Trim(a.job.To.Domain, "[]"), "IPv6:")
	ip, err := netip.ParseAddr(text)
	ip = ip.Unmap()
	switch {
	case err != nil || unusable(ip):
		a.note(final(550, reply.E(5, 1, 2), "%s is no address of a host", a.job.To.Domain))
	case a.d.o.Port == smtpPort && a.own(ip):
		a.note(looping(a.job.To.Domain))
	default:
		yield(hop{ip.String(), netip.AddrPortFrom(ip, a.d.o.Port)})
	}
}

func looping(domain string) *problem {
	return final(554, reply.E(5, 4, 6), "mail for %s loops back to this server, which does not take it", domain).because(queue.ErrLoops)
}

// mirror is the problem with a host whose reply, to EHLO or else its greeting,
// begins with our own name, nil with all others: behind an address translation this server has an address
// that it does not know. On other ports than that of SMTP there may be another
// server of this machine.
func (a *attempt) mirror(c *connection, said reply.Reply) *problem {
	name, _, _ := strings.Cut(strings.Join(said.Text, " "), " ")
	name = strings.TrimSuffix(name, ".")
	if c.key.addr.Port() != smtpPort || !strings.EqualFold(name, a.d.o.Hostname()) || !a.d.named(name) {
		return nil
	}
	if a.job.To.Relay != nil {
		p := passing(reply.E(4, 4, 6), "the relay host %s answers with the name of this server", c.key.hop).because(queue.ErrLoops)
		p.alarm = true
		return p
	}
	a.looped = true
	return looping(a.job.To.Domain).at(c.key.hop)
}

// named reports whether a name can be that of one server alone. What a machine
// is called without anybody's doing, others are called, too.
func (d *Deliverer) named(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, ".") && !strings.HasSuffix(name, ".localdomain") && (d.o.Named == nil || d.o.Named())
}

// domainHops walks the hosts of a domain. Equal preferences share the load;
// ourselves and everything not better is left out (RFC 5321 §5.1), for mail
// would come back from there.
func (a *attempt) domainHops(ctx context.Context, yield func(hop) bool) {
	domain := a.job.To.Domain
	hosts, p := a.exchangers(ctx, domain)
	if p != nil {
		a.note(p)
		return
	}
	for first := 0; first < len(hosts); {
		end := first
		for end < len(hosts) && hosts[end].Preference == hosts[first].Preference {
			end++
		}
		hops, loop := a.group(ctx, hosts[first:end])
		if loop {
			a.note(looping(domain))
			return
		}
		for _, h := range hops {
			if !yield(h) {
				return
			}
		}
		first = end
	}
}

// group looks up hosts of one preference. Those without an address are noted.
func (a *attempt) group(ctx context.Context, hosts []dns.MX) (hops []hop, loop bool) {
	for _, mx := range hosts {
		// Names end up in notices and logs (reliability.md row 31).
		if _, err := mail.ParseDomain(mx.Host); err != nil || mail.IsLiteral(mx.Host) {
			a.note(final(550, reply.E(5, 4, 4), "DNS names a mail host that is no host name").because(err))
			continue
		}
		if a.d.o.Port == smtpPort && strings.EqualFold(mx.Host, a.d.o.Hostname()) {
			return nil, true
		}
		ips, err := a.addrs(ctx, mx.Host)
		switch {
		case errors.Is(err, dns.ErrNotFound):
			a.note(final(550, reply.E(5, 4, 4), "the mail host %s has no address in DNS", mx.Host).because(err))
		case err != nil:
			a.note(passing(reply.E(4, 4, 3), "DNS does not answer for the mail host %s", mx.Host).because(err))
		}
		for _, ip := range ips {
			if a.d.o.Port == smtpPort && a.own(ip) {
				return nil, true
			}
			hops = append(hops, hop{mx.Host, netip.AddrPortFrom(ip, a.d.o.Port)})
		}
	}
	return hops, false
}

// exchangers returns the domain's MX records in order, or the domain itself
// where there are none.
func (a *attempt) exchangers(ctx context.Context, domain string) ([]dns.MX, *problem) {
	answer, err := a.d.o.Resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoName):
		return nil, final(550, reply.E(5, 1, 2), "there is no domain %s", domain).because(err)
	case errors.Is(err, dns.ErrNotFound):
		return []dns.MX{{Host: domain}}, nil
	case err != nil:
		return nil, passing(reply.E(4, 4, 3), "DNS does not answer for %s", domain).because(err)
	}
	hosts := slices.DeleteFunc(slices.Clone(answer.Records), func(mx dns.MX) bool { return mx.Host == "" })
	if len(hosts) == 0 {
		return nil, final(556, reply.E(5, 1, 10), "the domain %s takes no mail", domain) // RFC 7505 §3
	}
	if a.need.requireTLS && !answer.Authentic {
		// RFC 8689 §4.2.1: the name of the host must be as sure as its certificate.
		p := final(550, reply.E(5, 7, 10), "REQUIRETLS: nothing vouches for the mail hosts of %s", domain)
		p.message = true
		return nil, p
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(x, y dns.MX) int { return cmp.Compare(x.Preference, y.Preference) })
	return hosts[:min(len(hosts), maxMX)], nil
}

// addrs looks a host's addresses up and puts them into the order of trying.
// One kind of them is enough where the other could not be looked up.
func (a *attempt) addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	answer, err := a.d.o.Resolver.Addrs(ctx, host)
	var ips []netip.Addr
	for _, ip := range answer.Records {
		if ip = ip.Unmap(); !unusable(ip) {
			ips = append(ips, ip)
		}
	}
	switch {
	case len(ips) == 0 && err != nil:
		return nil, err
	case len(ips) == 0:
		return nil, dns.ErrNotFound
	}
	ips = arrange(ips, a.set.Family)
	return ips[:min(len(ips), maxPerHost)], nil
}

// arrange puts the family wanted first, or takes both in turn, so that one
// that does not work never uses up all tries.
func arrange(ips []netip.Addr, family string) []netip.Addr {
	var four, six []netip.Addr
	for _, ip := range ips {
		if ip.Is4() {
			four = append(four, ip)
		} else {
			six = append(six, ip)
		}
	}
	switch family {
	case "ipv4":
		return append(four, six...)
	case "ipv6":
		return append(six, four...)
	}
	first, second := six, four
	if ips[0].Is4() {
		first, second = four, six
	}
	out := make([]netip.Addr, 0, len(ips))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

// unusable reports addresses at which no host can be.
func unusable(ip netip.Addr) bool {
	return !ip.IsValid() || ip.IsMulticast() || ip.Zone() != "" || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// own reports an address that leads back here.
func (a *attempt) own(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	return a.d.o.Own != nil && slices.Contains(a.d.o.Own(), ip)
}
