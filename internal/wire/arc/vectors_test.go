package arc_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/dkim"
)

// flip changes a letter of the signature (b=, which stands last) in the first
// field that begins so.
func flip(begin string) func(string) string {
	return func(text string) string {
		list, rest := fields(text)
		for i, f := range list {
			if !strings.HasPrefix(f, begin) {
				continue
			}
			at := len(f) - 10
			for f[at] <= ' ' || f[at] == '=' {
				at--
			}
			other := "A"
			if f[at] == other[0] {
				other = "B"
			}
			list[i] = f[:at] + other + f[at+1:]
			return strings.Join(list, "") + rest
		}
		return text
	}
}

// vouch adds a set that calls the chain right as it was before somebody broke it:
// what a host does that lies or does not look.
func vouch(t *testing.T, domain, good, broken string) string {
	t.Helper()
	c := verify(t, keys(), good)
	if c.Status != arc.Pass {
		t.Fatalf("%+v", c)
	}
	set, err := host(domain).Seal(message(t, broken), c, domain+"; arc=pass", now())
	if err != nil {
		t.Fatal(err)
	}
	return string(set) + broken
}

// TestNoHostCanVouchForWhatIsBroken: every seal is checked, not only the last
// (RFC 8617 §5.2 step 6); of the message signatures only the last one is.
func TestNoHostCanVouchForWhatIsBroken(t *testing.T) {
	t.Parallel()
	good := seal(t, "b.example", seal(t, "a.example", sample, same), same)
	for name, c := range map[string]struct {
		change func(string) string
		reason string // "" passes
		oldest int
	}{
		"seal of 1":              {flip("ARC-Seal: i=1"), "the seal of instance 2: the signature is not right", 0},
		"results of 1":           {put("ARC-Authentication-Results: i=1", "spf=pass", "spf=fail"), "the seal of instance 2: the signature is not right", 0},
		"message signature of 1": {put("ARC-Message-Signature: i=1", "t=", "t=1"), "the seal of instance 2: the signature is not right", 0},
		"results of 2":           {put("ARC-Authentication-Results: i=2", "spf=pass", "spf=fail"), "the seal of instance 2: the signature is not right", 0},
		"key of 2":               {put("ARC-Seal: i=2", "d=b.example", "d=a.example"), "the seal of instance 2: the key is of another kind", 0},
		"the body":               {footed, "", 3},
		"a header field":         {reworded, "", 3},
	} {
		broken := c.change(good)
		if broken == good {
			t.Fatalf("%s: nothing changed", name)
		}
		got := verify(t, keys(), vouch(t, "a.example", good, broken))
		if (got.Status == arc.Pass) != (c.reason == "") || !strings.Contains(got.Reason, c.reason) || got.OldestPass != c.oldest {
			t.Errorf("%s: %v, %q, oldest pass %d; want %q, %d", name, got.Status, got.Reason, got.OldestPass, c.reason, c.oldest)
		}
	}
}

// TestEverySignatureOfTheNewestSetCounts flips single letters of them.
func TestEverySignatureOfTheNewestSetCounts(t *testing.T) {
	t.Parallel()
	good := seal(t, "b.example", seal(t, "a.example", sample, same), same)
	for name, want := range map[string]string{
		"ARC-Seal":              "the seal of instance 2: the signature is not right",
		"ARC-Message-Signature": "the message signature of instance 2: the signature is not right",
	} {
		if c := verify(t, keys(), flip(name)(good)); c.Status != arc.Fail || !strings.HasPrefix(c.Reason, want) {
			t.Errorf("%s: %v, %q, want %q", name, c.Status, c.Reason, want)
		}
	}
}

