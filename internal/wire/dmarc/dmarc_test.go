package dmarc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/dns"
)

var _ Resolver = dns.Net{}

// zone holds TXT records by name; "exists NAME" gives a name an address.
type zone map[string][]string

var errServer = &net.DNSError{Err: "SERVFAIL", IsTemporary: true}

func (z zone) get(name string) ([]string, error) {
	l := z[strings.ToLower(name)]
	switch {
	case len(l) == 0:
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	case l[0] == "SERVFAIL":
		return nil, errServer
	}
	return l, nil
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) { return z.get(name) }

func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	_, err := z.get("mx " + name)
	return []*net.MX{{Host: "mx.test."}}[:min(1, len(z["mx "+strings.ToLower(name)]))], err
}

func (z zone) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	_, err := z.get("exists " + name)
	if err != nil {
		return nil, err
	}
	return []net.IPAddr{{IP: net.ParseIP("192.0.2.1")}}, nil
}

func passed(domain string) Identity { return Identity{Domain: domain, Pass: true} }

// TestAppendixBOfRFC7489 holds the examples of RFC 7489 appendix B.1 and the
// records of B.2.
func TestAppendixBOfRFC7489(t *testing.T) {
	t.Parallel()
	relaxed, strict := "v=DMARC1; p=reject", "v=DMARC1; p=reject; aspf=s; adkim=s"
	for _, c := range []struct {
		name, from, spf, dkim string
		relaxed, strict       Result
	}{
		{"B.1.1 example 1", "example.com", "example.com", "", Pass, Pass},
		{"B.1.1 example 2", "example.com", "child.example.com", "", Pass, Fail},
		{"B.1.1 example 3", "child.example.com", "example.net", "", Fail, Fail},
		{"B.1.2 example 1", "example.com", "", "example.com", Pass, Pass},
		{"B.1.2 example 2", "child.example.com", "", "example.com", Pass, Fail},
		{"B.1.2 example 3", "child.example.com", "", "sample.net", Fail, Fail},
	} {
		for record, want := range map[string]Result{relaxed: c.relaxed, strict: c.strict} {
			z := zone{"_dmarc.example.com": {record}}
			m := Message{Authors: []string{c.from}, SPF: passed(c.spf), DKIM: []Identity{passed(c.dkim)}}
			o := (&Checker{Resolver: z}).Check(context.Background(), m)
			if o.Result != want || (o.Action == PolicyReject) != (want == Fail) || o.Organization != "example.com" || o.Publisher != "example.com" {
				t.Errorf("%s with %s: %+v, want %s", c.name, record, o, want)
			}
		}
	}
	for record, check := range map[string]func(*Record) bool{
		"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com": func(r *Record) bool {
			return r.Policy == PolicyNone && slices.Equal(r.AggregateTo, []Destination{{URI: "mailto:dmarc-feedback@example.com"}}) && r.FailureTo == nil
		},
		"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com": func(r *Record) bool {
			return len(r.AggregateTo) == 1 && slices.Equal(r.FailureTo, []Destination{{URI: "mailto:auth-reports@example.com"}})
		},
		"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@thirdparty.example.net": func(r *Record) bool {
			return slices.Equal(r.FailureTo, []Destination{{URI: "mailto:auth-reports@thirdparty.example.net"}})
		},
		"v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net!10m; pct=25": func(r *Record) bool {
			return r.Policy == PolicyQuarantine && r.Percent == 25 && len(r.AggregateTo) == 2 && r.AggregateTo[1] == Destination{"mailto:tld-test@thirdparty.example.net", 10 << 20}
		},
	} {
		if r, err := ParseRecord(record); err != nil || !check(r) {
			t.Errorf("%s: %+v, %v", record, r, err)
		}
	}
}

