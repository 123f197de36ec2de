package spf

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestRecordsAreReadByTheGrammar(t *testing.T) {
	t.Parallel()
	for _, terms := range []string{
		"", " ", "ALL", "  a  mx ", "a:b.test/24//64", "a/0//0", "A//128", "mx:a.test.", "ip4:1.2.3.4/0", "ip4:1.2.3.4", "ip6:::/0", "ip6:::1", "IP6:::FFFF:1.2.3.4/96",
		"exists:%{i}", "exists:%{L1R+-}.%{d}%%", "include:a.b-c", "ptr", "ptr:%{h}", "redirect=%{d2}", "exp=a.test", "REDIRECT=a.test EXP=b.test", "unknown=", "x.y-z_1=%{l}%_",
		"a:foo:bar/baz.test", "a:b.test/33.test", "?a ~mx +ptr -all", "a:" + strings.Repeat("x", 3000) + ".test",
	} {
		if _, err := parseRecord("a.test", "v=spf1 "+terms); err != nil {
			t.Errorf("%q: %v", terms, err)
		}
	}
	for _, terms := range []string{
		"all:", "all:a.test", "all/24", "a/", "a/33", "a/024", "a/+4", "a//129", "a/24/64", "a:/24", "a:", "a:b", "a:b.1", "a:b.-x", "a:b.x-", "a:.", "a:..", "a24",
		"ip4", "ip4:", "ip4:1.2.3", "ip4:1.2.3.4/33", "ip4:1.2.3.4/", "ip4:1.2.3.4/08", "ip4:::1", "ip4/24", "ip6:1.2.3.4", "ip6:::1/129", "ip6:fe80::1%eth0", "ip6::",
		"include", "include:", "include/24", "exists", "exists:", "exists:/24", "ptr/24", "ptr:", "redirect=", "redirect=a.test redirect=b.test", "exp=a.test exp=a.test", "exp=",
		"%", "a:%", "a:%{", "a:%{}", "a:%{x}", "a:%{c}", "a:%{r}.a.test", "a:%{d0}", "a:%{d99999999999999999999}", "a:%{dr2}", "a:%{d!}", "a:%a.test", "a:%{1}", "x=%{z}", "x=%",
		"-", "+-all", "--all", "=x", "1=x", "foo", "foo:bar.test", "a:b.test\t", "a\x00", "a:b\x7f.test", "x=\xff", "v=spf1 include", strings.Repeat("a ", maxRecord),
	} {
		if r, err := parseRecord("a.test", "v=spf1 "+terms); !errors.Is(err, ErrSyntax) || r != nil {
			t.Errorf("%.60q: %v, %+v", terms, err, r)
		}
	}
}

func TestOnlySPFRecordsAreTakenForSome(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"v=spf1": true, "V=Spf1 -all": true, "v=spf1  ": true, "": false, "v=spf10": false, "v=spf1-all": false, "v=spf1\t-all": false,
		" v=spf1": false, "v=spf": false, "spf2.0/pra -all": false, "\"v=spf1\"": false} {
		if isRecord(text) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}

// RFC 7208 §7.4.
func TestMacrosExpandAsInTheExamples(t *testing.T) {
	t.Parallel()
	e := evaluation{ip: netip.MustParseAddr("192.0.2.3"), sender: "strong-bad@email.example.com", helo: "h.test", receiver: "unknown", now: noon}
	six := e
	six.ip = netip.MustParseAddr("2001:db8::cb01")
	for text, want := range map[string]string{
		"%{s}": "strong-bad@email.example.com", "%{o}": "email.example.com", "%{d}": "email.example.com", "%{d4}": "email.example.com", "%{d3}": "email.example.com",
		"%{d2}": "example.com", "%{d1}": "com", "%{dr}": "com.example.email", "%{d2r}": "example.email", "%{l}": "strong-bad", "%{l-}": "strong.bad", "%{lr}": "strong-bad",
		"%{lr-}": "bad.strong", "%{l1r-}": "strong", "%{ir}.%{v}._spf.%{d2}": "3.2.0.192.in-addr._spf.example.com", "%{lr-}.lp._spf.%{d2}": "bad.strong.lp._spf.example.com",
		"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}": "bad.strong.lp.3.2.0.192.in-addr._spf.example.com", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}": "3.2.0.192.in-addr.strong.lp._spf.example.com",
		"%{d2}.trusted-domains.example.net": "example.com.trusted-domains.example.net", "a%%b%_c%-d": "a%b c%20d", "%{S}": "strong-bad%40email.example.com", "%{h}": "h.test",
		"": "", "%{t}": "1772366400", "%{c}": "192.0.2.3", "%{r}": "unknown",
	} {
		p, ok := parseTemplate(text, explanationLetters)
		if got, err := e.expand(p, "email.example.com"); !ok || got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	p, _ := parseTemplate("%{ir}.%{v}._spf.%{d2} %{c}", explanationLetters)
	want := "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com 2001:db8::cb01"
	if got, err := six.expand(p, "email.example.com"); got != want || err != nil {
		t.Errorf("IPv6: %q, %v", got, err)
	}
}
