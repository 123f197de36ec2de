package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// loaded is a certificate as read from its files.
type loaded struct {
	pair    Pair
	version version
	cert    tls.Certificate
	sum     [sha256.Size]byte // of the leaf
}

// version tells two states of a pair's files apart.
type version struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

func (p Pair) version() (version, error) {
	c, err := os.Stat(p.Cert)
	if err != nil {
		return version{}, unread("tls.certificate", p.Cert, err)
	}
	k, err := os.Stat(p.Key)
	if err != nil {
		return version{}, unread("tls.key", p.Key, err)
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
		return nil, fmt.Errorf("tls.certificate, tls.key: %s or %s is too large for a certificate or a key", p.Cert, p.Key)
	}
	certs, err := os.ReadFile(p.Cert)
	if err != nil {
		return nil, unread("tls.certificate", p.Cert, err)
	}
	key, err := os.ReadFile(p.Key)
	if err != nil {
		return nil, unread("tls.key", p.Key, err)
	}
	switch {
	case !holds(certs, "CERTIFICATE"):
		return nil, fmt.Errorf("tls.certificate: %s holds no certificate in PEM form (a block that begins with -----BEGIN CERTIFICATE-----); name the file that has the whole chain", p.Cert)
	case !holds(key, "PRIVATE KEY"):
		return nil, fmt.Errorf("tls.key: %s holds no private key in PEM form (a block such as -----BEGIN PRIVATE KEY-----); name the file of the key that belongs to %s", p.Key, p.Cert)
	}
	cert, err := tls.X509KeyPair(certs, key)
	if err != nil {
		return nil, fmt.Errorf("tls.certificate, tls.key: %s and %s cannot be used together: %w", p.Cert, p.Key, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("tls.certificate: %s: %w", p.Cert, err)
		}
	}
	return &loaded{pair: p, version: v, cert: cert, sum: sha256.Sum256(cert.Certificate[0])}, nil
}

// unread says of a file that cannot be read where it is named, and what to do.
func unread(field, file string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the file %s does not exist; correct the name in posthorn.toml, or leave tls.certificate and tls.key out for a certificate of the server's own making: %w", field, file, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w; the server's user must be able to read it, and to enter the folders above it", field, err)
	}
	return fmt.Errorf("%s: %w", field, err)
}

// holds reports a PEM block whose type ends so.
func holds(text []byte, kind string) bool {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
		text = rest
	}
}

// names are those the certificate is valid for.
func (l *loaded) names() []string {
	names := append([]string(nil), l.cert.Leaf.DNSNames...)
	for _, ip := range l.cert.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
