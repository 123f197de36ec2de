package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
)

var _ Resolver = (*dns.Resolver)(nil)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ask(r Resolver, ip, sender string) Outcome {
	c := Checker{Resolver: r, Receiver: "mx.receiver.test"}
	var a mail.Address
	if sender != "" {
		var err error
		if a, err = mail.ParseAddress(sender); err != nil {
			panic(err)
		}
	}
	return c.CheckMail(context.Background(), Client{IP: netip.MustParseAddr(ip), Helo: "helo.a.test", Now: noon}, a)
}

func TestOutcomeTellsTheDirectiveThatDecided(t *testing.T) {
	t.Parallel()
	z := texts("a.test", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:b.test ?ip4:203.0.113.1 ~ip4:203.0.113.2 -all",
		"b.test", "v=spf1 exists:%{o}.x.test ip4:198.51.100.1 -all",
		"r.test", "v=spf1 ip4:192.0.2.1 redirect=a.test",
		"n.test", "v=spf1 ip4:192.0.2.1",
		"s.test", "v=spf1 redirect=b.test", "w.test", "v=spf1 -exists:%{o}.x.test", "v.test", "v=spf1 redirect=w.test")
	z.hosts("v.test.x.test", "127.0.0.2")
	for _, c := range []struct {
		ip, domain, mechanism string
		result                Result
	}{
		{"192.0.2.7", "a.test", "ip4:192.0.2.0/24", Pass},
		{"::ffff:192.0.2.7", "a.test", "ip4:192.0.2.0/24", Pass},
		{"2001:db8::1", "a.test", "ip6:2001:db8::/32", Pass},
		{"198.51.100.1", "a.test", "include:b.test", Pass},
		{"203.0.113.1", "a.test", "?ip4:203.0.113.1", Neutral},
		{"203.0.113.2", "a.test", "~ip4:203.0.113.2", SoftFail},
		{"203.0.113.3", "a.test", "-all", Fail},
		{"203.0.113.2", "r.test", "~ip4:203.0.113.2", SoftFail},
		{"203.0.113.2", "n.test", "default", Neutral},
		{"203.0.113.2", "s.test", "-all", Fail},
		{"203.0.113.2", "v.test", "-exists:%{o}.x.test", Fail}, // %{o} stays the sender's domain
	} {
		if o := ask(z, c.ip, "u@"+c.domain); o.Result != c.result || o.Mechanism != c.mechanism || o.Identity != MailFrom || o.Err != nil {
			t.Errorf("%s for %s: %+v, want %s by %s", c.ip, c.domain, o, c.result, c.mechanism)
		}
	}
}

func TestNullSenderIsJudgedByTheHeloName(t *testing.T) {
	t.Parallel()
	z := texts("helo.a.test", "v=spf1 -exists:%{l}.%{o}.x.test +all")
	z.hosts("postmaster.helo.a.test.x.test", "127.0.0.2")
	o := ask(z, "192.0.2.1", "")
	if o.Result != Fail || o.Identity != Helo || o.Sender != "postmaster@helo.a.test" || o.Domain != "helo.a.test" {
		t.Errorf("%+v", o)
	}
}

func TestHeloThatIsNoDomainIsNotJudged(t *testing.T) {
	t.Parallel()
	c := Checker{Resolver: zone{}}
	for _, helo := range []string{"", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]", "a..test", "a\r\nb.test", strings.Repeat("a", 64) + ".test", "\xff.test"} {
		if o := c.CheckHelo(context.Background(), Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo, Now: noon}); o.Result != None || !errors.Is(o.Err, ErrNoDomain) {
			t.Errorf("%q: %+v", helo, o)
		}
	}
}

