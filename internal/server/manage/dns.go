package manage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/shell"
	"posthorn/internal/state/directory"
)

// State is how good something is.
type State string

// The states, from good to bad.
const (
	Green  State = "green"  // as it should be
	Yellow State = "yellow" // some servers will mind, or nobody could tell now
	Red    State = "red"    // mail will be refused or lost
)

// worse returns the worse of two states.
func (s State) worse(o State) State {
	order := []State{Green, Yellow, Red}
	if slices.Index(order, o) > slices.Index(order, s) {
		return o
	}
	return s
}

// DNSCheck is one thing that was looked up, and what to do about it.
type DNSCheck struct {
	What  string   `json:"what" doc:"What was looked up"`
	State State    `json:"state" doc:"green, yellow or red"`
	Found []string `json:"found" doc:"What the name servers say"`
	Say   string   `json:"say" doc:"What it means and what to do"`
}

// DNSReport is what the name servers say about a name.
type DNSReport struct {
	Name    string     `json:"name"`
	State   State      `json:"state" doc:"The worst of the checks"`
	Servers []string   `json:"servers" doc:"Name servers that were asked"`
	Checks  []DNSCheck `json:"checks"`
}

func (r *DNSReport) add(what string, state State, found []string, say string, args ...any) {
	if found == nil {
		found = []string{}
	}
	r.Checks = append(r.Checks, DNSCheck{What: what, State: state, Found: found, Say: fmt.Sprintf(say, args...)})
	r.State = r.State.worse(state)
}

const (
	// dnsPatience bounds one report.
	dnsPatience = 20 * time.Second
	// maxHosts and maxReported bound what a stranger's records can make of it.
	maxHosts    = 20
	maxReported = 32
)

// Resolver is what the reports look up by; dns.Resolver is one.
type Resolver interface {
	Servers() []string
	MX(ctx context.Context, domain string) (dns.Answer[dns.MX], error)
	Addrs(ctx context.Context, host string) (dns.Addrs, error)
	PTR(ctx context.Context, ip netip.Addr) (dns.Answer[string], error)
}

func dnsOperations() []Operation {
	return []Operation{
		declare("dns-host", get, "/dns/host", reader, "What DNS says about this server's name and addresses", (*Service).dnsHost),
		declare("dns-domain", get, "/dns/domain/{name}", reader, "Where DNS leads mail for a domain", (*Service).dnsDomain),
	}
}

func (s *Service) dnsReport(name string) *DNSReport {
	return &DNSReport{Name: name, State: Green, Servers: s.o.Resolver.Servers(), Checks: []DNSCheck{}}
}

// dnsHost checks name, address and name again, for every address that mail
// goes out by (M-GEN-07, SYS-DNS-03). It reports and never refuses.
func (s *Service) dnsHost(ctx context.Context, _ *None) (*DNSReport, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	name := s.o.Hostname()
	r := s.dnsReport(name)
	leads, err := s.o.Resolver.Addrs(ctx, name)
	own := s.o.Addresses()
	switch {
	case errors.Is(err, dns.ErrTemporary):
		r.add(name, Yellow, texts(leads.Records), "%s Mail is not refused for it.", s.unsure(err))
	case err != nil:
		r.add(name, Red, nil, "The server's name does not exist in DNS. Make an A record (and AAAA for IPv6) for %s with the address that mail leaves by, or change the setting server.hostname.", name)
	case !slices.ContainsFunc(leads.Records, public):
		r.add(name, Red, texts(leads.Records), "The name leads only to addresses that the internet does not reach. Make an A record for %s with the server's public address.", name)
	case !slices.ContainsFunc(own, func(ip netip.Addr) bool { return slices.Contains(leads.Records, ip) }):
		r.add(name, Yellow, texts(leads.Records), "The name leads to no address of this machine. That is right behind address translation or a load balancer; otherwise correct the A and AAAA records of %s.", name)
	default:
		r.add(name, Green, texts(leads.Records), "The name leads here.")
	}
	addrs := outgoing(own, leads.Records)
	if len(addrs) == 0 {
		r.add("outgoing address", Yellow, texts(own), "This machine has no public address and its name leads to none, so the address that mail leaves by is not known here. Ask your network's administrator for it; its PTR record must name %s.", name)
	}
	for _, ip := range addrs {
		s.dnsAddress(ctx, r, name, ip, leads.Records)
	}
	return r, nil
}

// outgoing are the addresses that other servers may see: the machine's public
// ones, or, behind address translation, those the name leads to.
func outgoing(own, leads []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, ip := range append(slices.Clone(own), leads...) {
		if public(ip) && !slices.Contains(list, ip) && len(list) < maxHosts {
			list = append(list, ip)
		}
	}
	return list
}

