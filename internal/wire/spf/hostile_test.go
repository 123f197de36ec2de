package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/testkit/authority"
)

// text is one TXT record of as many strings as it takes.
func text(name, s string) string {
	var b strings.Builder
	b.WriteString(name + " 300 IN TXT")
	for len(s) > 255 {
		fmt.Fprintf(&b, " %q", s[:255])
		s = s[255:]
	}
	fmt.Fprintf(&b, " %q\n", s)
	return b.String()
}

// hostileZone is what nobody should publish.
func hostileZone() string {
	var z strings.Builder
	z.WriteString(`
$ORIGIN test.
include.loop  300 IN TXT "v=spf1 include:include.loop.test -all"
ring1.loop    300 IN TXT "v=spf1 include:ring2.loop.test -all"
ring2.loop    300 IN TXT "v=spf1 redirect=ring1.loop.test"
redirect.loop 300 IN TXT "v=spf1 redirect=redirect.loop.test"
cname.loop    300 IN CNAME other.cname.loop
other.cname.loop 300 IN CNAME cname.loop
toloop        300 IN TXT "v=spf1 a:cname.loop.test -all"
*.wild        300 IN TXT "v=spf1 include:%{l}.%{d} -all"
*.any         300 IN A   127.0.0.2
any           300 IN TXT "v=spf1 -exists:%{ir}.%{l}.any.test +all"
latin         300 IN TXT "v=spf1 -all \195\164"
binary        300 IN TXT "v=spf1 \000\001\255"
both          300 IN TXT "v=spf1 -all"
both          300 IN TXT "v=spf1 +all"
tothem        300 IN TXT "v=spf1 include:both.test +all"
tobad         300 IN TXT "v=spf1 include:latin.test +all"
tonone        300 IN TXT "v=spf1 include:gone.test +all"
toslow        300 IN TXT "v=spf1 include:slow.test +all"
todown        300 IN TXT "v=spf1 include:down.test +all"
mxs           300 IN TXT "v=spf1 mx:m0.test mx:m1.test mx:m2.test mx:m3.test mx:m4.test mx:m5.test mx:m6.test mx:m7.test mx:m8.test mx:m9.test -all"
slow          300 IN TXT "v=spf1 +all"
long          300 IN TXT "v=spf1 exists:%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.%{l}%{l}.any.test -all"
`)
	for i := range 10 {
		for j := range 10 {
			fmt.Fprintf(&z, "m%d 300 IN MX 10 h%d.m%d\nh%d.m%d 300 IN A 192.0.2.200\n", i, j, i, j, i)
		}
	}
	for range 11 {
		fmt.Fprintf(&z, "crowd 300 IN MX 10 h%d.crowd\n", z.Len())
	}
	z.WriteString("tocrowd 300 IN TXT \"v=spf1 mx:crowd.test +all\"\n")
	z.WriteString(text("huge", "v=spf1"+strings.Repeat(" ip4:192.0.2.1", 2000)+" +all"))
	z.WriteString(text("terms", "v=spf1"+strings.Repeat(" ?ip4:192.0.2.77", 900)+" -all"))
	z.WriteString(text("letters", "v=spf1 "+strings.Repeat("x=%{d}", 40)+strings.Repeat("a", 900)+" -all"))
	z.WriteString(text("bomb", "v=spf1 exists:"+strings.Repeat("%{s}", 200)+".x.test +all"))
	for i := range 300 {
		z.WriteString(text("flood", fmt.Sprintf("some-service-verification=%d", i)))
		z.WriteString(text("swarm", fmt.Sprintf("v=spf1 ip4:192.0.2.%d -all", i%256)))
	}
	z.WriteString(text("flood", "v=spf1 -all"))
	z.WriteString("$ORIGIN 2.0.192.in-addr.arpa.\n")
	for i := range 60 {
		fmt.Fprintf(&z, "9 300 IN PTR n%d.m1.test.\n", i)
	}
	z.WriteString("$ORIGIN names.test.\n@ 300 IN TXT \"v=spf1 ptr:m1.test ?exists:%{p}.gone.test -ptr -ptr -ptr -all\"\n")
	return z.String()
}

