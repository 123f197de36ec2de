package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Net is a Resolver with the methods and errors of net.Resolver, which the
// libraries for SPF, DKIM and DMARC expect. Names in answers end with a dot.
type Net struct{ r *Resolver }

// Net returns the resolver in net.Resolver's form.
func (r *Resolver) Net() Net { return Net{r} }

// LookupTXT is like net.Resolver's.
func (n Net) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := n.r.TXT(ctx, name)
	return a.Records, netError(err, name)
}

// LookupMX is like net.Resolver's, in the order of the answer. A null MX is
// the host ".".
func (n Net) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := n.r.MX(ctx, name)
	var list []*net.MX
	for _, mx := range a.Records {
		list = append(list, &net.MX{Host: mx.Host + ".", Pref: mx.Preference})
	}
	return list, netError(err, name)
}

// LookupIPAddr is like net.Resolver's, but fails when one kind of address could
// not be looked up: a judgement must not rest on half an answer. An address is
// its own answer.
func (n Net) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []net.IPAddr{{IP: ip.Unmap().AsSlice(), Zone: ip.Zone()}}, nil
	}
	a, err := n.r.Addrs(ctx, host)
	if err != nil {
		return nil, netError(err, host)
	}
	var list []net.IPAddr
	for _, ip := range a.Records {
		list = append(list, net.IPAddr{IP: ip.AsSlice()})
	}
	return list, nil
}

// LookupAddr is like net.Resolver's.
func (n Net) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "unrecognized address", Name: addr}
	}
	a, err := n.r.PTR(ctx, ip)
	var list []string
	for _, name := range a.Records {
		list = append(list, name+".")
	}
	return list, netError(err, addr)
}

// netError says it in the words of package net.
func netError(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound):
		return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true, UnwrapErr: err}
	}
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: timedOut(err), UnwrapErr: err}
}
