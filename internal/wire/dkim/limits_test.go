package dkim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"posthorn/internal/wire/dkim"
)

func TestGiantKeysAreNotUsed(t *testing.T) {
	t.Parallel()
	n := new(big.Int).SetBit(big.NewInt(1), 8192, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	z := zone{"s._domainkey.example.org": {"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)}}
	if r := one(t, z, sign(t, signer(), sample)); r.Status != dkim.PermError || r.Bits != 8193 || r.Reason != "the key is over 8192 bits" {
		t.Errorf("got %+v", r)
	}
}

func TestAHeaderSectionOfTooManyFieldsIsNotJudged(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	at := strings.Index(signed, "Received:")
	r := one(t, orgZone(), signed[:at]+strings.Repeat("X: y\r\n", 10000)+signed[at:])
	if r.Status != dkim.PermError || r.Reason != "the header section has too many fields" {
		t.Errorf("got %+v", r)
	}
}

func TestOnlyKeysForMailSign(t *testing.T) {
	t.Parallel()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := signer()
	s.Key = k
	m := dkim.NewMessage(s.Body)
	if _, err := m.Write([]byte(sample)); err != nil {
		t.Fatal(err)
	}
	if field, err := s.Sign(m, now()); !errors.Is(err, dkim.ErrKey) {
		t.Errorf("%s, %v", field, err)
	}
}

// RFC 6376 §8.15: with From and Subject signed once more than they occur, a
// second one of either breaks the signature wherever it is added.
func TestNothingCanBeAddedToSealedFields(t *testing.T) {
	t.Parallel()
	signed := sign(t, signer(), sample)
	head, body, _ := strings.Cut(signed, "\r\n\r\n")
	for _, name := range []string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"} {
		for place, text := range map[string]string{
			"on top": name + ": x\r\n" + signed,
			"below":  head + "\r\n" + name + ": x\r\n\r\n" + body,
		} {
			if r := one(t, orgZone(), text); r.Status != dkim.Fail {
				t.Errorf("%s %s: %+v", name, place, r)
			}
		}
	}
}
