package cert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// loaded is a certificate as read from its files.
type loaded struct {
	pair    Pair
	version version
	cert    tls.Certificate
}

// version tells two states of a pair's files apart.
type version struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func (p Pair) version() (version, error) {
	c, err := os.Stat(p.Cert)
	if err != nil {
		return version{}, fmt.Errorf("cert: %w", err)
	}
	k, err := os.Stat(p.Key)
	if err != nil {
		return version{}, fmt.Errorf("cert: %w", err)
	}
	return version{c.ModTime(), k.ModTime(), c.Size(), k.Size()}, nil
}

// mostPEM bounds what is read as a certificate or key file.
const mostPEM = 1 << 20

// load reads a pair. The version is taken first: a change while reading is
// seen at the next look.
func load(p Pair) (*loaded, error) {
	v, err := p.version()
	if err != nil {
		return nil, err
	}
	if v.certSize > mostPEM || v.keySize > mostPEM {
		return nil, fmt.Errorf("cert: %s: too large for a certificate", p.Cert)
	}
	cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("cert: %s: %w", p.Cert, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("cert: %s: %w", p.Cert, err)
		}
	}
	return &loaded{pair: p, version: v, cert: cert}, nil
}

// names are those the certificate is valid for.
func (l *loaded) names() []string {
	names := append([]string(nil), l.cert.Leaf.DNSNames...)
	for _, ip := range l.cert.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