// dnsAddress checks one address: PTR, and the way back from it.
func (s *Service) dnsAddress(ctx context.Context, r *DNSReport, name string, ip netip.Addr, leads []netip.Addr) {
	ptr, err := s.o.Resolver.PTR(ctx, ip)
	names := ptr.Records
	switch {
	case errors.Is(err, dns.ErrTemporary):
		r.add(ip.String(), Yellow, nil, "%s", s.unsure(err))
	case err != nil:
		r.add(ip.String(), Red, nil, "The address has no name (PTR record); many servers refuse mail from it. Ask the provider of the address to set it to %s; this is not done where the domain is hosted.", name)
	case !slices.Contains(names, name):
		back, confirmed := s.confirmed(ctx, names, ip)
		if confirmed {
			r.add(ip.String(), Yellow, first(names), "The address is called %s, which leads back to it, but this server calls itself %s. Ask the provider of the address to set the PTR record to %s, or set server.hostname to the name it has.", back, name, name)
			return
		}
		r.add(ip.String(), Red, first(names), "The address is called %s and that name does not lead back to it; many servers refuse mail for that. Ask the provider of the address to set the PTR record to %s.", names[0], name)
	case len(leads) == 0:
		r.add(ip.String(), Yellow, first(names), "The address is called %s, but the name's own addresses are not known, see above.", name)
	case !slices.Contains(leads, ip):
		r.add(ip.String(), Red, first(names), "The address is called %s, but that name does not lead back to it. Make an %s record for %s with %s.", name, kind(ip), name, ip)
	case len(names) > 1:
		r.add(ip.String(), Yellow, first(names), "Address and name lead to each other, but the address has several names; some servers look at one only. One PTR record is best.")
	default:
		r.add(ip.String(), Green, names, "Address and name lead to each other.")
	}
}

// confirmed returns a name that leads back to the address.
func (s *Service) confirmed(ctx context.Context, names []string, ip netip.Addr) (string, bool) {
	for _, n := range names[:min(len(names), 5)] {
		if a, err := s.o.Resolver.Addrs(ctx, n); err == nil && slices.Contains(a.Records, ip) {
			return n, true
		}
	}
	return "", false
}

// DNSDomainInput names a domain.
type DNSDomainInput struct {
	Name string `json:"name" path:"name"`
}

// dnsDomain follows the way of mail for a domain, as another server would.
func (s *Service) dnsDomain(ctx context.Context, in *DNSDomainInput) (*DNSReport, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	domain, err := mail.ParseDomain(in.Name)
	if err != nil || mail.IsLiteral(domain) {
		return nil, inField("name", fmt.Errorf("%.80q is not a domain name such as example.org", in.Name))
	}
	r := s.dnsReport(domain)
	here, err := s.here(ctx, domain)
	if err != nil {
		return nil, err
	}
	mx, err := s.o.Resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoName):
		r.add("MX", Red, nil, "The domain does not exist in DNS; nobody can send mail to it.")
	case errors.Is(err, dns.ErrNotFound) && !here.hosts:
		r.add("MX", Green, nil, "There is no MX record, so mail goes to the addresses of the domain's own name.")
		s.dnsMailHost(ctx, r, dns.MX{Host: domain}, here)
	case errors.Is(err, dns.ErrNotFound):
		r.add("MX", Yellow, nil, "There is no MX record, so mail goes to the addresses of the domain's own name. Make one: %s. MX 10 %s.", domain, s.o.Hostname())
		s.dnsMailHost(ctx, r, dns.MX{Host: domain}, here)
	case err != nil:
		r.add("MX", Yellow, nil, "%s Meanwhile mail waits at its senders.", s.unsure(err))
	case len(mx.Records) == 1 && mx.Records[0].Host == "" && !here.hosts:
		r.add("MX", Red, []string{"0 ."}, "The domain says that it takes no mail at all (null MX, RFC 7505); mail for it comes back to its sender at once.")
	case len(mx.Records) == 1 && mx.Records[0].Host == "":
		r.add("MX", Red, []string{"0 ."}, "The domain says that it takes no mail at all (null MX, RFC 7505). If it shall, replace the record by: %s. MX 10 %s.", domain, s.o.Hostname())
	default:
		s.dnsMailHosts(ctx, r, mx.Records, here)
	}
	if here.passes {
		err = s.dnsWay(ctx, r, here)
		return r, err
	}
	return r, nil
}

