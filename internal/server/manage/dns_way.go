package manage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
)

// dnsWay reports the hosts that mail for a domain really goes to, where a rule
// or the general relay host takes it past the domain's MX records.
func (s *Service) dnsWay(ctx context.Context, r *DNSReport, here place) error {
	if s.o.Settings == nil {
		return nil
	}
	table, err := s.routes(ctx)
	if err != nil {
		return err
	}
	e := table.Explain(mail.Address{}, mail.Address{Local: "anyone", Domain: r.Name})
	if e.Destination.Relay == nil {
		return nil
	}
	r.add("next hop", Green, slices.Clone(e.Destination.Relay.Hosts), "%s MX records do not count for that; they say where others send mail for the domain.", e.Why)
	for _, host := range e.Destination.Relay.Hosts {
		s.dnsNextHop(ctx, r, host, here)
	}
	return nil
}

// dnsNextHop checks a host that mail is handed to.
func (s *Service) dnsNextHop(ctx context.Context, r *DNSReport, host string, here place) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if slices.Contains(here.addrs, ip) {
			r.add(host, Red, nil, "This is this server's own address: mail would come back here. Name the server that has the mailboxes.")
		}
		return
	}
	a, err := s.o.Resolver.Addrs(ctx, host)
	switch {
	case errors.Is(err, dns.ErrTemporary) && len(a.Records) == 0:
		r.add(host, Yellow, nil, "%s Mail for it waits in the queue until then.", s.unsure(err))
	case err != nil && !errors.Is(err, dns.ErrTemporary):
		r.add(host, Red, nil, "The host has no address, so mail for it waits in the queue and is bounced in the end. Correct its name (posthorn relay domain set, posthorn relay set, or the setting relay.hosts), or make an A record for it.")
	case host == here.name || slices.ContainsFunc(a.Records, func(ip netip.Addr) bool { return slices.Contains(here.addrs, ip) }):
		r.add(host, Red, texts(a.Records), "The host is this server: mail would come back here. Name the server that has the mailboxes.")
	default:
		r.add(host, Green, texts(a.Records), "Mail is handed to it.")
	}
}

// unsure says that nobody knows, and whether to wait for it or to name other
// name servers.
func (s *Service) unsure(err error) string {
	for _, silent := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if errors.Is(err, silent) {
			return fmt.Sprintf("No name server answers at %s: %v. Name one that does: the setting dns.preferred, or preferred in the section [dns] of posthorn.toml (or --dns), which comes first.",
				strings.Join(s.o.Resolver.Servers(), " and "), err)
		}
	}
	return fmt.Sprintf("The name servers could not say: %v. Ask again later.", err)
}
