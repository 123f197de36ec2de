// Package cert holds the server's TLS certificates and says which one a
// client is shown. Certificates come from PEM files, which are read again when
// they change; from a source such as ACME; and, for a trial, from a local
// authority made at the first start:
//
//	DIR/tls/ca.pem       the authority's certificate, to be trusted by clients
//	DIR/tls/ca-key.pem   its key and certificate, 0600
//	DIR/tls/server.pem   the server's key and certificate chain, 0600
//
// It stands before a message's way: the doors ask it for a tls.Config. It
// knows no socket and no protocol beyond the ALPN names.
package cert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
)

// Pair names the PEM files of one certificate: the chain, leaf first, and the
// key. Both may be the same file.
type Pair struct {
	Cert, Key string
}

// Options of Open.
type Options struct {
	// Pairs are the certificates to load, the default one first.
	Pairs []Pair
	// Trial makes and renews certificates by a local authority; used when no
	// pair fits.
	Trial *Trial
	// Source is asked first, for certificates made by ACME; nil, or nil
	// without error, for none.
	Source func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Log    *event.Logger
}

// checkEvery is how often, at most, a handshake looks at the files.
const checkEvery = 2 * time.Second

// warnBefore is how long before its expiry a certificate is warned about.
const warnBefore = 14 * 24 * time.Hour

// ErrNone is returned by handshakes when there is no certificate at all.
var ErrNone = errors.New("cert: no certificate is set up")

// Store holds the certificates. Use Open.
type Store struct {
	source func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	log    *event.Logger
	trial  *Trial

	current atomic.Pointer[[]*loaded]
	checked atomic.Int64           // Unix nanoseconds of the last look at the files
	named   atomic.Pointer[string] // the name the trial's certificate was last made for

	mu      sync.Mutex       // guards what follows: one goroutine reloads
	failed  map[Pair]version // files that could not be used, not to be tried again
	warned  time.Time
	ensured time.Time // when the trial's certificate was last seen to
	configs [purposes]*tls.Config
}

// Open loads all certificates. A pair that cannot be used is an error here;
// later, while the server runs, it is an event and the old one stays.
func Open(o Options) (*Store, error) {
	s := &Store{source: o.Source, log: o.Log, trial: o.Trial, failed: map[Pair]version{}}
	pairs := slices.Clone(o.Pairs)
	if s.trial != nil {
		host := s.trial.Host()
		s.named.Store(&host)
		if _, err := s.trial.ensure(time.Now()); err != nil {
			return nil, err
		}
		s.ensured = time.Now().Round(0)
		pairs = append(pairs, s.trial.pair())
	}
	if err := s.take(pairs); err != nil {
		return nil, err
	}
	s.checked.Store(time.Now().UnixNano())
	return s, nil
}

// Certificate chooses what the client is shown: by the name it asks for, the
// first certificate it can use; without a match the default one, because
// many mail clients connect by another name and check by their own rules.
func (s *Store) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.source != nil {
		if c, err := s.source(hello); c != nil && err == nil {
			return c, nil
		}
	}
	s.refresh()
	return choose(*s.current.Load(), hello)
}

// get is the hook of tls.Config. It tells the connection which certificate
// was served, because tls.ConnectionState does not (tls-server-end-point).
func (s *Store) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := s.Certificate(hello)
	if err != nil {
		return nil, err
	}
	if conn, ok := hello.Conn.(interface{ Served(*x509.Certificate) }); ok && c.Leaf != nil {
		conn.Served(c.Leaf)
	}
	return c, nil
}

func choose(set []*loaded, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(set) == 0 {
		return nil, ErrNone
	}
	var usable *loaded
	for _, l := range set {
		if hello.SupportsCertificate(&l.cert) == nil { // checks the name too
			return &l.cert, nil
		}
		if usable == nil && supportsKey(hello, l) {
			usable = l
		}
	}
	if usable == nil {
		usable = set[0]
	}
	return &usable.cert, nil
}

// supportsKey reports whether the client could use the certificate if it had
// asked for no name.
func supportsKey(hello *tls.ClientHelloInfo, l *loaded) bool {
	anonymous := *hello
	anonymous.ServerName = ""
	return anonymous.SupportsCertificate(&l.cert) == nil
}

// refresh reloads changed files, at most every checkEvery and by one
// handshake; the others go on with what is there.
func (s *Store) refresh() {
	s.rename()
	now := time.Now()
	last := s.checked.Load()
	if since := now.UnixNano() - last; since >= 0 && since < int64(checkEvery) {
		return
	}
	if !s.checked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload(now)
}

