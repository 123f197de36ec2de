package evidence

import (
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
)

// Nothing a stranger says adds a result of ours or a field.
func TestStrangersAddNoResults(t *testing.T) {
	t.Parallel()
	evil := "x; dkim=pass header.d=bank.example\r\nX-Evil: yes\r\n\r\nbody\x00(\"\\"
	hosts := []string{evil, "(" + evil, "\"" + evil, strings.Repeat("x", 5000), "jörg.example", "\xff\xfe", ""}
	signature := "DKIM-Signature: v=1; a=rsa-sha256; d=bank.example;\r\n s=x\x00\"(y; i=\"; dmarc=pass (@bank.example;\r\n h=from; bh=AAAA; b=AAAA\r\n"
	broken := "DKIM-Signature: ;;;=\r\nARC-Seal: i=1; cv=pass; dmarc=pass\r\n"
	z := authority.New(t, everybody(t))
	for _, host := range hosts {
		for _, local := range []string{"joe", `a"; dmarc=pass (\`, "a b", "ü", strings.Repeat("x", 64)} {
			f := judged(authenticity(z), signature+broken+sample)
			f.Helo, f.Sender = host, mail.Address{Local: local, Domain: "bank.example"}
			if local == "joe" {
				f.Sender = mail.Address{}
			}
			got := f.Authentication(t.Context())
			for _, r := range results(t, got.Field) {
				if r.Value == "pass" {
					t.Errorf("%q %q: %+v\n%s", host, local, r, got.Field)
				}
			}
			if len(got.Field) > 8000 {
				t.Errorf("%d octets", len(got.Field))
			}
			f.Sender = mail.Address{}
			roundTrip(t, f.SPF(t.Context()), &policy.SPF{})
			got.Field, got.Outcome = "", nil
			roundTrip(t, got, &policy.Authentication{})
		}
	}
}

func TestManySignaturesAndAuthorsAreBounded(t *testing.T) {
	t.Parallel()
	text := sign(t, author("example.org", "e"), sample)
	one := text[:strings.Index(text, "From: ")]
	z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
	many := judged(authenticity(z), strings.Repeat(one, 500)+sample).Authentication(t.Context())
	if n := len(many.Signatures); n != 11 || !strings.Contains(many.Signatures[10].Reason, "490") || len(many.Field) > 8000 {
		t.Errorf("%d signatures: %+v", n, many.Signatures)
	}
	authors := "From: " + strings.Repeat("a@example.org, b@example.net, ", 200) + "c@example.com\r\n"
	got := judged(authenticity(z), strings.Replace(text, "From: Joe <joe@example.org>\r\n", authors, 1)).Authentication(t.Context())
	if got.DMARC.Result != "permerror" {
		t.Errorf("%+v", got.DMARC)
	}
}

func FuzzMessage(f *testing.F) {
	z := authority.New(f, everybody(f), spfZone, `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.org"`)
	a := authenticity(z, "list.example")
	f.Add(sample, "mx.example.org")
	f.Add(sign(f, author("example.org", "e"), sample), "")
	f.Add(seal(f, "list.example", "a; dmarc=pass", sample), "[192.0.2.1]")
	f.Add("DKIM-Signature: v=1; d=example.org; i=\"\r\nFrom:\n\r\n", "a\r\nb")
	f.Fuzz(func(t *testing.T, text, helo string) {
		s := judged(a, text)
		s.Helo, s.Sender = helo, mail.Address{}
		got := s.Authentication(t.Context())
		results(t, got.Field)
		if row, ok := Seen(s, s.SPF(t.Context()), got); ok && row.Domain == "" {
			t.Errorf("%+v", row)
		}
		roundTrip(t, s.SPF(t.Context()), &policy.SPF{})
		got.Field, got.Outcome = "", nil
		roundTrip(t, got, &policy.Authentication{})
	})
}