func TestLookupsAreLimited(t *testing.T) {
	t.Parallel()
	ten := "v=spf1" + strings.Repeat(" a:hit.test", 10)
	z := texts("ten.test", ten+" -all", "eleven.test", ten+" a:hit.test -all",
		"void2.test", "v=spf1 a:no1.test a:no2.test -all", "void3.test", "v=spf1 a:no1.test a:no2.test a:no3.test -all",
		"loop.test", "v=spf1 include:loop.test -all", "turn.test", "v=spf1 redirect=turn.test")
	z.hosts("hit.test", "192.0.2.2")
	for domain, want := range map[string]Result{"ten.test": Fail, "eleven.test": PermError, "void2.test": Fail, "void3.test": PermError,
		"loop.test": PermError, "turn.test": PermError} {
		o := ask(z, "192.0.2.1", "u@"+domain)
		if o.Result != want || (want == PermError) != errors.Is(o.Err, ErrTooMany) {
			t.Errorf("%s: %+v, want %s", domain, o, want)
		}
	}
}

// A record made for IPv4 is not broken because a client has IPv6.
func TestHostsWithoutIPv6AreNoVoidLookups(t *testing.T) {
	t.Parallel()
	z := texts("a.test", "v=spf1 a:h1.test a:h2.test a:h3.test -all", "b.test", "v=spf1 a:no1.test a:no2.test a:no3.test -all").
		hosts("h1.test", "192.0.2.1", "h2.test", "192.0.2.2", "h3.test", "192.0.2.3")
	if o := ask(z, "2001:db8::1", "u@a.test"); o.Result != Fail {
		t.Errorf("hosts with IPv4: %+v", o)
	}
	if o := ask(z, "2001:db8::1", "u@b.test"); !errors.Is(o.Err, ErrTooMany) {
		t.Errorf("no hosts: %+v", o)
	}
}

// A client's kind of address is the only one asked for: a name server that
// cannot answer for the other does no harm.
func TestOnlyTheClientsKindOfAddressMatters(t *testing.T) {
	t.Parallel()
	z := texts("a.test", "v=spf1 a:h.test mx:m.test -all").hosts("h.test", "192.0.2.1")
	z.at("m.test").mx = []dns.MX{{Host: "h.test"}}
	if o := ask(deaf{z}, "192.0.2.1", "u@a.test"); o.Result != Pass {
		t.Errorf("%+v", o)
	}
	if o := ask(deaf{z}, "2001:db8::1", "u@a.test"); o.Result != TempError {
		t.Errorf("%+v", o)
	}
}

// deaf cannot answer for IPv6.
type deaf struct{ zone }

func (deaf) AAAA(context.Context, string) (dns.Addrs, error) { return dns.Addrs{}, dns.ErrTemporary }

func TestUnusualNamesAreJudged(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("y", 56), "test"}, ".") // 253 octets
	z := texts("_spf.under_score.test", "v=spf1 ip4:192.0.2.1 -all", "u.test", "v=spf1 include:_spf.under_score.test -all",
		"xn--bcher-kva.test", "v=spf1 include:%{o}.x.test -all", "xn--bcher-kva.test.x.test", "v=spf1 ip4:192.0.2.1 -all",
		"idn.test", "v=spf1 include:b\xc3\xbccher.test -all", long, "v=spf1 ip4:192.0.2.1 -all",
		"i.test", "v=spf1 include:%{l}.test ip4:192.0.2.1 -all", "one.test", "v=spf1 include:%{l} -all", "turn.test", "v=spf1 redirect=%{l}.test")
	for _, c := range []struct {
		sender string
		result Result
		err    error
	}{
		{"u@u.test", Pass, nil},
		{"u@b\u00fccher.test", Pass, nil},    // asked for in A-labels
		{"u@idn.test", PermError, ErrSyntax}, // RFC 7208 §4.3: A-labels in records
		{"\u00fc@i.test", Pass, nil},         // RFC 8616 §4: no match, no error
		{"\u00fc@turn.test", PermError, ErrDangling},
		{"test@one.test", PermError, ErrDangling}, // one label
	} {
		if o := ask(z, "192.0.2.1", c.sender); o.Result != c.result || !errors.Is(o.Err, c.err) {
			t.Errorf("%s: %+v", c.sender, o)
		}
	}
	c := Checker{Resolver: z}
	client := Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: long, Now: noon}
	if o := c.CheckHelo(context.Background(), client); o.Result != Pass {
		t.Errorf("253 octets: %+v", o)
	}
	client.Helo = "z" + long
	if o := c.CheckHelo(context.Background(), client); o.Result != None || !errors.Is(o.Err, ErrNoDomain) {
		t.Errorf("254 octets: %+v", o)
	}
}

func TestExplanationIsOfTheRecordThatRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxExplanation+1)
	z := texts("a.test", "v=spf1 -all exp=why.%{d}", "why.a.test", "%{i} may not send for %{o}, said %{r} at %{t}%_to %{h}",
		"r.test", "v=spf1 redirect=a.test exp=other.test", "other.test", "wrong",
		"i.test", "v=spf1 include:a.test -all", // the explanation of an included record is not ours
		"long.test", "v=spf1 -all exp=l.test", "l.test", long,
		"two.test", "v=spf1 -all exp=t.test", "t.test", "one", "t.test", "two",
		"raw.test", "v=spf1 -all exp=n.test", "n.test", "h\xc3\xa4", "crlf.test", "v=spf1 -all exp=c.test", "c.test", "a\r\nb",
		"bad.test", "v=spf1 -all exp=b.test", "b.test", "%{z}", "gone.test", "v=spf1 -all exp=nowhere.test",
		"soft.test", "v=spf1 ~all exp=why.a.test", "bomb.test", "v=spf1 -all exp=x.test", "x.test", strings.Repeat("%{h}", 2000))
	for domain, want := range map[string]string{
		"a.test": "192.0.2.1 may not send for a.test, said mx.receiver.test at 1772366400 to helo.a.test",
		"r.test": "192.0.2.1 may not send for r.test, said mx.receiver.test at 1772366400 to helo.a.test",
		"i.test": "", "long.test": "", "two.test": "", "raw.test": "", "crlf.test": "", "bad.test": "", "gone.test": "", "soft.test": "", "bomb.test": "",
	} {
		if o := ask(z, "192.0.2.1", "u@"+domain); o.Explanation != want || o.Result != Fail && domain != "soft.test" {
			t.Errorf("%s: %+v, want %q", domain, o, want)
		}
	}
}

func TestExplanationCarriesNothingTheClientPlanted(t *testing.T) {
	t.Parallel()
	z := texts("a.test", "v=spf1 -all exp=why.test", "why.test", "%{h} %{l}")
	c := Checker{Resolver: z}
	o := c.CheckMail(context.Background(), Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x\r\n250 ok\x00é", Now: noon}, mail.Address{Local: "ü@b", Domain: "a.test"})
	if o.Explanation != "x??250 ok?? ?@b" {
		t.Errorf("%q", o.Explanation)
	}
}

// broken fails from the n-th look-up on.
type broken struct {
	zone
	n   *int
	err error
}

func (b broken) fails() bool { *b.n--; return *b.n < 0 }

func (b broken) TXT(ctx context.Context, name string) (dns.Answer[string], error) {
	if b.fails() {
		return dns.Answer[string]{}, b.err
	}
	return b.zone.TXT(ctx, name)
}

func (b broken) A(ctx context.Context, name string) (dns.Addrs, error) {
	if b.fails() {
		return dns.Addrs{}, b.err
	}
	return b.zone.A(ctx, name)
}

func TestFailureOfDNSIsNeverFinal(t *testing.T) {
	t.Parallel()
	z := texts("a.test", "v=spf1 a:h.test include:b.test -all exp=why.test", "b.test", "v=spf1 -all", "why.test", "because")
	z.hosts("h.test", "192.0.2.9")
	for _, err := range []error{errors.New("anything"), dns.ErrTemporary, context.DeadlineExceeded} {
		for n := range 3 {
			left := n
			if o := ask(broken{z, &left, err}, "192.0.2.1", "u@a.test"); o.Result != TempError || o.Explanation != "" || o.Mechanism != "" || !errors.Is(o.Err, err) {
				t.Errorf("look-up %d: %v: %+v", n, err, o)
			}
		}
		left := 3
		if o := ask(broken{z, &left, err}, "192.0.2.1", "u@a.test"); o.Result != Fail || o.Explanation != "" {
			t.Errorf("without explanation: %+v", o)
		}
	}
}

// silent never answers.
type silent struct{ zone }

func (silent) TXT(ctx context.Context, _ string) (dns.Answer[string], error) {
	<-ctx.Done()
	return dns.Answer[string]{}, ctx.Err()
}

func TestSilentServersEndTheCheckAtItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if o := ask(silent{}, "192.0.2.1", "u@a.test"); o.Result != TempError || time.Since(began) != DefaultTimeout {
			t.Errorf("%+v after %v", o, time.Since(began))
		}
	})
}