// place is what counts as this server: its name and its addresses.
type place struct {
	name  string
	addrs []netip.Addr
	known bool // all addresses could be found out
	hosts bool // mail for the domain asked about is taken here
	// passes says that mail for the domain does not stay here.
	passes bool
}

func (s *Service) here(ctx context.Context, domain string) (place, error) {
	leads, err := s.o.Resolver.Addrs(ctx, s.o.Hostname())
	whose, failed := s.o.Directory.Resolve(ctx, mail.Address{Local: "anyone", Domain: domain})
	return place{s.o.Hostname(), append(slices.Clone(s.o.Addresses()), leads.Records...), !errors.Is(err, dns.ErrTemporary), whose.Kind != directory.Elsewhere, !whose.Hosted()}, failed
}

func (s *Service) dnsMailHosts(ctx context.Context, r *DNSReport, hosts []dns.MX, here place) {
	slices.SortStableFunc(hosts, func(a, b dns.MX) int { return int(a.Preference) - int(b.Preference) })
	var lines []string
	for _, mx := range hosts {
		lines = append(lines, fmt.Sprintf("%d %s", mx.Preference, mx.Host))
	}
	at := len(r.Checks)
	r.add("MX", Green, first(lines), "")
	us := ""
	for _, mx := range hosts[:min(len(hosts), maxHosts)] {
		if s.dnsMailHost(ctx, r, mx, here) && us == "" {
			us = mx.Host
		}
	}
	check := &r.Checks[at]
	switch {
	case us != "" && !here.hosts:
		check.State = Red
		check.Say = fmt.Sprintf("Mail for the domain comes to this server, as %s, but the domain is none of this server's and its mail is refused. Host it: posthorn domain add %s; or let its MX records name others.", us, shell.Word(r.Name))
	case us == hosts[0].Host && us != "":
		check.Say = fmt.Sprintf("Mail for the domain comes to this server, as %s.", us)
	case us != "":
		check.Say = fmt.Sprintf("Mail goes to %s first; this server (%s) is asked when that does not answer.", hosts[0].Host, us)
	case !here.known:
		check.State, check.Say = Yellow, "Whether mail comes here cannot be told now: the name servers did not answer for this server's own name."
	case !here.hosts:
		check.Say = "Mail for the domain goes to other servers; it is none of this server's domains."
	default:
		check.State = Yellow
		check.Say = fmt.Sprintf("Mail for the domain goes to other servers, not here. If it shall come here: %s. MX 10 %s.", r.Name, here.name)
	}
	r.State = r.State.worse(check.State)
}

// dnsMailHost checks one mail exchanger and reports whether it is this server.
func (s *Service) dnsMailHost(ctx context.Context, r *DNSReport, mx dns.MX, here place) bool {
	if _, err := netip.ParseAddr(mx.Host); err == nil {
		r.add(mx.Host, Red, nil, "An MX record must name a host, not an address (RFC 5321 §5.1). Make an A record for a name such as mail.%s with this address, and let the MX name that.", r.Name)
		return false
	}
	a, err := s.o.Resolver.Addrs(ctx, mx.Host)
	us := mx.Host == here.name || slices.ContainsFunc(a.Records, func(ip netip.Addr) bool { return slices.Contains(here.addrs, ip) })
	switch {
	case errors.Is(err, dns.ErrTemporary) && len(a.Records) == 0:
		r.add(mx.Host, Yellow, nil, "%s", s.unsure(err))
	case errors.Is(err, dns.ErrTemporary):
		r.add(mx.Host, Yellow, texts(a.Records), "One kind of address could not be looked up: %v.", err)
	case err != nil:
		r.add(mx.Host, Red, nil, "The host has no address. Make an A record for it, or remove the MX record.")
	case us:
		r.add(mx.Host, Green, texts(a.Records), "This server.")
	default:
		r.add(mx.Host, Green, texts(a.Records), "Another server.")
	}
	return us
}

// public reports addresses that the internet can reach.
func public(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrier.Contains(ip.Unmap())
}

// carrier is the space of address translation at providers (RFC 6598 §7).
var carrier = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

func kind(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// texts writes addresses, not more than a report bears.
func texts(ips []netip.Addr) []string {
	list := make([]string, 0, len(ips))
	for _, ip := range ips {
		list = append(list, ip.String())
	}
	return first(list)
}

// first shortens a list that a stranger made long.
func first(list []string) []string {
	if len(list) > maxReported {
		return append(slices.Clone(list[:maxReported]), fmt.Sprintf("and %d more", len(list)-maxReported))
	}
	return slices.Clone(list)
}
