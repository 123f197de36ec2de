package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
)

const zone = `
$ORIGIN example.test.
@         300 IN MX    20 mx2
@         300 IN MX    10 MX1.Example.TEST.
@         300 IN TXT   "v=spf1 " "-all"
mx1       300 IN A     192.0.2.1
mx1       300 IN A     192.0.2.2
mx1       300 IN AAAA  2001:db8::1
mx2       60  IN A     192.0.2.3
null          IN MX    0 .
both          IN MX    0 .
both          IN MX    5 mx1
nulls         IN MX    0 .
nulls         IN MX    5 .
_25._tcp.mx1  IN TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
odd           IN TXT   "a\"b\\c\010\255"
flash     0   IN A     192.0.2.9
long  999999  IN A     192.0.2.8
alias     100 IN CNAME mx1
far           IN CNAME host.other.test.
lost          IN CNAME nothing
a1            IN CNAME a2
a2            IN CNAME a3
a3            IN CNAME a1
v4mapped      IN AAAA  ::ffff:192.0.2.1
line          IN MX    10 a\010b.example.test.
somemx        IN MX    10 a\010b.example.test.
somemx        IN MX    20 mx1
`

const reverse = `
$ORIGIN 2.0.192.in-addr.arpa.
1 IN PTR mx1.example.test.
$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR mx1.example.test.
$ORIGIN other.test.
host IN A 198.51.100.1
`

const server = "192.0.2.53:53"

func resolver(t testing.TB, a *authority.Authority) *dns.Resolver {
	t.Helper()
	return dns.New(dns.Options{Servers: authority.Names(server), Exchange: a.Exchange})
}

func ips(t testing.TB, texts ...string) []netip.Addr {
	t.Helper()
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func TestRecordsAreReadInTheirNormalForm(t *testing.T) {
	t.Parallel()
	r, ctx := resolver(t, authority.New(t, zone, reverse)), t.Context()
	tlsa := dns.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: []byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")}
	for _, c := range []struct {
		what string
		ask  func() (any, error)
		want any
	}{
		{"MX", func() (any, error) { a, err := r.MX(ctx, "EXAMPLE.test."); return a.Records, err }, []dns.MX{{Host: "mx2.example.test", Preference: 20}, {Host: "mx1.example.test", Preference: 10}}},
		{"null MX", func() (any, error) { a, err := r.MX(ctx, "null.example.test"); return a.Records, err }, []dns.MX{{}}},
		{"null MX beside another", func() (any, error) { a, err := r.MX(ctx, "both.example.test"); return a.Records, err }, []dns.MX{{Host: "mx1.example.test", Preference: 5}}},
		{"null MX twice", func() (any, error) {
			a, err := r.MX(ctx, "nulls.example.test")
			return len(a.Records) == 1 && a.Records[0].Host == "", err
		}, true},
		{"MX without the unusable", func() (any, error) { a, err := r.MX(ctx, "somemx.example.test"); return a.Records, err }, []dns.MX{{Host: "mx1.example.test", Preference: 20}}},
		{"A", func() (any, error) { a, err := r.A(ctx, "mx1.example.test"); return a.Records, err }, ips(t, "192.0.2.1", "192.0.2.2")},
		{"AAAA", func() (any, error) { a, err := r.AAAA(ctx, "mx1.example.test"); return a.Records, err }, ips(t, "2001:db8::1")},
		{"both kinds", func() (any, error) { a, err := r.Addrs(ctx, "mx1.example.test"); return a.Records, err }, ips(t, "2001:db8::1", "192.0.2.1", "192.0.2.2")},
		{"one kind only", func() (any, error) { a, err := r.Addrs(ctx, "mx2.example.test"); return a.Records, err }, ips(t, "192.0.2.3")},
		{"TXT", func() (any, error) { a, err := r.TXT(ctx, "example.test"); return a.Records, err }, []string{"v=spf1 -all"}},
		{"TXT octets", func() (any, error) { a, err := r.TXT(ctx, "odd.example.test"); return a.Records, err }, []string{"a\"b\\c\n\xff"}},
		{"TLSA", func() (any, error) { a, err := r.TLSA(ctx, "_25._tcp.mx1.example.test"); return a.Records, err }, []dns.TLSA{tlsa}},
		{"PTR", func() (any, error) {
			a, err := r.PTR(ctx, netip.MustParseAddr("192.0.2.1"))
			return a.Records, err
		}, []string{"mx1.example.test"}},
		{"PTR of a mapped address", func() (any, error) {
			a, err := r.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
			return a.Records, err
		}, []string{"mx1.example.test"}},
		{"PTR of IPv6", func() (any, error) {
			a, err := r.PTR(ctx, netip.MustParseAddr("2001:db8::1%eth0"))
			return a.Records, err
		}, []string{"mx1.example.test"}},
		{"alias", func() (any, error) { a, err := r.A(ctx, "alias.example.test"); return a.Records, err }, ips(t, "192.0.2.1", "192.0.2.2")},
		{"alias elsewhere", func() (any, error) { a, err := r.A(ctx, "far.example.test"); return a.Records, err }, ips(t, "198.51.100.1")},
	} {
		for range 2 { // from the server, from memory
			got, err := c.ask()
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %v, %v; want %v", c.what, got, err, c.want)
			}
		}
	}
}

