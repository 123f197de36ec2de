package cert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/testkit/memconn"
)

func openTrial(t *testing.T, dir, host string) *Store {
	t.Helper()
	s, err := Open(Options{Trial: &Trial{Dir: dir, Host: func() string { return host }}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func roots(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		t.Fatal("ca.pem holds no certificate")
	}
	return pool
}

// shake does a handshake in memory and returns what the client saw.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	c, s := memconn.Pair(netip.AddrPort{}, netip.AddrPort{})
	failed := make(chan error, 1)
	go func() {
		conn := tls.Server(s, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x")) // carries the ticket to the client
		}
		failed <- err
	}()
	conn := tls.Client(c, client)
	err := conn.Handshake()
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	state := conn.ConnectionState()
	_ = c.Close()
	_ = s.Close()
	return state, errors.Join(err, <-failed)
}

func TestTrialIsTrustedByItsAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	s := openTrial(t, dir, "mx.example.test")
	for _, name := range []string{"mx.example.test", "localhost", "127.0.0.1", "::1"} {
		if _, err := shake(t, s.TLS(SMTP), &tls.Config{RootCAs: roots(t, dir), ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := shake(t, s.TLS(SMTP), &tls.Config{RootCAs: roots(t, dir), ServerName: "other.example.test"}); err == nil {
		t.Error("another name was accepted")
	}
	for file, mode := range map[string]os.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "server.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || bytes.Contains(b, []byte("PRIVATE")) {
		t.Errorf("ca.pem tells the key (%v)", err)
	}
	if l := s.List(); len(l) != 1 || !l[0].Trial || strings.Join(l[0].Names, " ") != "mx.example.test localhost 127.0.0.1 ::1" {
		t.Errorf("%+v", l)
	}
}

func TestTrialIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openTrial(t, dir, "a.example.test").List()[0]
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if again := openTrial(t, dir, "a.example.test").List()[0]; !again.NotAfter.Equal(first.NotAfter) {
		t.Error("a good certificate was made anew")
	}
	if other := openTrial(t, dir, "b.example.test").List()[0]; other.Names[0] != "b.example.test" {
		t.Errorf("the new host name is not covered: %v", other.Names)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || !bytes.Equal(now, ca) {
		t.Errorf("the authority changed (%v)", err)
	}
}

// A changed name reaches the trial's certificate with the next handshake, and
// leaves a given one alone.
func TestTrialFollowsTheServersName(t *testing.T) {
	t.Parallel()
	var host atomic.Pointer[string]
	name := func(to string) { host.Store(&to) }
	name("a.example.test")
	dir := t.TempDir()
	given := files(t, "given.example.test")
	trial := &Trial{Dir: dir, Host: func() string { return *host.Load() }}
	s, err := Open(Options{Pairs: []Pair{given}, Trial: trial})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(given.Cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"b.example.test", "c.example.test", "a.example.test"} {
		name(to)
		var all sync.WaitGroup
		for range 4 { // at once: none may be shown the old name
			all.Go(func() {
				client := &tls.Config{RootCAs: roots(t, dir), ServerName: to}
				if _, err := shake(t, s.TLS(SMTP), client); err != nil {
					t.Errorf("%s: %v", to, err)
				}
			})
		}
		all.Wait()
	}
	if state, err := shake(t, s.TLS(SMTP), &tls.Config{InsecureSkipVerify: true}); err != nil || state.PeerCertificates[0].Subject.CommonName != "given.example.test" {
		t.Errorf("the given certificate is not the default any more: %v", err)
	}
	if after, err := os.ReadFile(given.Cert); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the given certificate was touched (%v)", err)
	}
}

func TestTrialMendsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"ca.pem", "ca-key.pem", "server.pem"} {
		for name, harm := range map[string]func(string) error{
			"missing":   os.Remove,
			"empty":     func(p string) error { return os.Truncate(p, 0) },
			"truncated": func(p string) error { return os.Truncate(p, 100) },
		} {
			dir := t.TempDir()
			openTrial(t, dir, "a.example.test")
			if err := harm(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			s := openTrial(t, dir, "a.example.test")
			if _, err := shake(t, s.TLS(SMTP), &tls.Config{RootCAs: roots(t, dir), ServerName: "a.example.test"}); err != nil {
				t.Errorf("%s %s: %v", file, name, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
				t.Errorf("temporary files: %v %v", left, err)
			}
		}
	}
}

func TestTrialIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openTrial(t, dir, "a.example.test")
		for range 24 { // two years of months, without a restart
			time.Sleep(30 * 24 * time.Hour)
			if _, err := s.Certificate(&tls.ClientHelloInfo{}); err != nil {
				t.Fatal(err)
			}
			if left := time.Until(s.List()[0].NotAfter); left < 0 {
				t.Fatalf("expired %s ago", -left)
			}
		}
		leaf, err := s.Certificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots(t, dir), DNSName: "a.example.test", CurrentTime: time.Now()}); err != nil {
			t.Error(err)
		}
	})
}