func TestRecordsAreReadWithTolerance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"v=DMARC1;p=reject", "reject reject reject r r 100 24h0m0s [0] 0"},
		{" v = DMARC1 ; p = Reject ; sp=NONE;;", "reject none none r r 100 24h0m0s [0] 0"},
		{"v=DMARC1; p=reject; np=quarantine; adkim=S; aspf=s; pct=0; ri=3600; fo=1:d:s", "reject reject quarantine s s 0 1h0m0s [1 d s] 0"},
		{"v=DMARC1; p=reject; adkim=x; aspf=; pct=101; ri=-1; fo=z", "reject reject reject r r 100 24h0m0s [0] 0"},
		{"v=DMARC1; p=reject; pct=ten; unknown=x; garbage; =y", "reject reject reject r r 100 24h0m0s [0] 0"},
		{"v=DMARC1; sp=reject; rua=mailto:a@b.test", "none none none r r 100 24h0m0s [0] 1"},
		{"v=DMARC1; p=bogus; rua=mailto:a@b.test", "none none none r r 100 24h0m0s [0] 1"},
		{"v=DMARC1; p=reject; sp=bogus; rua=mailto:a@b.test", "none none none r r 100 24h0m0s [0] 1"},
		{"v=DMARC1; p=none; rua=mailto:a@b.test, https://x.test/r!5k ,junk,mailto:,mailto:c@d.test!x,mailto:e f@d.test", "none none none r r 100 24h0m0s [0] 2"},
		{"v=DMARC1; p=bogus", "bad"}, {"v=DMARC1", "bad"}, {"v=DMARC1; p=reject; p=none", "bad"}, {"v=DMARC1; p=reject; sp=x", "bad"},
		{"v=DMARC1; p=none; x=" + strings.Repeat("x", maxRecord), "bad"}, {"v=DMARC1; p=bogus; rua=junk", "bad"},
		{"v=dmarc1; p=reject", "other"}, {"v=DMARC2; p=reject", "other"}, {"p=reject; v=DMARC1", "other"}, {"v=spf1 -all", "other"}, {"", "other"}, {"v=DMARC10;p=none", "other"},
	} {
		r, err := ParseRecord(c.in)
		got := "other"
		switch {
		case errors.Is(err, ErrRecord):
			got = "bad"
		case err == nil:
			got = fmt.Sprint(r.Policy, " ", r.Subdomain, " ", r.Nonexistent, " ", r.DKIM, " ", r.SPF, " ", r.Percent, " ", r.Interval, " ", r.FailureOptions, " ", len(r.AggregateTo))
		}
		if got != c.want {
			t.Errorf("%q: %s (%v), want %s", c.in, got, err, c.want)
		}
	}
}

func TestRecordIsFoundWhereTheStandardLooks(t *testing.T) {
	t.Parallel()
	z := zone{
		"_dmarc.a.test": {"v=DMARC1; p=reject; sp=quarantine; np=none"}, "_dmarc.own.a.test": {"v=DMARC1; p=none"},
		"exists real.a.test": {"x"}, "mx mailed.a.test": {"x"}, "exists broken.a.test": {"SERVFAIL"}, "mx half.a.test": {"SERVFAIL"},
		"_dmarc.b.test": {"v=spf1 -all", "v=DMARC1; p=reject", "text"}, "_dmarc.two.test": {"v=DMARC1; p=reject", "v=DMARC1; p=none"},
		"_dmarc.several.a.test": {"v=DMARC1; p=reject", "v=DMARC1; p=none"},
		"_dmarc.bad.test":       {"v=DMARC1; p=maybe"}, "_dmarc.down.test": {"SERVFAIL"}, "_dmarc.a.co.uk": {"v=DMARC1; p=reject"},
		"_dmarc.co.uk": {"v=DMARC1; p=quarantine"},
	}
	for author, want := range map[string]string{
		"a.test": "fail reject reject a.test", "own.a.test": "fail none none own.a.test", "deep.own.a.test": "fail none none a.test",
		"real.a.test": "fail quarantine quarantine a.test", "mailed.a.test": "fail quarantine quarantine a.test", "gone.a.test": "fail none none a.test",
		"broken.a.test": "temperror none none a.test", "half.a.test": "temperror none none a.test",
		"b.test": "fail reject reject b.test", "two.test": "none none none ", "several.a.test": "none none none ", "bad.test": "permerror none none bad.test",
		"down.test": "temperror none none down.test", "x.down.test": "temperror none none down.test", "none.test": "none none none ",
		"x.a.co.uk": "fail reject reject a.co.uk", "other.co.uk": "none none none ", "co.uk": "fail quarantine quarantine co.uk", "[192.0.2.1]": "none none none ",
	} {
		o := (&Checker{Resolver: z}).Check(context.Background(), Message{Authors: []string{author}, SPF: passed("evil.example")})
		if got := fmt.Sprint(o.Result, " ", o.Policy, " ", o.Action, " ", o.Publisher); got != want || (o.Err != nil) != (o.Result == TempError || o.Result == PermError) {
			t.Errorf("%s: %s (%v), want %s", author, got, o.Err, want)
		}
	}
}

