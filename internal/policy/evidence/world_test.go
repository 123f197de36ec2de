package evidence

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/arc"
	"posthorn/internal/wire/authres"
	"posthorn/internal/wire/dkim"
	"posthorn/internal/wire/mime"
)

const keyFile = "../../wire/dkim/testdata/rsa2048.pem"

// keys of tests are read once.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, ed25519.PrivateKey) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key.(*rsa.PrivateKey), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
})

// keyRecord is a TXT record of a key in master-file syntax.
func keyRecord(t testing.TB, selector, domain string, key crypto.Signer, more string) string {
	t.Helper()
	var text string
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		text = "v=DKIM1; k=ed25519; " + more + "p=" + base64.StdEncoding.EncodeToString(public)
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		text = "v=DKIM1; " + more + "p=" + base64.StdEncoding.EncodeToString(der)
	}
	record := selector + "._domainkey." + domain + ". TXT"
	for ; len(text) > 200; text = text[200:] {
		record += ` "` + text[:200] + `"`
	}
	return record + ` "` + text + "\"\n"
}

// author signs messages of a domain. Keys are "r" (RSA) and "e" (Ed25519).
func author(domain, selector string) *dkim.Signer {
	s := &dkim.Signer{Domain: domain, Selector: selector, Header: dkim.Relaxed, Body: dkim.Relaxed}
	r, e := keys()
	if s.Key = r; selector == "e" {
		s.Key = e
	}
	return s
}

func sign(t testing.TB, s *dkim.Signer, text string) string {
	t.Helper()
	m := dkim.NewMessage(s.Body)
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	field, err := s.Sign(m, now)
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + text
}

// seal puts an ARC set on top, as the host of that domain.
func seal(t testing.TB, domain, results, text string) string {
	t.Helper()
	a := authority.New(t, everybody(t))
	m := dkim.NewMessage(dkim.Relaxed)
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	c := arc.Verify(t.Context(), m, dkim.NewKeys(resolver(a).Net(), 0), now)
	set, err := arc.Sealer{Signer: *author(domain, "r")}.Seal(m, c, results, now)
	if err != nil {
		t.Fatal(err)
	}
	return string(set) + text
}

// everybody has the keys of all domains of these tests.
func everybody(t testing.TB) string {
	r, e := keys()
	zone := ""
	for _, domain := range []string{"example.org", "mail.example.org", "example.net", "list.example", "mx.relay.example"} {
		zone += keyRecord(t, "r", domain, r, "") + keyRecord(t, "e", domain, e, "")
	}
	return zone + keyRecord(t, "t", "example.org", r, "t=y; ")
}

var now = time.Date(2025, 7, 1, 10, 0, 0, 0, time.UTC)

const sample = "From: Joe <joe@example.org>\r\nTo: b@example.test\r\nSubject: Hi\r\nDate: Tue, 01 Jul 2025 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n"

// judged is a session in which a message came in.
func judged(a policy.Authenticity, text string) *policy.Facts {
	f := &policy.Facts{Time: now, Client: v4, Helo: "mx.example.org", Kind: policy.MX, Message: ident.ID{15: 1},
		Sender: mail.Address{Local: "joe", Domain: "example.org"}, Sources: policy.Sources{Authenticity: a}}
	s := mime.Parse([]byte(text))
	f.ReadContent(s)
	f.Content = &policy.Message{Structure: s, Body: strings.NewReader(text), Size: int64(len(text))}
	return f
}

func authenticity(z *authority.Authority, forwarders ...string) *Authenticity {
	return NewAuthenticity(Options{Resolver: resolver(z), Hostname: func() string { return self }, Forwarders: func() []string { return forwarders }})
}

// results reads the field back, and fails the test if it is not one whole field
// with our name.
func results(t testing.TB, field string) []authres.Result {
	t.Helper()
	n := 0
	for f := range mime.Fields([]byte(field + "X: y\r\n\r\n")) {
		if n++; n == 1 && string(f.Raw) != field {
			t.Fatalf("the field ends early: %q", field)
		}
	}
	if n != 2 || !strings.HasSuffix(field, "\r\n") || strings.Contains(strings.ReplaceAll(field, "\r\n", ""), "\n") || strings.ContainsAny(strings.ReplaceAll(field, "\r\n\t", ""), "\x00\t") {
		t.Fatalf("no field: %q", field)
	}
	value, ok := strings.CutPrefix(field, authres.Name+": ")
	got, err := authres.Parse(value)
	if !ok || err != nil || got.ID != self {
		t.Fatalf("%q: %v", field, err)
	}
	return got.Results
}