// TestHostileDNSIsBoundedAndNeverMisleads: a stranger's zone costs at most so
// many questions and so much time, and what it leaves unclear never passes.
func TestHostileDNSIsBoundedAndNeverMisleads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		domain  string
		result  Result
		err     error
		queries int // at most
	}{
		{"include.loop.test", PermError, ErrTooMany, 1},
		{"ring1.loop.test", PermError, ErrTooMany, 2},
		{"redirect.loop.test", PermError, ErrTooMany, 1},
		{"cname.loop.test", TempError, dns.ErrTemporary, 4},
		{"toloop.test", TempError, dns.ErrTemporary, 5},
		{"x.wild.test", PermError, ErrTooMany, 11},
		{"any.test", Fail, nil, 2},
		{"latin.test", PermError, ErrSyntax, 1},
		{"binary.test", PermError, ErrSyntax, 1},
		{"both.test", PermError, ErrSeveral, 1},
		{"tothem.test", PermError, ErrSeveral, 2},
		{"tobad.test", PermError, ErrSyntax, 2},
		{"tonone.test", PermError, ErrDangling, 2},
		{"gone.test", None, ErrNoRecord, 1},
		{"mxs.test", Fail, nil, 111},
		{"tocrowd.test", PermError, ErrTooMany, 2},
		{"huge.test", PermError, ErrSyntax, 1},
		{"terms.test", Fail, nil, 1},
		{"letters.test", Fail, nil, 1},
		{"bomb.test", PermError, ErrSyntax, 1},
		{"long.test", Pass, nil, 2}, // cut to fit (RFC 7208 §7.3),
		{"flood.test", Fail, nil, 1},
		{"swarm.test", PermError, ErrSeveral, 1},
		{"names.test", Fail, nil, 13},
		{"slow.test", TempError, context.DeadlineExceeded, 9},
		{"toslow.test", TempError, context.DeadlineExceeded, 9},
		{"down.test", TempError, dns.ErrTemporary, 4},
		{"todown.test", TempError, dns.ErrTemporary, 5},
		{"garbage.test", TempError, dns.ErrTemporary, 4},
		{"endless.test", TempError, dns.ErrTemporary, 4},
		{"stranger.test", TempError, dns.ErrTemporary, 4},
		{"dropped.test", TempError, dns.ErrTemporary, 4},
	} {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := authority.New(t, hostileZone())
				a.Behave("slow.test", authority.Behaviour{Delay: time.Hour})
				a.Behave("down.test", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
				a.Behave("garbage.test", authority.Behaviour{Garbage: true})
				a.Behave("endless.test", authority.Behaviour{Truncate: true, Endless: true})
				a.Behave("stranger.test", authority.Behaviour{Stranger: true})
				a.Behave("dropped.test", authority.Behaviour{Drop: true})
				r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
				began := time.Now()
				checker := Checker{Resolver: r, Timeout: 3 * time.Second}
				o := checker.CheckMail(t.Context(), Client{IP: netip.MustParseAddr("192.0.2.9"), Helo: strings.Repeat("h", 9000), Now: noon},
					mail.Address{Local: strings.Repeat("l", 30), Domain: c.domain})
				if o.Result != c.result || (c.err == nil) != (o.Err == nil) || !errors.Is(o.Err, c.err) {
					t.Errorf("%+v, want %s, %v", o, c.result, c.err)
				}
				if n := a.Queries("*", mdns.TypeANY); n > c.queries || n == 0 {
					t.Errorf("%d questions, want at most %d", n, c.queries)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// counter counts look-ups, before any memory.
type counter struct {
	Resolver
	n int
}

func (c *counter) TXT(ctx context.Context, name string) (dns.Answer[string], error) {
	c.n++
	return c.Resolver.TXT(ctx, name)
}

func (c *counter) MX(ctx context.Context, name string) (dns.Answer[dns.MX], error) {
	c.n++
	return c.Resolver.MX(ctx, name)
}

func (c *counter) A(ctx context.Context, name string) (dns.Addrs, error) {
	c.n++
	return c.Resolver.A(ctx, name)
}

func (c *counter) PTR(ctx context.Context, ip netip.Addr) (dns.Answer[string], error) {
	c.n++
	return c.Resolver.PTR(ctx, ip)
}

// mostLookups is the bound that the comment at the limits states.
const mostLookups = 123

func TestTheDearestRecordCostsNoMoreThanStated(t *testing.T) {
	t.Parallel()
	const client = "192.0.2.9"
	z := texts("a.test", "v=spf1"+strings.Repeat(" mx:m.test", 9)+" exists:%{p}.%{p}.x.test -all exp=%{d}.e.test", "a.test.e.test", "%{p}")
	back := z.at(reverseName(netip.MustParseAddr(client)))
	for i := range 30 {
		host := fmt.Sprintf("h%d.test", i)
		z.hosts(host, "192.0.2.200")
		back.ptr = append(back.ptr, host)
		if i < 10 {
			z.at("m.test").mx = append(z.at("m.test").mx, dns.MX{Host: host})
		}
	}
	z["unknown.unknown.x.test"] = nil
	c := &counter{Resolver: z}
	o := ask(c, client, "u@a.test")
	if !errors.Is(o.Err, ErrTooMany) || c.n < 100 || c.n > mostLookups {
		t.Errorf("%+v after %d look-ups", o, c.n)
	}
}

func BenchmarkCheck(b *testing.B) {
	a := authority.New(b, `
$ORIGIN test.
one     3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
eight   3600 IN TXT "v=spf1 a mx include:i1.test include:i2.test include:i3.test exists:%{ir}.%{l}._spf.test ~all"
eight   3600 IN A 198.51.100.1
eight   3600 IN MX 10 eight.test.
i1      3600 IN TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all"
i2      3600 IN TXT "v=spf1 ip4:198.51.100.0/24 include:i1.test ~all"
i3      3600 IN TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 -all"
`)
	r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange})
	c := Checker{Resolver: r}
	client := Client{IP: netip.MustParseAddr("192.0.2.9"), Helo: "mx.test", Now: noon}
	for domain, want := range map[string]Result{"one.test": Pass, "eight.test": SoftFail} {
		b.Run(domain, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if o := c.CheckMail(b.Context(), client, mail.Address{Local: "u", Domain: domain}); o.Result != want {
					b.Fatalf("%+v", o)
				}
			}
		})
	}
}