func TestPublicSuffixesAreNotAligned(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.a.co.uk": {"v=DMARC1; p=reject"}, "_dmarc.a.github.io": {"v=DMARC1; p=reject"}}
	for _, c := range []struct {
		author, signer string
		want           Result
	}{{"a.co.uk", "b.co.uk", Fail}, {"a.co.uk", "co.uk", Fail}, {"a.co.uk", "uk", Fail}, {"a.co.uk", "x.a.co.uk", Pass}, {"a.github.io", "b.github.io", Fail},
		{"a.co.uk", "xa.co.uk", Fail}, {"a.co.uk", "", Fail}, {"a.co.uk", "[192.0.2.1]", Fail}} {
		o := (&Checker{Resolver: z}).Check(context.Background(), Message{Authors: []string{c.author}, DKIM: []Identity{passed(c.signer)}})
		if o.Result != c.want {
			t.Errorf("%s signed by %s: %+v", c.author, c.signer, o)
		}
	}
}

func TestFailuresOfAuthenticationDecide(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.a.test": {"v=DMARC1; p=reject"}}
	unknown := Identity{Domain: "a.test", Temporary: true}
	for name, c := range map[string]struct {
		m    Message
		want Result
	}{
		"nothing":                    {Message{}, Fail},
		"SPF failed":                 {Message{SPF: Identity{Domain: "a.test"}}, Fail},
		"SPF not known":              {Message{SPF: unknown}, TempError},
		"SPF not known, DKIM passed": {Message{SPF: unknown, DKIM: []Identity{passed("x.a.test")}}, Pass},
		"DKIM not known":             {Message{SPF: passed("b.test"), DKIM: []Identity{unknown}}, TempError},
		"stranger not known":         {Message{SPF: Identity{Domain: "b.test", Temporary: true}}, Fail},
		"second signature":           {Message{DKIM: []Identity{passed("b.test"), {Domain: "a.test"}, passed("a.test")}}, Pass},
		"signature out of bounds":    {Message{DKIM: append(make([]Identity, MaxIdentities), passed("a.test"))}, Fail},
	} {
		c.m.Authors = []string{"a.test"}
		o := (&Checker{Resolver: z}).Check(context.Background(), c.m)
		if o.Result != c.want || (o.Action == PolicyReject) != (c.want == Fail) || o.Policy != PolicyReject {
			t.Errorf("%s: %+v, want %s", name, o, c.want)
		}
	}
}

func TestSamplingLowersTheActionByOneStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		record string
		random int
		want   Policy
	}{
		{"p=reject; pct=25", 24, PolicyReject}, {"p=reject; pct=25", 25, PolicyQuarantine}, {"p=quarantine; pct=25", 99, PolicyNone},
		{"p=reject; pct=0", 0, PolicyQuarantine}, {"p=reject", 99, PolicyReject}, {"p=none; pct=0", 5, PolicyNone}, {"p=reject; t=y", 5, PolicyReject},
	} {
		z := zone{"_dmarc.a.test": {"v=DMARC1; " + c.record}}
		o := (&Checker{Resolver: z, Random: func() int { return c.random }}).Check(context.Background(), Message{Authors: []string{"a.test"}})
		if o.Action != c.want || o.Sampled != (o.Action != o.Policy) || o.Result != Fail {
			t.Errorf("%s at %d: %+v, want %s", c.record, c.random, o, c.want)
		}
	}
	z := zone{"_dmarc.a.test": {"v=DMARC1; p=reject; pct=0"}, "_dmarc.b.test": {"v=DMARC1; p=reject; t=y"}}
	for domain, want := range map[string]Policy{"a.test": PolicyReject, "b.test": PolicyQuarantine} {
		o := (&Checker{Resolver: z, TreeWalk: true, Random: func() int { return 99 }}).Check(context.Background(), Message{Authors: []string{domain}})
		if o.Action != want {
			t.Errorf("tree walk at %s: %+v", domain, o)
		}
	}
}

func TestSeveralAuthorsFareAsTheWorst(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.a.test": {"v=DMARC1; p=quarantine"}, "_dmarc.b.test": {"v=DMARC1; p=reject"}, "_dmarc.c.test": {"v=DMARC1; p=none"}}
	for authors, want := range map[string]string{
		"a.test a.test": "pass a.test none", "a.test b.test": "fail b.test reject", "c.test b.test a.test": "fail b.test reject",
		"a.test c.test": "fail c.test none", "a.test z.test": "none z.test none", "": "permerror  none", "a.test ": "permerror  none",
		"a b c d e f g h i": "permerror  none",
	} {
		var list []string
		if authors != "" {
			list = strings.Split(authors, " ")
		}
		before := slices.Clone(list)
		o := (&Checker{Resolver: z}).Check(context.Background(), Message{Authors: list, SPF: passed("a.test")})
		if got := fmt.Sprint(o.Result, " ", o.Author, " ", o.Action); got != want || !slices.Equal(list, before) {
			t.Errorf("%q: %s, want %s", authors, got, want)
		}
	}
}