// verdict says which of the sentinels an error is, and that it is one only.
func verdict(err error) string {
	found, temporary := errors.Is(err, dns.ErrNotFound), errors.Is(err, dns.ErrTemporary)
	switch {
	case err == nil:
		return "found"
	case found == temporary:
		return fmt.Sprintf("both or neither: %v", err)
	case errors.Is(err, dns.ErrNoName):
		return "no name"
	case found:
		return "no record"
	}
	return "temporary"
}

func TestAbsenceIsToldFromFailure(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	a.Behave("broken.example.test", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	a.Behave("closed.example.test", authority.Behaviour{Rcode: mdns.RcodeRefused})
	a.Behave("garbage.example.test", authority.Behaviour{Garbage: true})
	a.Behave("cut.example.test", authority.Behaviour{Endless: true})
	a.Behave("stranger.example.test", authority.Behaviour{Stranger: true})
	a.Behave("referral.example.test", authority.Behaviour{Answer: func(m *mdns.Msg) {
		m.RecursionAvailable, m.Rcode, m.Ns = false, mdns.RcodeSuccess, nil
	}})
	a.Behave("many.example.test", authority.Behaviour{Answer: func(m *mdns.Msg) {
		m.Rcode = mdns.RcodeSuccess
		for i := range 513 {
			m.Answer = append(m.Answer, &mdns.A{Hdr: mdns.RR_Header{Name: m.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET}, A: []byte{10, 0, byte(i >> 8), byte(i)}})
		}
	}})
	a.Behave("wrongid.example.test", authority.Behaviour{Answer: func(m *mdns.Msg) { m.Id++ }})
	a.Behave("query.example.test", authority.Behaviour{Answer: func(m *mdns.Msg) { m.Response = false }})
	r := resolver(t, a)
	for name, want := range map[string]string{
		"mx1.example.test":              "found",
		"mx9.example.test":              "no name",
		"nothing.invalid":               "no name",
		"lost.example.test":             "no name",
		"example.test":                  "no record",
		"_tcp.mx1.example.test":         "no record", // exists, for there is a name below
		"broken.example.test":           "temporary",
		"closed.example.test":           "temporary",
		"garbage.example.test":          "temporary",
		"cut.example.test":              "temporary",
		"stranger.example.test":         "temporary",
		"referral.example.test":         "temporary",
		"many.example.test":             "temporary",
		"wrongid.example.test":          "temporary",
		"query.example.test":            "temporary",
		"a1.example.test":               "temporary", // in a circle
		"":                              "no name",
		".":                             "no name",
		"a..b":                          "no name",
		"a b.test":                      "no name",
		"a\r\nb.test":                   "no name",
		"a\x00b.test":                   "no name",
		"bücher.test":                   "no name",
		`a\.b.test`:                     "no name",
		strings.Repeat("a", 64) + ".tt": "no name",
		strings.Repeat("abcdefg.", 32):  "no name",
	} {
		_, err := r.A(t.Context(), name)
		if got := verdict(err); got != want {
			t.Errorf("%.40q: %s (%v), want %s", name, got, err, want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("%.40q: the error carries control characters: %q", name, err)
		}
	}
	if _, err := r.MX(t.Context(), "line.example.test"); verdict(err) != "temporary" {
		t.Errorf("an MX with a line break in its name: %v", err)
	}
	if _, err := r.AAAA(t.Context(), "v4mapped.example.test"); verdict(err) != "temporary" {
		t.Errorf("an AAAA with an IPv4 address: %v", err)
	}
	if _, err := r.PTR(t.Context(), netip.Addr{}); verdict(err) != "no name" {
		t.Errorf("PTR of no address: %v", err)
	}
	if n := a.Queries("a b.test", mdns.TypeANY) + a.Queries("bücher.test", mdns.TypeANY); n != 0 {
		t.Errorf("%d names were asked that nobody can have", n)
	}
}

func TestEightAliasesAreFollowedAndNoMore(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("$ORIGIN chain.test.\n")
	for i := range 9 {
		fmt.Fprintf(&text, "c%d IN CNAME c%d\n", i, i+1)
	}
	text.WriteString("c9 IN A 192.0.2.1\n")
	a := authority.New(t, text.String())
	// A server that tells one alias at a time.
	short := dns.New(dns.Options{Servers: authority.Names(server), Exchange: func(ctx context.Context, s string, q *mdns.Msg) (*mdns.Msg, error) {
		m, err := a.Exchange(ctx, s, q)
		if err == nil && len(m.Answer) > 1 {
			m.Answer = m.Answer[:1]
		}
		return m, err
	}})
	for which, r := range map[string]*dns.Resolver{"whole": resolver(t, a), "one by one": short} {
		if got, err := r.A(t.Context(), "c1.chain.test"); err != nil || len(got.Records) != 1 {
			t.Errorf("%s, eight aliases: %v, %v", which, got, err)
		}
		if _, err := r.A(t.Context(), "c0.chain.test"); verdict(err) != "temporary" {
			t.Errorf("%s, nine aliases: %v", which, err)
		}
	}
}

func TestAnswersLiveAsLongAsTheirTTL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		life time.Duration
		err  string
	}{
		{"mx1.example.test", 300 * time.Second, "found"},
		{"alias.example.test", 100 * time.Second, "found"}, // the alias's is the lesser
		{"long.example.test", 24 * time.Hour, "found"},
		{"flash.example.test", 0, "found"},
		{"mx9.example.test", 60 * time.Second, "no name"}, // the SOA's minimum
		{"example.test", 60 * time.Second, "no record"},
		{"slow.negative.test", time.Hour, "no name"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := authority.New(t, zone, "$ORIGIN negative.test.\n@ 999999 IN SOA ns. h. 1 1 1 1 999999\n")
			r := resolver(t, a)
			asked := func() int {
				t.Helper()
				got, err := r.A(t.Context(), c.name)
				if verdict(err) != c.err {
					t.Fatalf("%s: %v", c.name, err)
				}
				if c.life == 0 || a.Queries(c.name, mdns.TypeA) > 1 {
					return a.Queries(c.name, mdns.TypeA)
				}
				if left := time.Until(got.Expires); left <= 0 || left > c.life {
					t.Errorf("%s expires in %s", c.name, left)
				}
				return a.Queries(c.name, mdns.TypeA)
			}
			asked()
			if c.life > 0 {
				time.Sleep(c.life - time.Millisecond)
				if n := asked(); n != 1 {
					t.Errorf("%s: asked %d times within its life", c.name, n)
				}
				time.Sleep(time.Millisecond)
			}
			if n := asked(); n != 2 {
				t.Errorf("%s: asked %d times after its end, want 2", c.name, n)
			}
		})
	}
}

