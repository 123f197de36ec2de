package remote

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"posthorn/internal/flow/route"
)

// requirement is how safe a connection must be before mail goes over it. What
// a relay's settings and the message itself demand is put together here, for
// each host; DANE (RFC 7672) and MTA-STS (RFC 8461) are further demands of the
// same kind. The zero requirement is opportunistic TLS (RFC 7435). It is never
// weakened after a failure.
type requirement struct {
	// tls forbids clear text; implicit begins with TLS instead of STARTTLS.
	tls, implicit bool
	// verify demands a certificate in the host's name under a trusted root.
	verify bool
	// fingerprint is the only certificate accepted, as SHA-256 in hexadecimal.
	fingerprint string
	// requireTLS demands that the host takes on RFC 8689 for the message.
	requireTLS bool
}

// implicitPort is where TLS begins with the first octet (RFC 8314 §3.3).
const implicitPort = 465

// demand puts together what the relay, nil for none, and the message demand.
func demand(r *route.Relay, requireTLS bool) requirement {
	q := requirement{tls: requireTLS, requireTLS: requireTLS}
	if r != nil {
		q.implicit = r.Port == implicitPort
		q.fingerprint = plainFingerprint(r.Fingerprint)
		q.tls = q.tls || r.Secure || q.implicit || q.fingerprint != ""
		q.verify = r.Secure && !r.AnyCertificate
	}
	q.verify = (q.verify || requireTLS) && q.fingerprint == ""
	return q
}

// plainFingerprint takes the colons and spaces off that people copy along.
func plainFingerprint(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// errCertificate says that the handshake was fine and the certificate was not.
var errCertificate = errors.New("certificate not accepted")

// session is what TLS turned out to be worth.
type session struct {
	state tls.ConnectionState
	// verified says that the certificate is the host's own; trouble why not.
	verified bool
	trouble  error
}

// strongSuites are those of TLS 1.2 with forward secrecy and authenticated
// encryption (reliability.md row 20). Where clear text would do, Go's own list
// holds, for anything is better than that.
var strongSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// config returns the client's side of TLS with a host. The certificate is
// always looked at, so that logs tell; a bad one ends the handshake only if
// the requirement says so.
func (q requirement) config(host string, roots *x509.CertPool, s *session) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: host, // no SNI is sent for an address
		// The verification is VerifyConnection's, which knows when a stranger's
		// certificate is good enough.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			s.trouble = q.judge(state, host, roots)
			s.verified = s.trouble == nil
			if q.verify || q.fingerprint != "" {
				return s.trouble
			}
			return nil
		},
	}
	if q.tls {
		c.CipherSuites = strongSuites
	}
	return c
}

// judge says what speaks against the certificate.
func (q requirement) judge(state tls.ConnectionState, host string, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errCertificate
	}
	leaf := state.PeerCertificates[0]
	if q.fingerprint != "" {
		sum := sha256.Sum256(leaf.Raw)
		if hex.EncodeToString(sum[:]) != q.fingerprint {
			return errors.Join(errCertificate, errors.New("its fingerprint is "+hex.EncodeToString(sum[:])))
		}
		return nil
	}
	o := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool()}
	if roots == nil {
		if o.Roots = systemRoots(); o.Roots == nil {
			return errors.Join(errCertificate, errors.New("this machine has no list of authorities"))
		}
	}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return errors.Join(errCertificate, err)
	}
	return nil
}

// systemRoots returns the machine's authorities, read once; nil if there are
// none.
var systemRoots = sync.OnceValue(func() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil
	}
	return pool
})

// security says in a word what protected the connection.
func (c *connection) security() string {
	switch {
	case c.tls == nil:
		return "none"
	case c.tls.verified:
		return tls.VersionName(c.tls.state.Version) + " verified"
	}
	return tls.VersionName(c.tls.state.Version) + " unverified"
}

// objection says in words of our own what speaks against a certificate.
func objection(err error) string {
	_, name := errors.AsType[x509.HostnameError](err)
	_, signer := errors.AsType[x509.UnknownAuthorityError](err)
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case name:
		return "it is for another name"
	case signer:
		return "no authority known here has signed it"
	case ok && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	case ok:
		return "it is not valid for a server"
	}
	return "it is another than the one expected"
}