func TestTreeWalkAsksNothingForStrangersSignatures(t *testing.T) {
	t.Parallel()
	z := &counter{zone: zone{"_dmarc.a.test": {"v=DMARC1; p=reject"}}}
	m := Message{Authors: []string{"a.test"}}
	for i := range MaxIdentities {
		m.DKIM = append(m.DKIM, passed(fmt.Sprintf("x%d.b.c.d.e.test", i)))
	}
	if o := (&Checker{Resolver: z, TreeWalk: true}).Check(context.Background(), m); o.Result != Fail || z.n != 2 {
		t.Errorf("%+v after %d look-ups", o, z.n)
	}
}

func TestOwnRecordDecidesWhileTheParentIsDown(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.a.test": {"v=DMARC1; p=reject"}, "_dmarc.test": {"SERVFAIL"}}
	for signer, want := range map[string]Result{"a.test": Pass, "x.a.test": TempError} {
		o := (&Checker{Resolver: z, TreeWalk: true}).Check(context.Background(), Message{Authors: []string{"a.test"}, DKIM: []Identity{passed(signer)}})
		if o.Result != want || o.Publisher != "a.test" {
			t.Errorf("signed by %s: %+v, want %s", signer, o, want)
		}
	}
}

func TestTreeWalkFindsRecordAndOrganization(t *testing.T) {
	t.Parallel()
	z := zone{
		"_dmarc.a.test": {"v=DMARC1; p=reject; sp=quarantine"}, "_dmarc.dept.a.test": {"v=DMARC1; p=none; psd=n"},
		"_dmarc.bank": {"v=DMARC1; p=reject; np=reject; sp=quarantine; psd=y"}, "_dmarc.own.bank": {"v=DMARC1; p=none"},
		"_dmarc.down.test": {"SERVFAIL"}, "_dmarc.two.a.test": {"v=DMARC1; p=none", "v=DMARC1; p=reject"}, "exists x.bank": {"x"},
	}
	for author, want := range map[string]string{
		"a.test": "fail reject a.test a.test", "x.a.test": "fail quarantine a.test a.test", "x.dept.a.test": "fail none dept.a.test dept.a.test",
		"two.a.test": "fail quarantine a.test a.test", "x.bank": "fail quarantine bank x.bank", "y.own.bank": "fail none own.bank own.bank",
		"z.y.bank": "fail reject bank y.bank", "bank": "fail reject bank bank", "nothing.test": "none none  nothing.test", "x.down.test": "temperror none  x.down.test",
		"a.b.c.d.e.f.g.h.i.j.k.l.a.test": "fail quarantine a.test a.test",
	} {
		counted := &counter{zone: z}
		o := (&Checker{Resolver: counted, TreeWalk: true}).Check(context.Background(), Message{Authors: []string{author}})
		if got := fmt.Sprint(o.Result, " ", o.Policy, " ", o.Publisher, " ", o.Organization); got != want {
			t.Errorf("%s: %s (%v), want %s", author, got, o.Err, want)
		}
		if counted.n > maxWalk {
			t.Errorf("%s: %d look-ups", author, counted.n)
		}
	}
	for signer, want := range map[string]Result{"y.a.test": Pass, "a.test": Pass, "dept.a.test": Fail, "own.bank": Fail, "x.down.test": Fail} {
		o := (&Checker{Resolver: z, TreeWalk: true}).Check(context.Background(), Message{Authors: []string{"x.a.test"}, DKIM: []Identity{passed(signer)}})
		if o.Result != want {
			t.Errorf("signed by %s: %+v, want %s", signer, o, want)
		}
	}
}

type counter struct {
	zone
	n int
}

func (c *counter) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.n++
	return c.zone.LookupTXT(ctx, name)
}

func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=reject", "v=DMARC1; p=none; rua=mailto:a@b.test!10m,https://c.test; pct=5; fo=1:d; psd=y; t=y", "v = DMARC1;;=;p=;sp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecord(s)
		if (r == nil) != (err != nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil {
			return
		}
		for _, p := range []Policy{r.Policy, r.Subdomain, r.Nonexistent} {
			if p != PolicyNone && p != PolicyQuarantine && p != PolicyReject {
				t.Fatalf("%q: policy %q", s, p)
			}
		}
		if r.Percent < 0 || r.Percent > 100 || r.Interval < 0 || r.Interval > 1<<31*time.Second {
			t.Fatalf("%q: %+v", s, r)
		}
		for _, d := range append(r.AggregateTo, r.FailureTo...) {
			if d.Limit < 0 || strings.ContainsAny(d.URI, "\r\n\x00 ,!") {
				t.Fatalf("%q: %+v", s, d)
			}
		}
	})
}