func TestOnlyModernTLSIsSpoken(t *testing.T) {
	t.Parallel()
	s := openTrial(t, t.TempDir(), "a.example.test")
	old := func(version uint16, suites ...uint16) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, CipherSuites: suites}
	}
	for name, client := range map[string]*tls.Config{
		"TLS 1.0": old(tls.VersionTLS10), "TLS 1.1": old(tls.VersionTLS11),
		"no forward secrecy": old(tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256),
		"CBC":                old(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA),
	} {
		if _, err := shake(t, s.TLS(SMTP), client); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if _, err := shake(t, s.TLS(SMTP), old(version)); err != nil {
			t.Errorf("%x: %v", version, err)
		}
	}
}

func TestProtocolsAreKeptApart(t *testing.T) {
	t.Parallel()
	s := openTrial(t, t.TempDir(), "a.example.test")
	offer := func(p Purpose, names ...string) (string, error) {
		state, err := shake(t, s.TLS(p), &tls.Config{InsecureSkipVerify: true, NextProtos: names})
		return state.NegotiatedProtocol, err
	}
	if got, err := offer(IMAP, "imap"); err != nil || got != "imap" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := offer(IMAP, "http/1.1"); err == nil {
		t.Error("a browser was let into IMAP")
	}
	if _, err := offer(IMAP); err != nil {
		t.Errorf("a client without ALPN: %v", err)
	}
	if got, err := offer(HTTP, "h2", "http/1.1"); err != nil || got != "h2" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSessionsAreResumed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTrial(t, dir, "a.example.test")
	client := &tls.Config{RootCAs: roots(t, dir), ServerName: "a.example.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for i, want := range []bool{false, true} {
		state, err := shake(t, s.TLS(SMTP), client)
		if err != nil || state.DidResume != want {
			t.Errorf("handshake %d: resumed %v, %v", i, state.DidResume, err)
		}
	}
}

// files makes a certificate of a throw-away authority in two files.
func files(t *testing.T, host string) Pair {
	t.Helper()
	trial := &Trial{Dir: t.TempDir(), Host: func() string { return host }}
	if _, err := trial.ensure(time.Now()); err != nil {
		t.Fatal(err)
	}
	return trial.pair()
}

func TestNameChoosesTheCertificate(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Pairs: []Pair{files(t, "one.example.test"), files(t, "two.example.test")}})
	if err != nil {
		t.Fatal(err)
	}
	for ask, want := range map[string]string{
		"one.example.test": "one.example.test", "two.example.test": "two.example.test",
		"unknown.example.test": "one.example.test", "": "one.example.test",
	} {
		state, err := shake(t, s.TLS(SMTP), &tls.Config{InsecureSkipVerify: true, ServerName: ask})
		if err != nil || state.PeerCertificates[0].Subject.CommonName != want {
			t.Errorf("%q: %v, %v", ask, state.PeerCertificates, err)
		}
	}
}

