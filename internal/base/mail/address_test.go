package mail

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAddressesAreReadInNormalForm(t *testing.T) {
	for _, c := range []struct{ in, out, key string }{
		{"Bob@Example.TEST", "Bob@example.test", "bob@example.test"},
		{`"a b"@example.test`, `"a b"@example.test`, `"a b"@example.test`},
		{`"plain"@example.test`, "plain@example.test", "plain@example.test"},
		{`"a\"b"@example.test`, `"a\"b"@example.test`, `"a\"b"@example.test`},
		{"x@[192.0.2.1]", "x@[192.0.2.1]", "x@[192.0.2.1]"},
		{"x@[ipv6:2001:DB8::1]", "x@[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"},
		{"user@bücher.example", "user@xn--bcher-kva.example", "user@xn--bcher-kva.example"},
		{"用户@例え.test", "用户@xn--r8jz45g.test", "用户@xn--r8jz45g.test"},
		{"ÄPFEL@example.test", "ÄPFEL@example.test", "äpfel@example.test"},
		{"a+b.c!#$%&'*/=?^_`{|}~-@a_b.example", "a+b.c!#$%&'*/=?^_`{|}~-@a_b.example", "a+b.c!#$%&'*/=?^_`{|}~-@a_b.example"},
	} {
		a, err := ParseAddress(c.in)
		if err != nil || a.String() != c.out || a.Key() != c.key {
			t.Errorf("ParseAddress(%q) = %q key %q, %v", c.in, a, a.Key(), err)
		}
	}
}

func TestBadAddressesAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "@", "bob", "bob@", "@example.test", ".bob@example.test", "bob.@example.test", "b..b@example.test",
		"bob@exa mple.test", "bob@-a.test", "bob@a-.test", "bob@a..test", "bob@.test", `""@example.test`, `"a@example.test`,
		"a b@example.test", "a\x00b@example.test", "a@[300.1.1.1]", "a@[2001:db8::1]", "a@[192.0.2.1", "a@example.test>",
		"a@exa\xffmple.test", strings.Repeat("a", MaxAddress-len("@example.test")+1) + "@example.test", "a@" + strings.Repeat("a", 64) + ".test",
		"a@" + strings.Repeat("abcdefghi.", 26) + "test", "a@xn--a.test\r\n", "a@example.test.",
	} {
		if a, err := ParseAddress(s); !errors.Is(err, ErrAddress) {
			t.Errorf("ParseAddress(%q) = %v, %v", s, a, err)
		}
	}
}

// Those who write the recipient into the sender get beyond 64 octets before
// the @ (RFC 5321 §4.5.3.1: no limits where that is possible).
func TestLocalPartsAreAsLongAsTheAddressMayBe(t *testing.T) {
	for _, local := range []string{
		"bounces+12345678-1a2b-firstname.lastname=long-company-name.example", strings.Repeat("a", MaxLocal+1),
		strings.Repeat("a", MaxAddress-len("@example.test")), `"` + strings.Repeat(`\"`, 119) + `"`,
	} {
		a, err := ParseAddress(local + "@example.test")
		if err != nil || a.String() != local+"@example.test" {
			t.Errorf("%s: %v, %v", local, a, err)
		}
		if _, err = ParseLocal(local); err != nil {
			t.Errorf("%s alone: %v", local, err)
		}
	}
	for _, local := range []string{strings.Repeat("a", MaxAddress+1), `"` + strings.Repeat(`\"`, 127) + `"`} {
		if _, err := ParseAddress(local + "@a.test"); !errors.Is(err, ErrLong) || !errors.Is(err, ErrAddress) {
			t.Errorf("%s@a.test: %v", local, err)
		}
		if _, err := ParseLocal(local); !errors.Is(err, ErrLong) {
			t.Errorf("%s alone: %v", local, err)
		}
	}
}

func TestDomainsAreReadInNormalForm(t *testing.T) {
	for in, want := range map[string]string{
		"Example.TEST": "example.test", "bücher.example": "xn--bcher-kva.example", "ＢÜＣＨＥＲ。example": "xn--bcher-kva.example",
		"XN--BCHER-KVA.example": "xn--bcher-kva.example", "[ipv6:2001:DB8::1]": "[IPv6:2001:db8::1]", "[192.0.2.1]": "[192.0.2.1]",
		"": "", "\xff": "", "a\xff.example": "", "b\xc3\xbccher\xc3.example": "", "xn--\xff.example": "", "a..example": "", "example.": "",
		"a\u0000b.example": "", "ü\r\n.example": "", "ü b.example": "", "[IPv6:fe80::1%eth0]": "", "[2001:db8::1]": "", "[192.0.2.1": "",
	} {
		got, err := ParseDomain(in)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrAddress) {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"a.test", "\xff", "bücher.example", "xn--bcher-kva.example", "[IPv6:::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDomain(s)
		if err != nil {
			return
		}
		if again, err := ParseDomain(d); err != nil || again != d || !isASCII(d) || !utf8.ValidString(s) {
			t.Fatalf("%q reads as %q, which reads as %q (%v)", s, d, again, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b.test", `"a\ b"@[IPv6:::1]`, "ü@bücher.example", "a@xn--bcher-kva.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		b, err := ParseAddress(a.String())
		if err != nil || a != b {
			t.Fatalf("%q reads as %q, which reads as %q (%v)", s, a, b, err)
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") {
			t.Fatalf("%q keeps a control character", a)
		}
	})
}

// What is wrong is named, and a domain alone is not called an address.
func TestErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"not a host":   `"not a host" is not a domain name such as example.org: ' ' cannot stand in it`,
		"a..b":         "there is nothing beside one of its dots",
		"-a.example":   "a hyphen stands at the end of a part",
		"":             "it is empty",
		"[192.0.2]":    "is not an address literal such as [192.0.2.1]",
		"xn--\u00fc.x": "is not a domain name",
	} {
		if _, err := ParseDomain(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "mail address") || !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"a b@example.org": `not a mail address: "a b@example.org": ' ' cannot stand before the @`,
		"nobody":          "has no @domain",
		"a@not a host":    `not a mail address: "not a host" is not a domain name`,
	} {
		if _, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