func TestAnAbsenceWithoutSOAIsNotRemembered(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	a.Behave("*", authority.Behaviour{Answer: func(m *mdns.Msg) { m.Ns = nil }})
	r := resolver(t, a)
	for want := 1; want < 3; want++ {
		if _, err := r.A(t.Context(), "mx9.example.test"); verdict(err) != "no name" || a.Queries("*", mdns.TypeANY) != want {
			t.Errorf("%v after %d questions", err, a.Queries("*", mdns.TypeANY))
		}
	}
}

func TestFailuresAreHeldLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority.New(t, zone)
		a.Behave("mx1.example.test", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
		r := resolver(t, a)
		var gaps []time.Duration
		last, began := 0, time.Now()
		for time.Since(began) < 2*time.Minute {
			_, err := r.A(t.Context(), "mx1.example.test")
			if verdict(err) != "temporary" {
				t.Fatal(err)
			}
			if n := a.Queries("*", mdns.TypeANY); n != last {
				gaps, last = append(gaps, time.Since(began)), n
			}
			time.Sleep(time.Second)
		}
		want := []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second, 65 * time.Second, 95 * time.Second}
		if !slices.Equal(gaps, want) {
			t.Errorf("asked at %v, want %v", gaps, want)
		}
		a.Behave("mx1.example.test", authority.Behaviour{})
		time.Sleep(31 * time.Second)
		if _, err := r.A(t.Context(), "mx1.example.test"); err != nil {
			t.Errorf("after the end of the outage: %v", err)
		}
	})
}

func TestManyWhoAskAtOnceCauseOneQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority.New(t, zone)
		a.Behave("*", authority.Behaviour{Delay: time.Second})
		r := resolver(t, a)
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() { // the first to ask is the first to leave
			_, err := r.A(impatient, "mx1.example.test")
			if verdict(err) != "temporary" || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if got, err := r.A(t.Context(), "mx1.example.test"); err != nil || len(got.Records) != 2 {
					t.Error(got, err)
				}
			})
		}
		all.Wait()
		if n := a.Queries("*", mdns.TypeANY); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestALookUpThatNobodyWaitsForIsCalledOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		r := dns.New(dns.Options{Servers: authority.Names(server), Exchange: func(ctx context.Context, _ string, _ *mdns.Msg) (*mdns.Msg, error) {
			<-ctx.Done()
			ended <- time.Now()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := r.A(ctx, "mx1.example.test"); verdict(err) != "temporary" {
			t.Error(err)
		}
		if took := (<-ended).Sub(began); took != 100*time.Millisecond {
			t.Errorf("the query went on for %s", took)
		}
		// Nothing was learned, so the next who asks makes a query of their own.
		synctest.Wait()
		again, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began = time.Now()
		if _, err := r.A(again, "mx1.example.test"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 300*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestTheWordOfTheServerOnSignaturesIsKept(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	a.Behave("mx1.example.test", authority.Behaviour{Authentic: true})
	r := resolver(t, a)
	for range 2 {
		for name, want := range map[string]bool{"mx1.example.test": true, "mx2.example.test": false, "alias.example.test": false} {
			if got, err := r.Addrs(t.Context(), name); err != nil || got.Authentic != want {
				t.Errorf("%s: authentic %v, %v", name, got.Authentic, err)
			}
		}
	}
}

func TestHalfAnAnswerIsMarkedAsSuch(t *testing.T) {
	t.Parallel()
	a := authority.New(t, zone)
	r := dns.New(dns.Options{Servers: authority.Names(server), Exchange: func(ctx context.Context, s string, q *mdns.Msg) (*mdns.Msg, error) {
		if q.Question[0].Qtype == mdns.TypeAAAA {
			return nil, errors.New("no AAAA today")
		}
		return a.Exchange(ctx, s, q)
	}})
	got, err := r.Addrs(t.Context(), "mx1.example.test")
	if verdict(err) != "temporary" || len(got.Records) != 2 || got.Authentic {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := r.Net().LookupIPAddr(t.Context(), "mx1.example.test"); err == nil {
		t.Error("a judgement would rest on half an answer")
	}
}

func TestCallersMayChangeWhatTheyGet(t *testing.T) {
	t.Parallel()
	r := resolver(t, authority.New(t, zone))
	for range 2 {
		got, err := r.MX(t.Context(), "example.test")
		if err != nil || got.Records[0].Preference != 20 {
			t.Fatal(got, err)
		}
		slices.Reverse(got.Records)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	a := authority.New(t, "$ORIGIN many.test.\n* IN A 192.0.2.1\nkept IN A 192.0.2.2\n")
	const room = 100_000
	r := dns.New(dns.Options{Servers: authority.Names(server), Exchange: a.Exchange, CacheBytes: room})
	for i := range 2000 {
		for _, name := range []string{fmt.Sprintf("n%d.many.test", i), "kept.many.test"} {
			if _, err := r.A(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if used := r.Used(); used > room || used < room/2 {
		t.Errorf("%d octets in use of %d", used, room)
	}
	if n := a.Queries("kept.many.test", mdns.TypeA); n != 1 {
		t.Errorf("what is used all the time was asked %d times", n)
	}
	if _, err := r.A(t.Context(), "n0.many.test"); err != nil || a.Queries("n0.many.test", mdns.TypeA) != 2 {
		t.Errorf("what was not used was kept: %v", err)
	}
}

// Macros of SPF put local parts into names (RFC 7208 §7).
func TestNamesOfPeopleAreAskedForAsTheyAre(t *testing.T) {
	t.Parallel()
	r := resolver(t, authority.New(t, "$ORIGIN example.test.\no\\'brien IN A 192.0.2.1\na\\@b IN A 192.0.2.2\n\\(x\\;\\\"y\\) IN CNAME a\\@b\na\\.b IN A 192.0.2.3\nq IN CNAME o\\'brien\n"))
	for name, want := range map[string]string{"o'brien.example.test": "found", "O'Brien.example.test": "found", "a@b.example.test": "found",
		"o'hara.example.test": "no name", "a.b.example.test": "no name", "q.example.test": "temporary"} {
		for range 2 {
			if _, err := r.A(t.Context(), name); verdict(err) != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}
