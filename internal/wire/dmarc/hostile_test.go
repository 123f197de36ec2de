package dmarc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

// published is a DMARC record of as many strings as it takes.
func published(domain, s string) string {
	var b strings.Builder
	b.WriteString("_dmarc." + domain + ". 300 IN TXT")
	for len(s) > 255 {
		fmt.Fprintf(&b, " %q", s[:255])
		s = s[255:]
	}
	fmt.Fprintf(&b, " %q\n", s)
	return b.String()
}

// TestHostileDNSIsBoundedAndNeverMisleads: whatever a domain publishes costs at
// most a walk's look-ups, and only a record that can be read is obeyed.
func TestHostileDNSIsBoundedAndNeverMisleads(t *testing.T) {
	t.Parallel()
	var flood, swarm string
	for i := range 200 {
		flood += published("flood.test", fmt.Sprintf("some-service-verification=%d", i))
		swarm += published("swarm.test", fmt.Sprintf("v=DMARC1; p=reject; x=%d", i))
	}
	tags := ""
	for i := range 70 {
		tags += fmt.Sprintf("; x%d=y", i)
	}
	zone := strings.Join([]string{
		published("plain.test", "v=DMARC1; p=reject"),
		"_dmarc.crumbs.test. 300 IN TXT v = D MARC 1 \";\" p = re ject\n",
		published("*.wild.test", "v=DMARC1; p=quarantine"), "*.any.test. 300 IN TXT \"v=DMARC1; p=reject\"\n",
		published("huge.test", "v=DMARC1; p=reject; x="+strings.Repeat("x", 40000)),
		published("tags.test", "v=DMARC1; p=reject"+tags),
		published("mails.test", "v=DMARC1; p=reject; rua="+strings.Repeat("mailto:a@b.test,", 300)),
		"_dmarc.binary.test. 300 IN TXT \"v=DMARC1; p=reject; x=\\195\\164\\000\\255\"\n",
		"_dmarc.latin.test. 300 IN TXT \"v=DMARC1; p=re\\195\\164ject\"\n",
		"_dmarc.loop.test. 300 IN CNAME _dmarc.pool.test.\n_dmarc.pool.test. 300 IN CNAME _dmarc.loop.test.\n",
		"_dmarc.alias.test. 300 IN CNAME _dmarc.plain.test.\n",
		published("twice.test", "v=DMARC1; p=reject; p=none"),
		flood + published("flood.test", "v=DMARC1; p=reject"), swarm,
	}, "")
	for _, c := range []struct {
		author string
		result Result
		action Policy
		err    error
		behave authority.Behaviour
	}{
		{author: "plain.test", result: Fail, action: PolicyReject},
		{author: "crumbs.test", result: Fail, action: PolicyReject},
		{author: "x.wild.test", result: None}, // an asterisk within a name is no wildcard
		{author: "y.any.test", result: Fail, action: PolicyReject},
		{author: "alias.test", result: Fail, action: PolicyReject},
		{author: "mails.test", result: Fail, action: PolicyReject},
		{author: "binary.test", result: Fail, action: PolicyReject},
		{author: "flood.test", result: Fail, action: PolicyReject},
		{author: "huge.test", result: PermError, err: ErrRecord},
		{author: "tags.test", result: PermError, err: ErrRecord},
		{author: "latin.test", result: PermError, err: ErrRecord},
		{author: "twice.test", result: PermError, err: ErrRecord},
		{author: "swarm.test", result: None},
		{author: strings.Repeat("a.", 110) + "gone.test", result: None},
		{author: "loop.test", result: TempError, err: ErrLookup},
		{author: "down.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Rcode: mdns.RcodeServerFailure}},
		{author: "garbage.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Garbage: true}},
		{author: "stranger.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Stranger: true}},
		{author: "endless.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Truncate: true, Endless: true}},
		{author: "silent.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Drop: true}},
		{author: "slow.test", result: TempError, err: ErrLookup, behave: authority.Behaviour{Delay: time.Hour}},
		{author: "late.test", result: None, behave: authority.Behaviour{Delay: time.Second}},
	} {
		for _, tree := range []bool{false, true} {
			t.Run(fmt.Sprintf("%.20s/tree walk %v", c.author, tree), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := authority.New(t, zone)
					a.Behave("_dmarc."+c.author, c.behave)
					r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange}).Net()
					began := time.Now()
					o := (&Checker{Resolver: r, TreeWalk: tree}).Check(t.Context(), Message{Authors: []string{c.author}, SPF: passed("evil.example")})
					if c.action == "" {
						c.action = PolicyNone
					}
					if o.Result != c.result || o.Action != c.action || (o.Err != nil) != (c.err != nil) || !errors.Is(o.Err, c.err) {
						t.Errorf("%+v, want %s, %s, %v", o, c.result, c.action, c.err)
					}
					if n := a.Queries("*", mdns.TypeANY); n > maxWalk+4 || n == 0 {
						t.Errorf("%d questions", n)
					}
					if o.Record != nil && len(o.Record.AggregateTo) > maxDestinations {
						t.Errorf("%d destinations", len(o.Record.AggregateTo))
					}
					if took := time.Since(began); took > 15*time.Second {
						t.Errorf("took %s", took)
					}
				})
			})
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	a := authority.New(b, "_dmarc.example.org. 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.org; adkim=s; pct=100\"\n")
	r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange}).Net()
	m := Message{Authors: []string{"news.example.org"}, SPF: passed("bounce.example.org"), DKIM: []Identity{passed("example.org"), passed("sender.example.net")}}
	for name, tree := range map[string]bool{"list": false, "tree": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := Checker{Resolver: r, TreeWalk: tree}
			for b.Loop() {
				if o := c.Check(b.Context(), m); o.Result != Pass {
					b.Fatalf("%+v", o)
				}
			}
		})
	}
}
