package sasl

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
)

// The channel binding types this package knows, as they stand after "p=".
const (
	bindingExporter = "tls-exporter"         // RFC 9266
	bindingEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// ChannelBinding is what both ends of one TLS connection can compute and a
// machine between them cannot. The zero value binds nothing.
type ChannelBinding struct {
	// Exporter is the data of tls-exporter; nil if the connection has none.
	Exporter []byte
	// EndPoint is the data of tls-server-end-point; nil if the certificate's
	// signature has no single hash function, as with Ed25519.
	EndPoint []byte
}

// ServerBinding returns the data of a connection this host is the server of.
// leaf is the certificate the handshake showed, which tls.ConnectionState does
// not tell; take it from the GetCertificate hook, and know what a resumed
// session was shown. With nil tls-server-end-point is not available.
func ServerBinding(state *tls.ConnectionState, leaf *x509.Certificate) ChannelBinding {
	return ChannelBinding{Exporter: ExporterBinding(state), EndPoint: EndPointBinding(leaf)}
}

// ClientBinding returns the data of a connection this host is the client of.
// Below TLS 1.3 the exporter is left out if the certificate will do, because
// few servers know tls-exporter there.
func ClientBinding(state *tls.ConnectionState) ChannelBinding {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ChannelBinding{}
	}
	b := ServerBinding(state, state.PeerCertificates[0])
	if state.Version < tls.VersionTLS13 && b.EndPoint != nil {
		b.Exporter = nil
	}
	return b
}

// ExporterBinding returns the data of tls-exporter (RFC 9266 §2), nil before
// the handshake or for a TLS 1.2 connection without extended master secret,
// where it would bind nothing.
func ExporterBinding(state *tls.ConnectionState) []byte {
	if state == nil || !state.HandshakeComplete {
		return nil
	}
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
	if err != nil {
		return nil
	}
	return data
}

// EndPointBinding returns the data of tls-server-end-point (RFC 5929 §4.1):
// the certificate under the hash function of its own signature, SHA-256 in
// place of MD5 and SHA-1.
func EndPointBinding(leaf *x509.Certificate) []byte {
	if leaf == nil {
		return nil
	}
	hash := signatureHash(leaf.SignatureAlgorithm)
	if hash == 0 {
		return nil
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil)
}

func signatureHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return 0
}

// Available reports whether there is any data to bind to.
func (c ChannelBinding) Available() bool { return c.Exporter != nil || c.EndPoint != nil }

// data returns the data of one type, nil if there is none.
func (c ChannelBinding) data(kind string) []byte {
	switch kind {
	case bindingExporter:
		return c.Exporter
	case bindingEndPoint:
		return c.EndPoint
	}
	return nil
}

// preferred returns the type a client uses: the exporter where there is one,
// since it binds to this very connection and not only to the certificate.
func (c ChannelBinding) preferred() string {
	if c.Exporter != nil {
		return bindingExporter
	}
	return bindingEndPoint
}
