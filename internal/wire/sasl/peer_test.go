package sasl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/mjl-/mox/scram"

	"posthorn/internal/base/passwd"
)

// connect makes a TLS connection in memory and returns what both ends see.
func connect(t *testing.T, version uint16, key crypto.Signer, alg x509.SignatureAlgorithm) (server, client tls.ConnectionState, leaf *x509.Certificate) {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example.test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), SignatureAlgorithm: alg}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	s := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: version, SessionTicketsDisabled: true})
	c := tls.Client(far, &tls.Config{RootCAs: roots, ServerName: "mx.example.test", MinVersion: version})
	failed := make(chan error, 1)
	go func() { failed <- s.HandshakeContext(t.Context()) }()
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), c.ConnectionState(), leaf
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestBothEndsComputeTheSameBinding(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ss, cs, leaf := connect(t, version, ecKey(t), x509.ECDSAWithSHA384)
		s, c := ServerBinding(&ss, leaf), ClientBinding(&cs)
		if exporter := ExporterBinding(&cs); len(s.Exporter) != 32 || !bytes.Equal(s.Exporter, exporter) {
			t.Errorf("%x: exporter %x and %x", version, s.Exporter, exporter)
		}
		if (c.Exporter != nil) != (version == tls.VersionTLS13) {
			t.Errorf("%x: client would use %s", version, c.preferred())
		}
		want := sha512.Sum384(leaf.Raw)
		if !bytes.Equal(s.EndPoint, want[:]) || !bytes.Equal(c.EndPoint, want[:]) {
			t.Errorf("%x: end point %x and %x", version, s.EndPoint, c.EndPoint)
		}
		for _, b := range []ChannelBinding{c, {EndPoint: c.EndPoint}, {Exporter: ExporterBinding(&cs)}} {
			srv, err := NewServer("SCRAM-SHA-256-PLUS", Config{Secret: []byte("secret"), Verifier: newBook(), Offered: all, Binding: s})
			if err != nil {
				t.Fatal(err)
			}
			cl, err := NewClient(ScramSHA256Plus, Credentials{Name: "user", Password: "pencil"}, names(all), b)
			if err != nil {
				t.Fatal(err)
			}
			if se, ce := talk(t, srv, cl, true); se != nil || ce != nil {
				t.Errorf("%x: server %v, client %v", version, se, ce)
			}
		}
	}
}

func TestEndPointHashIsThatOfTheSignature(t *testing.T) {
	t.Parallel()
	raw := []byte("certificate")
	s256, s384, s512 := sha256.Sum256(raw), sha512.Sum384(raw), sha512.Sum512(raw)
	for alg, want := range map[x509.SignatureAlgorithm][]byte{
		x509.MD5WithRSA: s256[:], x509.SHA1WithRSA: s256[:], x509.ECDSAWithSHA1: s256[:], x509.SHA256WithRSA: s256[:], x509.SHA256WithRSAPSS: s256[:],
		x509.ECDSAWithSHA256: s256[:], x509.SHA384WithRSA: s384[:], x509.ECDSAWithSHA384: s384[:], x509.SHA384WithRSAPSS: s384[:],
		x509.SHA512WithRSA: s512[:], x509.ECDSAWithSHA512: s512[:], x509.SHA512WithRSAPSS: s512[:], x509.PureEd25519: nil, x509.UnknownSignatureAlgorithm: nil,
	} {
		if got := EndPointBinding(&x509.Certificate{Raw: raw, SignatureAlgorithm: alg}); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", alg, got, want)
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, cs, _ := connect(t, tls.VersionTLS13, key, x509.PureEd25519)
	if b := ClientBinding(&cs); b.EndPoint != nil || b.Exporter == nil || !b.Available() {
		t.Errorf("Ed25519: %+v", b)
	}
	if b := ClientBinding(nil); b.Available() {
		t.Errorf("no TLS: %+v", b)
	}
	if b := ClientBinding(&tls.ConnectionState{}); b.Available() {
		t.Errorf("before the handshake: %+v", b)
	}
}

func TestOurServerUnderstandsMox(t *testing.T) {
	t.Parallel()
	ss, cs, leaf := connect(t, tls.VersionTLS13, ecKey(t), x509.ECDSAWithSHA256)
	for _, m := range []Mechanism{ScramSHA1, ScramSHA256, ScramSHA1Plus, ScramSHA256Plus} {
		h, plus := scramOf(m)
		for _, password := range []string{"pässwörd, = ", "wrong"} {
			var state *tls.ConnectionState
			if plus {
				state = &cs
			}
			s, err := NewServer(string(m), Config{Secret: []byte("secret"), Verifier: newBook(), Offered: all, Binding: ServerBinding(&ss, leaf)})
			if err != nil {
				t.Fatal(err)
			}
			// Without authzid: mox writes it without the "a=" of RFC 5802 §7.
			c := scram.NewClient(h.New(), "a,b=c", "", false, state)
			first, err := c.ClientFirst()
			if err != nil {
				t.Fatal(err)
			}
			challenge, _, err := s.Next(t.Context(), []byte(first))
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			final, err := c.ServerFirst(challenge, password)
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			last, _, err := s.Next(t.Context(), []byte(final))
			if password == "wrong" {
				if err == nil {
					t.Errorf("%s: wrong password taken", m)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			if err := c.ServerFinal(last); err != nil {
				t.Errorf("%s: mox does not believe us: %v", m, err)
			}
			if _, done, err := s.Next(t.Context(), []byte{}); !done || err != nil || s.Identity().Authcid != "a,b=c" {
				t.Errorf("%s: %v, %v, %+v", m, done, err, s.Identity())
			}
		}
	}
}

func TestOurClientUnderstandsMox(t *testing.T) {
	t.Parallel()
	ss, cs, _ := connect(t, tls.VersionTLS13, ecKey(t), x509.ECDSAWithSHA256)
	for _, m := range []Mechanism{ScramSHA1, ScramSHA256, ScramSHA1Plus, ScramSHA256Plus} {
		h, plus := scramOf(m)
		c, err := NewClient(m, Credentials{Name: "a,b=c", Password: "pa\u0308ss", Authzid: "z"}, names(all), ClientBinding(&cs))
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		s, err := scram.NewServer(h.New(), first, &ss, plus)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		salt := scram.MakeRandom()
		challenge, err := s.ServerFirst(passwd.MinIterations, salt)
		if err != nil {
			t.Fatal(err)
		}
		final, err := c.Next([]byte(challenge))
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		salted, err := scram.SaltPassword(h.New(), "päss", salt, passwd.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		last, err := s.Finish(final, salted)
		if err != nil {
			t.Fatalf("%s: mox says %v", m, err)
		}
		if _, err := c.Next([]byte(last)); err != nil || c.Finish() != nil {
			t.Errorf("%s: %v, %v", m, err, c.Finish())
		}
		if s.Authentication != "a,b=c" || s.Authorization != "z" {
			t.Errorf("%s: mox understood %q %q", m, s.Authentication, s.Authorization)
		}
	}
}
