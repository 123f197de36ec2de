package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"posthorn/internal/base/durable"
)

// Trial is a local certificate authority in a folder, for servers that have
// no certificate of a public one yet. It belongs to one Store.
type Trial struct {
	// Dir is the folder, usually DIR/tls; made with mode 0700 when missing.
	Dir string
	// Host returns the server's name, asked at every handshake: when it changes
	// the certificate is made anew. localhost and the loopback addresses are
	// always covered too.
	Host func() string
}

// Lifetimes. Clients of Apple refuse server certificates beyond 398 days.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 397 * 24 * time.Hour
	renewAt    = 30 * 24 * time.Hour // before the end
	backdate   = 24 * time.Hour      // for clients whose clock is behind
)

// CA returns the file clients may trust: DIR/tls/ca.pem.
func (t *Trial) CA() string { return filepath.Join(t.Dir, "ca.pem") }

func (t *Trial) caKey() string { return filepath.Join(t.Dir, "ca-key.pem") }

// pair is the server's certificate: one file with key and chain, so that a
// crash cannot leave a key beside the wrong certificate.
func (t *Trial) pair() Pair {
	file := filepath.Join(t.Dir, "server.pem")
	return Pair{file, file}
}

// ensure makes or renews what is missing, unreadable or about to expire, and
// reports whether it made a server certificate. It can be cut off anywhere
// and run again.
func (t *Trial) ensure(now time.Time) (renewed bool, err error) {
	if err := durable.MakeDir(t.Dir, 0o700); err != nil {
		return false, fmt.Errorf("cert: %w", err)
	}
	ca, err := t.authority(now)
	if err != nil {
		return false, err
	}
	if t.serverGood(ca, now) {
		return false, nil
	}
	return true, t.issue(ca, now)
}

// authority loads the authority, or makes one when there is none that will
// outlive a server certificate made now.
func (t *Trial) authority(now time.Time) (*tls.Certificate, error) {
	content, err := os.ReadFile(t.caKey())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cert: %w", err) // to replace it would break every client's trust
	}
	if ca, err := tls.X509KeyPair(content, content); err == nil && ca.Leaf.IsCA && usable(ca.Leaf, now, serverLife) {
		return &ca, t.publish(&ca)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "posthorn trial authority of " + t.Host(), Organization: []string{"posthorn"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	made, content, err := create(template, nil)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(t.caKey(), content, 0o600); err != nil {
		return nil, err
	}
	return made, t.publish(made)
}

// publish sees that ca.pem is the authority's certificate.
func (t *Trial) publish(ca *tls.Certificate) error {
	want := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]})
	if got, err := os.ReadFile(t.CA()); err == nil && bytes.Equal(got, want) {
		return nil
	}
	return durable.WriteFile(t.CA(), want, 0o644)
}

// serverGood reports whether the server's certificate is by this authority,
// covers the host and lasts.
func (t *Trial) serverGood(ca *tls.Certificate, now time.Time) bool {
	p := t.pair()
	c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil || !usable(c.Leaf, now, renewAt) || c.Leaf.CheckSignatureFrom(ca.Leaf) != nil {
		return false
	}
	for _, host := range t.hosts() {
		if c.Leaf.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// usable reports whether the certificate is valid now and for as long as
// given. The start counts too: a clock that was once ahead must not leave a
// certificate nobody accepts (reliability row 15).
func usable(c *x509.Certificate, now time.Time, long time.Duration) bool {
	return !now.Before(c.NotBefore) && now.Add(long).Before(c.NotAfter)
}

func (t *Trial) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host := t.Host(); host != "" && host != "localhost" {
		hosts = append([]string{host}, hosts...)
	}
	return hosts
}

// issue makes the server's certificate.
func (t *Trial) issue(ca *tls.Certificate, now time.Time) error {
	hosts := t.hosts()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(serverLife - backdate),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	_, content, err := create(template, ca)
	if err != nil {
		return err
	}
	return durable.WriteFile(t.pair().Cert, content, 0o600)
}

// create makes a key and a certificate signed by parent, or by itself. It
// returns both, and as PEM.
func create(template *x509.Certificate, parent *tls.Certificate) (*tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("cert: make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("cert: make a serial number: %w", err)
	}
	template.SerialNumber = serial
	issuer, signer := template, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("cert: sign: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("cert: %w", err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	made, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, nil, fmt.Errorf("cert: %w", err)
	}
	return &made, content, nil
}