// rename has the trial's certificate carry the server's name of now. Handshakes
// wait for it: a name is in force once its change was answered (M-GEN-13).
func (s *Store) rename() {
	if s.trial == nil || s.trial.Host() == *s.named.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	host := s.trial.Host()
	if host == *s.named.Load() {
		return
	}
	s.ensured = time.Time{}
	s.reload(time.Now())
	s.named.Store(&host)
}

// reload looks at the files; mu is held.
func (s *Store) reload(now time.Time) {
	old := *s.current.Load()
	if s.trial != nil && s.due(now) {
		if renewed, err := s.trial.ensure(now); err != nil {
			s.log.Log(event.CertificateFailed, slog.String("what", "trial"), event.Err(err))
		} else if renewed {
			s.log.Log(event.CertificateRenewed, slog.String("file", s.trial.pair().Cert))
			old = s.outdated(old)
		}
	}
	set := slices.Clone(old)
	for i, l := range old {
		if fresh := s.again(l); fresh != nil {
			set[i] = fresh
		}
	}
	s.current.Store(&set)
	s.warn(now, set)
}

// outdated has the trial's certificate loaded whatever its file looks like: two
// made in one tick of the clock may be of one size.
func (s *Store) outdated(set []*loaded) []*loaded {
	set = slices.Clone(set)
	for i, l := range set {
		if l.pair == s.trial.pair() {
			set[i] = &loaded{pair: l.pair, cert: l.cert, sum: l.sum}
		}
	}
	return set
}

// due reports, once an hour of the wall clock, forwards or backwards, that the
// trial's certificate is to be looked at.
func (s *Store) due(now time.Time) bool {
	now = now.Round(0)
	if now.Sub(s.ensured).Abs() < time.Hour {
		return false
	}
	s.ensured = now
	return true
}

// again loads the pair anew if its files changed and can be used, else nil.
func (s *Store) again(l *loaded) *loaded {
	v, err := l.pair.version()
	if err == nil && (v == l.version || v == s.failed[l.pair]) {
		return nil
	}
	var fresh *loaded
	if err == nil {
		fresh, err = load(l.pair)
	}
	if err != nil {
		// A missing file has the zero version: told once, not every 2 s.
		if seen, ok := s.failed[l.pair]; !ok || seen != v {
			s.log.Log(event.CertificateFailed, slog.String("file", l.pair.Cert), event.Err(err))
			s.failed[l.pair] = v
		}
		return nil
	}
	delete(s.failed, l.pair)
	s.announce(fresh)
	return fresh
}

func (s *Store) announce(l *loaded) {
	s.log.Log(event.CertificateLoaded, slog.String("file", l.pair.Cert),
		slog.String("names", strings.Join(l.names(), " ")), slog.Time("expires", l.cert.Leaf.NotAfter))
}

// warn tells once a day about certificates that run out.
func (s *Store) warn(now time.Time, set []*loaded) {
	if !s.warned.IsZero() && now.Sub(s.warned) < 24*time.Hour {
		return
	}
	for _, l := range set {
		if now.Add(warnBefore).After(l.cert.Leaf.NotAfter) {
			s.warned = now
			s.log.Log(event.CertificateExpiring, slog.String("file", l.pair.Cert), slog.Time("expires", l.cert.Leaf.NotAfter))
		}
	}
}

// Replace takes other pairs from now on. If one cannot be used nothing
// changes and the error says which.
func (s *Store) Replace(pairs []Pair) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pairs = slices.Clone(pairs)
	if s.trial != nil {
		pairs = append(pairs, s.trial.pair())
	}
	return s.take(pairs)
}

// take loads all pairs and puts them in force, or none.
func (s *Store) take(pairs []Pair) error {
	set := make([]*loaded, 0, len(pairs))
	for _, p := range pairs {
		l, err := load(p)
		if err != nil {
			return err
		}
		set = append(set, l)
	}
	for _, l := range set {
		s.announce(l)
	}
	clear(s.failed)
	s.current.Store(&set)
	return nil
}

// Info describes one certificate for status pages.
type Info struct {
	File      string
	Names     []string
	Issuer    string
	NotBefore time.Time
	NotAfter  time.Time
	Trial     bool // made by the local authority, trusted by nobody else
}

// List describes the certificates in use, the default one first.
func (s *Store) List() []Info {
	var all []Info
	for _, l := range *s.current.Load() {
		leaf := l.cert.Leaf
		all = append(all, Info{
			File: l.pair.Cert, Names: l.names(), Issuer: leaf.Issuer.String(),
			NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
			Trial: s.trial != nil && l.pair == s.trial.pair(),
		})
	}
	return all
}

// Check reports whether the pair could be used, for settings forms.
func Check(p Pair) error {
	_, err := load(p)
	if err != nil {
		return fmt.Errorf("this certificate cannot be used: %w", err)
	}
	return nil
}
