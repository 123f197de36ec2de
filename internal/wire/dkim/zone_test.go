package dkim_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/wire/dkim"
)

// zone answers key look-ups; the record "servfail" is a temporary failure.
type zone map[string][]string

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	records, ok := z[strings.TrimSuffix(name, ".")]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: %w", name, dns.ErrNoName)
	case len(records) == 1 && records[0] == "servfail":
		return nil, fmt.Errorf("%s: %w", name, dns.ErrTemporary)
	}
	return records, nil
}

// Keys of RFC 6376 appendix C and RFC 8463 appendix A.
const (
	rfcRSA     = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	rfcEd25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	rfcTest    = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)

// now is the time of the tests.
func now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// wire writes text with CRLF.
func wire(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// keyring are the keys tests sign with, made once because RSA takes its time.
type keyring struct {
	rsa  *rsa.PrivateKey
	ed   ed25519.PrivateKey
	weak *rsa.PrivateKey
}

var ring = sync.OnceValue(func() keyring {
	return keyring{rsa: readKey("testdata/rsa2048.pem"), weak: readKey("testdata/rsa1024.pem"), ed: ed25519.NewKeyFromSeed([]byte("thirty-two octets of a test seed"))}
})

func readKey(name string) *rsa.PrivateKey {
	data, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(data)
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return k
}

// record writes the key record of a private key.
func record(k crypto.Signer, tags string) string {
	if ed, ok := k.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; " + tags + "p=" + base64.StdEncoding.EncodeToString(ed)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; " + tags + "p=" + base64.StdEncoding.EncodeToString(der)
}

// sample is a message without signature.
const sample = "Received: from a.example by b.example; Sun, 1 Nov 2026 11:59:00 +0000\r\n" +
	"From: Joe <joe@example.org>\r\nTo: Suzie <suzie@example.net>\r\nSubject: Is\r\n  dinner   ready?\r\n" +
	"Date: Sun, 1 Nov 2026 11:58:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHi.\r\n\r\nWe lost  the game. \r\nJoe.\r\n\r\n\r\n"

// sign puts a signature on top of a message.
func sign(t testing.TB, s dkim.Signer, text string) string {
	t.Helper()
	m := dkim.NewMessage(s.Body)
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	field, err := s.Sign(m, now())
	if err != nil {
		t.Fatal(err)
	}
	return string(field) + text
}

// verify judges a message.
func verify(t testing.TB, z zone, text string) []dkim.Result {
	t.Helper()
	results, err := dkim.Verify(t.Context(), strings.NewReader(text), dkim.NewKeys(z, 0), now())
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// one is verify of a message with one signature.
func one(t testing.TB, z zone, text string) dkim.Result {
	t.Helper()
	results := verify(t, z, text)
	if len(results) != 1 {
		t.Fatalf("%d results, want 1: %+v", len(results), results)
	}
	return results[0]
}
