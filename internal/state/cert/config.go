package cert

import "crypto/tls"

// Purpose is what a tls.Config is for. It decides the ALPN names: a client
// that offers only names of another protocol is refused, so that a browser
// cannot be led to a mail port (RFC 9325 §3.7).
type Purpose uint8

// The purposes. SMTP has no registered ALPN name.
const (
	SMTP Purpose = iota
	IMAP
	POP3
	Sieve
	HTTP

	purposes = int(HTTP) + 1
)

var protocols = [purposes][]string{
	IMAP:  {"imap"},           // RFC 7301 registry
	POP3:  {"pop3"},           // RFC 7301 registry
	Sieve: {"managesieve"},    // RFC 7301 registry
	HTTP:  {"h2", "http/1.1"}, // RFC 7301 registry
}

// suites are those of TLS 1.2 that are allowed: forward secret and
// authenticated (Mozilla intermediate; reliability row 20). TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLS returns the server configuration for the purpose, always the same one,
// so that session tickets of one connection are good for the next. It must
// not be changed.
func (s *Store) TLS(p Purpose) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.configs[p] == nil {
		c := &tls.Config{
			MinVersion:     tls.VersionTLS12,
			CipherSuites:   suites,
			NextProtos:     protocols[p],
			GetCertificate: s.get,
		}
		s.resumable(c)
		s.configs[p] = c
	}
	return s.configs[p]
}