func TestClientWithoutAddressIsNotJudged(t *testing.T) {
	t.Parallel()
	c := Checker{Resolver: zone{}}
	if o := c.CheckMail(context.Background(), Client{}, mail.Address{Local: "u", Domain: "a.test"}); o.Result != None || !errors.Is(o.Err, ErrClient) {
		t.Errorf("%+v", o)
	}
}

func TestFieldIsFoldedAndHoldsNoOther(t *testing.T) {
	t.Parallel()
	o := Outcome{Result: Fail, Identity: MailFrom, Sender: `a"b c@a.test`, Domain: "a.test", Mechanism: "-all"}
	client := Client{IP: netip.MustParseAddr("2001:db8::1"), Helo: "x\r\nSubject: y"}
	want := "Received-SPF: fail\r\n\treceiver=mx.test;\r\n\tidentity=mailfrom;\r\n\tclient-ip=\"2001:db8::1\";\r\n" +
		"\tenvelope-from=\"a\\\"b c@a.test\";\r\n\thelo=\"x??Subject: y\";\r\n\tmechanism=-all\r\n"
	if got := o.Field("mx.test", client); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	o = Outcome{Result: TempError, Identity: Helo, Sender: "postmaster@a.test", Err: errors.New("spf: a\r\nb" + strings.Repeat("ü", 999))}
	got := o.Field("mx.test", client)
	if strings.Contains(got, "envelope-from") || !strings.Contains(got, "\r\n\tproblem=\"spf: a??b") || strings.Count(got, "\r\n") != 6 {
		t.Errorf("%q", got)
	}
	for line := range strings.SplitSeq(got, "\r\n") {
		if len(line) > 998 {
			t.Errorf("line of %d octets", len(line))
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=spf1", "v=spf1 a mx/24//64 ptr:b.test ~all", "v=spf1 exists:%{ir}.%{v}._spf.%{d2} redirect=%{o}", "v=spf1 exp=%{l1r-}.a.test -all x=%{", "v=spf1 ip4:1.2.3.4/33"} {
		f.Add(s, "u", "h.test")
	}
	f.Fuzz(func(t *testing.T, text, local, helo string) {
		if !isRecord(text) {
			return
		}
		_, err := parseRecord("a.test", text)
		z := texts("a.test", text, "h.test", "%{c} %{h}").hosts("h.test", "192.0.2.1")
		c := Checker{Resolver: z}
		client := Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo, Now: noon}
		o := c.CheckMail(context.Background(), client, mail.Address{Local: local, Domain: "a.test"})
		if err != nil && o.Result != PermError || o.Result == "" || (o.Err == nil) != (o.Mechanism != "") {
			t.Fatalf("%q (%v): %+v", text, err, o)
		}
		if strings.ContainsFunc(o.Explanation, unprintable) || len(o.Explanation) > MaxExplanation || strings.ContainsFunc(o.Mechanism, unprintable) {
			t.Fatalf("%q: %+v", text, o)
		}
		field := o.Field("mx.test", client)
		if body := strings.TrimSuffix(strings.ReplaceAll(field, "\r\n\t", ""), "\r\n"); strings.ContainsAny(body, "\r\n\x00") {
			t.Fatalf("%q", field)
		}
	})
}
