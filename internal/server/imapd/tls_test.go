package imapd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var selfSigned = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap.example.test"},
		DNSNames: []string{"imap.example.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// certificate returns the configurations of a server and of its client.
func certificate(t testing.TB) (server, client *tls.Config) {
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool, ServerName: "imap.example.test"}
}

// sessions is a cache that counts what it is given.
type sessions struct{ kept int }

func (s *sessions) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (s *sessions) Put(string, *tls.ClientSessionState)        { s.kept++ }

// A ticket right behind the handshake of STARTTLS makes imaplib2 hang.
func TestNoSessionTicketFollowsSTARTTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		var client *tls.Config
		w.tls, client = certificate(t)
		cache := &sessions{}
		client.ClientSessionCache = cache
		conn := w.dial()
		k := &talker{t, conn, bufio.NewReader(conn)}
		k.hear("* OK ")
		k.say("a STARTTLS")
		k.hear("a OK ")
		secure := tls.Client(conn, client)
		k.conn, k.in = secure, bufio.NewReader(secure)
		k.say("b NOOP")
		k.hear("b OK ")
		if cache.kept != 0 {
			t.Errorf("%d tickets", cache.kept)
		}
		_ = conn.Close()
	})
}
