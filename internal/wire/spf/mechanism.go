package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/dns"
)

// matches tells whether a directive is about the client (RFC 7208 §5).
func (e *evaluation) matches(r *record, d *directive) (bool, error) {
	switch d.mechanism {
	case "all":
		return true, nil
	case "ip4", "ip6":
		return d.network.Contains(e.ip), nil
	}
	if err := e.count(); err != nil {
		return false, err
	}
	name, ok, err := e.target(r, d.spec)
	switch {
	case err != nil:
		return false, err
	case d.mechanism == "include":
		return e.includes(name, ok)
	case !ok:
		return false, nil // RFC 7208 §4.8
	}
	switch d.mechanism {
	case "a":
		return e.hasAddress(name, d)
	case "mx":
		return e.exchanges(name, d)
	case "ptr":
		return e.pointsTo(name)
	}
	return e.exists(name)
}

// includes is the mechanism "include" (RFC 7208 §5.2).
func (e *evaluation) includes(name string, ok bool) (bool, error) {
	if !ok && !isASCII(name) {
		return false, nil // RFC 8616 §4: a local part in UTF-8 matches nothing
	}
	if !ok || !isDomain(name) {
		return false, fmt.Errorf("%w: include:%.80q", ErrDangling, name)
	}
	d, err := e.judge(name)
	if errors.Is(err, ErrNoRecord) {
		err = fmt.Errorf("%w: include:%s", ErrDangling, name)
	}
	return d.result == Pass, err
}

// hasAddress is the mechanism "a" (RFC 7208 §5.3).
func (e *evaluation) hasAddress(name string, d *directive) (bool, error) {
	found, err := e.addresses(name)
	if e.isVoid(err) {
		return false, e.void()
	}
	return d.covers(found, e.ip), noRecord(err)
}

// isVoid reports a look-up of addresses that counts as one that found nothing.
// Deviates from RFC 7208 §4.6.4: a host without IPv6 is no error of a record,
// which would be wrong for clients with IPv6 alone.
func (e *evaluation) isVoid(err error) bool {
	return errors.Is(err, dns.ErrNoName) || errors.Is(err, dns.ErrNotFound) && e.ip.Is4()
}

// exchanges is the mechanism "mx" (RFC 7208 §5.4).
func (e *evaluation) exchanges(name string, d *directive) (bool, error) {
	answer, err := e.dns.MX(e.ctx, name)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		return false, e.void()
	case err != nil:
		return false, failed(err)
	case len(answer.Records) > maxHosts:
		return false, fmt.Errorf("%w: %s has over %d hosts", ErrTooMany, name, maxHosts)
	}
	for _, mx := range answer.Records {
		host, ok := lookupName(mx.Host)
		if !ok {
			continue // the null MX among them
		}
		found, err := e.addresses(host)
		if err = noRecord(err); err != nil || d.covers(found, e.ip) {
			return err == nil, err
		}
	}
	return false, nil
}

// exists is the mechanism "exists": IPv4 alone, whatever the client has (RFC
// 7208 §5.7).
func (e *evaluation) exists(name string) (bool, error) {
	_, err := e.dns.A(e.ctx, name)
	if errors.Is(err, dns.ErrNotFound) {
		return false, e.void()
	}
	return err == nil, noRecord(err)
}

// pointsTo is the mechanism "ptr" (RFC 7208 §5.5).
func (e *evaluation) pointsTo(domain string) (bool, error) {
	names, err := e.validated()
	return slices.ContainsFunc(names, func(name string) bool { return closeness(name, domain) > 1 }), err
}

// addresses looks up those of the client's kind.
func (e *evaluation) addresses(name string) ([]netip.Addr, error) {
	look := e.dns.AAAA
	if e.ip.Is4() {
		look = e.dns.A
	}
	answer, err := look(e.ctx, name)
	return answer.Records, err
}

// noRecord leaves the errors that are no absence.
func noRecord(err error) error {
	if err == nil || errors.Is(err, dns.ErrNotFound) {
		return nil
	}
	return failed(err)
}

// covers tells whether the networks around addresses hold the client's.
func (d *directive) covers(found []netip.Addr, ip netip.Addr) bool {
	bits := d.bits6
	if ip.Is4() {
		bits = d.bits4
	}
	for _, a := range found {
		if netip.PrefixFrom(a.Unmap(), bits).Contains(ip) {
			return true
		}
	}
	return false
}

// validated returns the client's names that lead back to its address, looked
// up once for a check. Errors of DNS make a name invalid (RFC 7208 §5.5); only
// the end of the check's time is one here too.
func (e *evaluation) validated() ([]string, error) {
	if e.named {
		return e.names, nil
	}
	e.named = true
	answer, err := e.dns.PTR(e.ctx, e.ip)
	if errors.Is(err, dns.ErrNotFound) {
		return nil, e.void()
	}
	for _, name := range answer.Records[:min(len(answer.Records), maxNames)] {
		name, ok := lookupName(name)
		if !ok {
			continue
		}
		found, _ := e.addresses(name) // without an answer it leads nowhere
		if slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == e.ip }) {
			e.names = append(e.names, name)
		}
	}
	if err := e.ctx.Err(); err != nil {
		return nil, failed(err)
	}
	return e.names, nil
}

// validatedName is %{p}: a valid name of the client, best one in the domain,
// else "unknown" (RFC 7208 §7.3). Its look-up counts like that of a term.
func (e *evaluation) validatedName(domain string) (string, error) {
	if !e.named {
		if err := e.count(); err != nil {
			return "", err
		}
	}
	names, err := e.validated()
	if err != nil {
		return "", err
	}
	best, rank := "unknown", 0
	for _, name := range names {
		if c := closeness(name, domain); c > rank {
			best, rank = name, c
		}
	}
	return best, nil
}

// closeness ranks a client's name: the domain itself, one below it, any.
func closeness(name, domain string) int {
	switch {
	case name == domain:
		return 3
	case strings.HasSuffix(name, "."+domain):
		return 2
	}
	return 1
}