// TestKeysOfAChainAreLookedUpOnceWhateverDNSDoes: hostile name servers make a
// chain fail or leave it open, at the cost of one look-up for each key.
func TestKeysOfAChainAreLookedUpOnceWhateverDNSDoes(t *testing.T) {
	t.Parallel()
	text := sample
	for range 10 {
		text = seal(t, "b.example", seal(t, "a.example", text, same), same)
	}
	text = seal(t, "a.example", text, same)
	var zones strings.Builder
	for name, record := range keys() {
		fmt.Fprintf(&zones, "%s. 300 IN TXT", name)
		for len(record) > 250 {
			fmt.Fprintf(&zones, " %q", record[:250])
			record = record[250:]
		}
		fmt.Fprintf(&zones, " %q\n", record)
	}
	for name, c := range map[string]struct {
		behave authority.Behaviour
		want   arc.Status
	}{
		"truth":     {authority.Behaviour{}, arc.Pass},
		"SERVFAIL":  {authority.Behaviour{Rcode: mdns.RcodeServerFailure}, arc.TempError},
		"garbage":   {authority.Behaviour{Garbage: true}, arc.TempError},
		"cut off":   {authority.Behaviour{Endless: true}, arc.TempError},
		"no key":    {authority.Behaviour{Rcode: mdns.RcodeNameError}, arc.Fail},
		"no answer": {authority.Behaviour{Answer: func(m *mdns.Msg) { m.Answer = nil }}, arc.Fail},
	} {
		a := authority.New(t, zones.String())
		a.Behave("s._domainkey.b.example", c.behave)
		r := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"), Exchange: a.Exchange}).Net()
		got := arc.Verify(t.Context(), message(t, text), dkim.NewKeys(r, 0), now())
		if got.Status != c.want || (got.Reason == "") != (c.want == arc.Pass) {
			t.Errorf("%s: %v, %q", name, got.Status, got.Reason)
		}
		if n := a.Queries("s._domainkey.a.example", mdns.TypeTXT); n != 1 {
			t.Errorf("%s: %d questions for a key of many sets", name, n)
		}
		if n := a.Queries("s._domainkey.b.example", mdns.TypeTXT); n > 4 {
			t.Errorf("%s: %d questions for the other", name, n)
		}
	}
}

// BenchmarkVerify is the cost of chains of a message of 20 KB, without DNS.
func BenchmarkVerify(b *testing.B) {
	text := sample + strings.Repeat(strings.Repeat("0123456789abcdef", 4)+" lorem ipsum\r\n", 20<<10/78)
	z := keys()
	for sets := range 4 {
		if sets > 0 {
			text = seal(b, "a.example", text, same)
		}
		b.Run(fmt.Sprintf("%d sets", sets), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m := dkim.NewMessage()
				if _, err := io.Copy(m, bytes.NewReader([]byte(text))); err != nil {
					b.Fatal(err)
				}
				if c := arc.Verify(b.Context(), m, dkim.NewKeys(z, 0), now()); len(c.Sets) != sets {
					b.Fatalf("%+v", c)
				}
			}
		})
	}
}

func TestAnOpenChainIsSealedAsFailed(t *testing.T) {
	t.Parallel()
	text := seal(t, "a.example", sample, same)
	z := keys()
	z["s._domainkey.a.example"] = "servfail"
	c := verify(t, z, text)
	set, err := host("b.example").Seal(message(t, text), c, "b.example; arc=temperror", now())
	if c.Status != arc.TempError || err != nil || !strings.Contains(string(set), "cv=fail") {
		t.Fatalf("%+v, %v\n%s", c, err, set)
	}
	if c := verify(t, keys(), string(set)+text); c.Status != arc.Fail || c.Reason != "instance 2 sealed the chain as failed" {
		t.Errorf("got %+v", c)
	}
}

func TestWhatCannotBeSignedIsNotSealed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		change func(*arc.Sealer)
		want   error
	}{
		"no From":      {"To: a\r\n\r\n", func(*arc.Sealer) {}, dkim.ErrUnsignable},
		"no name":      {sample, func(s *arc.Sealer) { s.Signer.Domain = "a b" }, dkim.ErrName},
		"another form": {sample, func(s *arc.Sealer) { s.Signer.Body = dkim.Simple }, dkim.ErrUnsignable},
	} {
		s := host("a.example")
		c.change(&s)
		if set, err := s.Seal(message(t, c.text), arc.Chain{}, "a.example; none", now()); !errors.Is(err, c.want) || set != nil {
			t.Errorf("%s: %v\n%s", name, err, set)
		}
	}
}
