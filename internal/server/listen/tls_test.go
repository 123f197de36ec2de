package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/cert"
)

// certificates returns a trial's store and what a client needs to trust it.
func certificates(t *testing.T) (*cert.Store, *tls.Config) {
	t.Helper()
	trial := &cert.Trial{Dir: t.TempDir(), Host: func() string { return "mx.example.test" }}
	store, err := cert.Open(cert.Options{Trial: trial})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(trial.CA())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return store, &tls.Config{RootCAs: pool, ServerName: "mx.example.test"}
}

// openTLS starts an implicit TLS listener.
func openTLS(t *testing.T, name string, srv Server, config *tls.Config, o Options) (*Group, string) {
	t.Helper()
	sockets, err := Open(t.Context(), []Spec{{name, "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(o)
	if err := g.Start(sockets[0], srv, nil); err == nil {
		t.Error("an implicit TLS listener started without certificate")
	}
	if err := g.Start(sockets[0], srv, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop(context.Background()) })
	return g, sockets[0].Address()
}

func TestImplicitTLSComesBeforeTheSession(t *testing.T) {
	t.Parallel()
	store, trust := certificates(t)
	srv := &echo{}
	_, addr := openTLS(t, "imaps", srv, store.TLS(cert.IMAP), Options{Proxies: loopback})
	raw := dial(t, addr)
	if _, err := io.WriteString(raw, header(t, 1, "192.0.2.1:4321", "192.0.2.2:993")); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw.Conn, trust)
	(&client{t, c, bufio.NewReader(c)}).expect("220 192.0.2.1:4321")
	seen := srv.last()
	if s := seen.TLS(); s == nil || s.Version != tls.VersionTLS13 || seen.Leaf() == nil || seen.Leaf().DNSNames[0] != "mx.example.test" {
		t.Errorf("state %+v, leaf %v", s, seen.Leaf())
	}
}

// A client may bind its login to the certificate that a resumed session does
// not show. A session from before a renewal, which would be bound to the old
// one, is not resumed.
func TestAResumedSessionKnowsItsCertificate(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			var name atomic.Pointer[string]
			host := "mx.example.test"
			name.Store(&host)
			store, err := cert.Open(cert.Options{Trial: &cert.Trial{Dir: t.TempDir(), Host: func() string { return *name.Load() }}})
			if err != nil {
				t.Fatal(err)
			}
			srv := &echo{}
			_, addr := openTLS(t, "imaps", srv, store.TLS(cert.IMAP), Options{})
			config := &tls.Config{InsecureSkipVerify: true, ServerName: host, ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: version}
			connect := func(resumed bool) {
				t.Helper()
				c := tls.Client(dial(t, addr).Conn, config)
				(&client{t, c, bufio.NewReader(c)}).expect("220")
				state := c.ConnectionState()
				if leaf := srv.last().Leaf(); state.DidResume != resumed || leaf == nil || !leaf.Equal(state.PeerCertificates[0]) {
					t.Errorf("resumed %v, not %v; leaf %v", state.DidResume, resumed, leaf)
				}
			}
			connect(false)
			connect(true)
			connect(true)
			renamed := "other.example.test"
			name.Store(&renamed)
			connect(false)
			connect(true)
		})
	}
}

func TestSilentHandshakeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	store, _ := certificates(t)
	_, addr := openTLS(t, "imaps", &echo{}, store.TLS(cert.IMAP), Options{HandshakeTimeout: 20 * time.Millisecond})
	if _, err := dial(t, addr).r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestStopReachesTLSSessions(t *testing.T) {
	t.Parallel()
	store, trust := certificates(t)
	g, addr := openTLS(t, "imaps", &echo{}, store.TLS(cert.IMAP), Options{})
	c := tls.Client(dial(t, addr).Conn, trust)
	lines := &client{t, c, bufio.NewReader(c)}
	lines.expect("220")
	if n := g.Stop(t.Context()); n != 0 {
		t.Errorf("%d were cut", n)
	}
	lines.expect("421 4.3.2")
}

// upgrader starts TLS when the client says so.
type upgrader struct{ config *tls.Config }

func (u upgrader) Serve(ctx context.Context, c *Conn) {
	_, _ = io.WriteString(c, "220\r\n")
	if err := c.StartTLS(ctx, u.config, time.Minute); err != nil {
		return
	}
	if c.StartTLS(ctx, u.config, time.Minute) == nil {
		return // twice must not work
	}
	_, _ = io.WriteString(c, "secret\r\n")
}

func (upgrader) Refuse(Reason, Info) []byte { return nil }

func TestStartTLSReplacesTheStream(t *testing.T) {
	t.Parallel()
	store, trust := certificates(t)
	_, addr := openOn(t, "smtp", upgrader{store.TLS(cert.SMTP)}, Options{})
	plain := dial(t, addr)
	plain.expect("220")
	c := tls.Client(plain.Conn, trust)
	(&client{t, c, bufio.NewReader(c)}).expect("secret")
}

func TestHTTPFinishesRequestsAtStop(t *testing.T) {
	t.Parallel()
	store, trust := certificates(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		select {
		case <-finish:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, r.RemoteAddr+" "+r.Proto+" "+r.TLS.ServerName)
	})
	mux.HandleFunc("/fast", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	h := NewHTTP(&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, nil)
	g, addr := openTLS(t, "imaps", h, store.TLS(cert.HTTP), Options{})

	transport := &http.Transport{TLSClientConfig: trust}
	defer transport.CloseIdleConnections()
	idle := &http.Transport{TLSClientConfig: trust.Clone()}
	defer idle.CloseIdleConnections()
	get := func(tr *http.Transport, path string) (string, error) {
		resp, err := (&http.Client{Transport: tr}).Get("https://" + addr + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close() //nolint:errcheck // read to the end
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if got, err := get(idle, "/fast"); err != nil || got != "ok" {
		t.Fatalf("%q, %v", got, err)
	}
	type result struct {
		text string
		err  error
	}
	slow := make(chan result)
	go func() {
		text, err := get(transport, "/slow")
		slow <- result{text, err}
	}()
	<-begun
	stopped := make(chan int)
	go func() { stopped <- g.Stop(context.Background()) }()
	waitFor(t, func() bool { return g.ctx.Err() != nil })
	close(finish)
	if got := <-slow; got.err != nil || !strings.HasPrefix(got.text, "127.0.0.1:") || !strings.HasSuffix(got.text, "mx.example.test") {
		t.Errorf("%+v", got)
	}
	if n := <-stopped; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// A handler that panics costs its request, and is told in the log.
func TestAPanicOfAHandlerIsInTheLog(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	h := NewHTTP(&http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("asked to") })}, event.New(event.Handler(&log, event.Options{})))
	g, addr := openOn(t, "http", h, Options{})
	_, err := http.Get("http://" + addr)
	if err == nil {
		t.Error("the request was answered")
	}
	g.Stop(t.Context())
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if got := log.String(); !strings.Contains(got, "api.failed") || !strings.Contains(got, "asked to") {
		t.Errorf("logged %q", got)
	}
}