func TestSourceIsAskedFirst(t *testing.T) {
	t.Parallel()
	own, err := tls.LoadX509KeyPair(files(t, "acme.example.test").Cert, "")
	if err == nil {
		t.Fatal("loaded without a key", own)
	}
	acme := files(t, "acme.example.test")
	fromACME, err := tls.LoadX509KeyPair(acme.Cert, acme.Key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{
		Pairs: []Pair{files(t, "one.example.test")},
		Source: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if h.ServerName == "acme.example.test" {
				return &fromACME, nil
			}
			return nil, errors.New("not mine")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme.example.test", "one.example.test"} {
		state, err := shake(t, s.TLS(SMTP), &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil || state.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// swap puts the files of one pair in another's place, as a renewal does.
func swap(t *testing.T, from, to Pair) {
	t.Helper()
	b, err := os.ReadFile(from.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to.Cert, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChangedFilesAreTakenWithoutRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := files(t, "old.example.test")
		s, err := Open(Options{Pairs: []Pair{p}, Log: event.New(event.Handler(&log, event.Options{}))})
		if err != nil {
			t.Fatal(err)
		}
		served := func() string {
			c, err := s.Certificate(&tls.ClientHelloInfo{})
			if err != nil {
				t.Fatal(err)
			}
			return c.Leaf.Subject.CommonName
		}
		if err := os.WriteFile(p.Cert, []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(checkEvery)
			if got := served(); got != "old.example.test" {
				t.Errorf("bad files: %s", got)
			}
		}
		if n := strings.Count(log.String(), "certificate.failed"); n != 1 {
			t.Errorf("%d events for one bad change:\n%s", n, log.String())
		}
		swap(t, files(t, "new-name.example.test"), p)
		if got := served(); got != "old.example.test" {
			t.Errorf("the files were looked at again at once: %s", got)
		}
		time.Sleep(checkEvery)
		if got := served(); got != "new-name.example.test" {
			t.Errorf("good files: %s", got)
		}
		if err := os.Remove(p.Cert); err != nil {
			t.Fatal(err)
		}
		time.Sleep(checkEvery)
		if got := served(); got != "new-name.example.test" {
			t.Errorf("missing files: %s", got)
		}
	})
}

func TestReplaceIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Pairs: []Pair{files(t, "one.example.test")}})
	if err != nil {
		t.Fatal(err)
	}
	missing := Pair{filepath.Join(t.TempDir(), "x"), "y"}
	if err := s.Replace([]Pair{files(t, "two.example.test"), missing}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if got := s.List()[0].Names[0]; got != "one.example.test" {
		t.Errorf("after a failed Replace: %s", got)
	}
	if err := s.Replace([]Pair{files(t, "two.example.test")}); err != nil {
		t.Fatal(err)
	}
	if got := s.List()[0].Names[0]; got != "two.example.test" {
		t.Errorf("after Replace: %s", got)
	}
	if Check(missing) == nil {
		t.Error("Check finds nothing wrong with missing files")
	}
	empty, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Certificate(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
		t.Errorf("without certificates: %v", err)
	}
}

// witness is a connection that wants to know its certificate.
type witness struct {
	net.Conn
	leaf *x509.Certificate
}

func (w *witness) Served(c *x509.Certificate) { w.leaf = c }

func TestConnectionLearnsWhichCertificateWasServed(t *testing.T) {
	t.Parallel()
	s := openTrial(t, t.TempDir(), "a.example.test")
	w := &witness{}
	if _, err := s.get(&tls.ClientHelloInfo{Conn: w}); err != nil || w.leaf == nil {
		t.Errorf("%v, %v", w.leaf, err)
	}
}

func TestExpiryIsWarnedAboutOnceADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := Open(Options{Pairs: []Pair{files(t, "a.example.test")}, Log: event.New(event.Handler(&log, event.Options{}))})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(serverLife - backdate - warnBefore + time.Minute)
		for range 5 {
			if _, err := s.Certificate(&tls.ClientHelloInfo{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Hour)
		}
		if n := strings.Count(log.String(), "certificate.expiring"); n != 2 {
			t.Errorf("%d warnings in 50 hours", n)
		}
	})
}
