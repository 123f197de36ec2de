package spf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	blitiri "blitiri.com.ar/go/spf"
	"pgregory.net/rapid"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
)

// plain is a zone as the other library asks it.
type plain struct{ zone }

// plainError says it in the words of package net.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	return &net.DNSError{Err: err.Error(), IsNotFound: errors.Is(err, dns.ErrNotFound), IsTemporary: !errors.Is(err, dns.ErrNotFound)}
}

func (p plain) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := p.TXT(ctx, name)
	return a.Records, plainError(err)
}

func (p plain) LookupMX(ctx context.Context, name string) (list []*net.MX, _ error) {
	a, err := p.MX(ctx, name)
	for _, mx := range a.Records {
		list = append(list, &net.MX{Host: mx.Host + ".", Pref: mx.Preference})
	}
	return list, plainError(err)
}

func (p plain) LookupIPAddr(ctx context.Context, name string) (list []net.IPAddr, _ error) {
	a, err := answer(ctx, p.zone, name, func(r *records) []netip.Addr { return r.ip })
	for _, ip := range a.Records {
		list = append(list, net.IPAddr{IP: ip.AsSlice()})
	}
	return list, plainError(err)
}

func (p plain) LookupAddr(ctx context.Context, addr string) (list []string, _ error) {
	a, err := p.PTR(ctx, netip.MustParseAddr(addr))
	return a.Records, plainError(err)
}

// drawWorld draws a small DNS whose records lead to one another.
func drawWorld(t *rapid.T) zone {
	domain := rapid.SampledFrom([]string{"a.test", "b.test", "c.test", "d.test", "gone.test", "down.test", "%{d}", "%{o}", "%{l}.test", "%{i}.x.test", "%{ir}.%{v}.x.test", "%{d1r}.test", "%{s2}", "%{h}"})
	target := func() string { return domain.Draw(t, "target") }
	term := rapid.Custom(func(t *rapid.T) string {
		q := rapid.SampledFrom([]string{"", "", "", "+", "-", "~", "?"}).Draw(t, "qualifier")
		switch rapid.IntRange(0, 9).Draw(t, "mechanism") {
		case 0:
			return q + "all"
		case 1:
			return q + "ip4:192.0.2." + rapid.SampledFrom([]string{"1", "0/24", "128/25", "9"}).Draw(t, "net")
		case 2:
			return q + "ip6:2001:db8::" + rapid.SampledFrom([]string{"1", "/32", "2/127"}).Draw(t, "net")
		case 3, 4:
			return q + "include:" + target()
		case 5:
			return q + rapid.SampledFrom([]string{"a", "mx", "ptr", "A/24", "mx/30//64"}).Draw(t, "own")
		case 6:
			return q + "a:" + target() + rapid.SampledFrom([]string{"", "", "/24", "/33", "//120", "/0"}).Draw(t, "length")
		case 7:
			return q + "mx:" + target()
		case 8:
			return q + "exists:" + target()
		}
		return rapid.SampledFrom([]string{"ptr:u.test", "redirect=" + target(), "x=%{d}", "bad:", "ALL", "include", "exp=e.test"}).Draw(t, "other")
	})
	z := texts("many.test", "v=spf1", "many.test", "v=spf1")
	for _, name := range []string{"a.test", "b.test", "c.test", "d.test"} {
		z.at(name).txt = []string{"v=spf1 " + strings.Join(rapid.SliceOfN(term, 0, 5).Draw(t, name), " ")}
		for range rapid.IntRange(0, 2).Draw(t, "addresses") {
			z.hosts(name, rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.9", "198.51.100.1", "2001:db8::1", "2001:db8::9"}).Draw(t, "address"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "hosts") {
			z.at(name).mx = append(z.at(name).mx, dns.MX{Host: rapid.SampledFrom([]string{"a.test", "d.test", "gone.test"}).Draw(t, "host")})
		}
	}
	z.hosts("u.test", "192.0.2.1")
	z.at("down.test").err = dns.ErrTemporary
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		z.at(reverseName(netip.MustParseAddr(ip))).ptr = rapid.SliceOfN(rapid.SampledFrom([]string{"a.test.", "u.test.", "gone.test."}), 0, 3).Draw(t, "names")
	}
	return z
}

// differs leaves out what differs by intention: the library does not read a
// record behind the term that matches, takes every error that is not temporary
// for the same, and looks up both kinds of addresses, so that fewer are void.
func differs(ours Outcome, theirs blitiri.Result, err error) bool {
	return string(ours.Result) != string(theirs) && !errors.Is(ours.Err, ErrSyntax) && !errors.Is(ours.Err, ErrTooMany) &&
		!errors.Is(err, blitiri.ErrVoidLookupLimitReached)
}

func TestWeAgreeWithAnotherLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := drawWorld(t)
		ip := netip.MustParseAddr(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.9", "203.0.113.1", "2001:db8::1"}).Draw(t, "client"))
		c := Checker{Resolver: z}
		ours := c.CheckMail(context.Background(), Client{IP: ip, Helo: "u.test", Now: noon}, mail.Address{Local: "u", Domain: "a.test"})
		theirs, err := blitiri.CheckHostWithSender(net.IP(ip.AsSlice()), "u.test", "u@a.test", blitiri.WithContext(context.Background()), blitiri.WithResolver(plain{z}))
		if errors.Is(ours.Err, ErrTooMany) && theirs == blitiri.None || differs(ours, theirs, err) {
			for name, r := range z {
				t.Logf("%s %+v", name, *r)
			}
			t.Fatalf("%s: we %s by %q (%v), they %s (%v)", ip, ours.Result, ours.Mechanism, ours.Err, theirs, err)
		}
	})
}
