package listen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("POSTHORN_LISTEN_CHILD"); child != "" {
		os.Exit(runChild(child))
	}
	goleak.VerifyTestMain(m)
}

// echo greets and repeats lines: enough protocol to see what a client sees.
type echo struct {
	mu   sync.Mutex
	seen []*Conn
	// login, with an ID, is who the client is that says LOGIN.
	login store.AccountRow
}

func (e *echo) Serve(ctx context.Context, c *Conn) {
	e.mu.Lock()
	e.seen = append(e.seen, c)
	e.mu.Unlock()
	_, _ = fmt.Fprintf(c, "220 %s\r\n", c.From())
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		switch {
		case ctx.Err() != nil:
			_, _ = io.WriteString(c, "421 4.3.2 goodbye\r\n")
			return
		case err != nil:
			return
		case line == "PANIC\r\n":
			panic("asked to")
		case line == "SHIELD\r\n":
			c.Shield(true)
		case line == "UNSHIELD\r\n":
			c.Shield(false)
		case line == "LOGIN\r\n" && e.login.ID != 0:
			c.LoggedIn(e.login)
		}
		_, _ = io.WriteString(c, line)
	}
}

func (e *echo) Refuse(reason Reason, info Info) []byte {
	return []byte("421 4.3.2 " + reason.String() + "\r\n")
}

func (e *echo) last() *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[len(e.seen)-1]
}

// openOn starts a group with one listener on loopback.
func openOn(t *testing.T, name string, srv Server, o Options) (*Group, string) {
	t.Helper()
	sockets, err := Open(t.Context(), []Spec{{name, "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // tests that care stop the group themselves
		g.Stop(ctx)
	})
	if err := g.Start(sockets[0], srv, nil); err != nil {
		t.Fatal(err)
	}
	return g, sockets[0].Address()
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) expect(prefix string) string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		c.t.Errorf("got %q (%v), want %q", line, err, prefix)
	}
	return line
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		c.t.Error(err)
	}
}

func limits(l Limits) func() Limits { return func() Limits { return l } }

func TestRealAddressIsReported(t *testing.T) {
	t.Parallel()
	srv := &echo{}
	_, addr := openOn(t, "smtp", srv, Options{})
	if strings.HasSuffix(addr, ":0") {
		t.Errorf("address %s", addr)
	}
	c := dial(t, addr)
	c.expect("220 " + c.LocalAddr().String())
	seen := srv.last()
	if seen.Listener != "smtp" || seen.Local.String() != addr || seen.Session.IsZero() || seen.Proxied() || seen.TLS() != nil {
		t.Errorf("info %+v", seen.Info)
	}
}

func TestStopTellsSessionsAndLetsTransfersFinish(t *testing.T) {
	t.Parallel()
	g, addr := openOn(t, "smtp", &echo{}, Options{})
	idle, busy := dial(t, addr), dial(t, addr)
	idle.expect("220")
	busy.expect("220")
	busy.say("SHIELD")
	busy.expect("SHIELD")
	cut := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cut <- g.Stop(ctx)
	}()
	idle.expect("421 4.3.2")
	busy.say("more")
	busy.expect("421") // the session saw its context at the next line, which it could still read
	if n := <-cut; n != 0 {
		t.Errorf("%d sessions were cut", n)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the listener is still open")
	}
	if err := g.Start(&Socket{Name: Name{Name: "smtp"}}, &echo{}, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Stop: %v", err)
	}
}

// stubborn ignores its context.
type stubborn struct{ echo }

func (s *stubborn) Serve(_ context.Context, c *Conn) {
	c.Shield(true)
	_, _ = io.WriteString(c, "220\r\n")
	_, _ = io.Copy(io.Discard, c)
}

func TestStopCutsWhoDoesNotListen(t *testing.T) {
	t.Parallel()
	g, addr := openOn(t, "smtp", &stubborn{}, Options{})
	dial(t, addr).expect("220")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if n := g.Stop(ctx); n != 1 {
		t.Errorf("%d were cut, want 1", n)
	}
}

// TestStopEndsAThousandSessions is hostile input 50.
func TestStopEndsAThousandSessions(t *testing.T) {
	g, addr := openOn(t, "smtp", &echo{}, Options{})
	clients := make([]*client, 1000)
	for i := range clients {
		clients[i] = dial(t, addr)
	}
	for _, c := range clients {
		c.expect("220")
	}
	start := time.Now()
	if n := g.Stop(t.Context()); n != 0 {
		t.Errorf("%d sessions were cut", n)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("stopping took %s", d)
	}
	for _, c := range clients {
		c.expect("421 4.3.2")
	}
}

func TestHostsAreBoundUnlessExempt(t *testing.T) {
	t.Parallel()
	exempt := false
	_, addr := openOn(t, "smtp", &echo{}, Options{
		Limits: limits(Limits{PerHost: 1}),
		Exempt: func(netip.Addr) bool { return exempt },
	})
	first := dial(t, addr)
	first.expect("220")
	dial(t, addr).expect("421 4.3.2 connection limit of one host")
	_ = first.Close()
	waitFor(t, func() bool {
		c := dial(t, addr)
		line, _ := c.r.ReadString('\n')
		return strings.HasPrefix(line, "220")
	})
}

func TestLimitsAreAskedEachTime(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	l := Limits{PerListener: 1}
	_, addr := openOn(t, "smtp", &echo{}, Options{Limits: func() Limits { mu.Lock(); defer mu.Unlock(); return l }})
	dial(t, addr).expect("220")
	dial(t, addr).expect("421 4.3.2 connection limit")
	mu.Lock()
	l.PerListener = 2
	mu.Unlock()
	dial(t, addr).expect("220")
}

func TestMemoryPressureIsToldPolitely(t *testing.T) {
	t.Parallel()
	g, addr := openOn(t, "smtp", &echo{}, Options{Tight: func() bool { return true }})
	dial(t, addr).expect("421 4.3.2 memory")
	if s := g.Stats(); s.Refused != 1 || s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPanicEndsOneSession(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	_, addr := openOn(t, "smtp", &echo{}, Options{Log: event.New(event.Handler(&out, event.Options{}))})
	other, victim := dial(t, addr), dial(t, addr)
	other.expect("220")
	victim.expect("220")
	victim.say("PANIC")
	if _, err := victim.r.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("after the panic: %v", err)
	}
	other.say("hello")
	other.expect("hello")
	if !strings.Contains(out.String(), "server.panic") {
		t.Errorf("no event: %s", out.String())
	}
}

func TestUnixSocketsServeAndStaleOnesGo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lmtp.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if _, err := Open(t.Context(), []Spec{{"lmtp", path}}); err == nil {
		t.Error("a socket in use was taken over")
	}
	_ = stale.Close()
	sockets, err := Open(t.Context(), []Spec{{"lmtp", "unix:" + path}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(Options{Limits: limits(Limits{PerHost: 1})})
	if err := g.Start(sockets[0], &echo{}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a Unix socket has no hosts to count
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // only read
		(&client{t, c, bufio.NewReader(c)}).expect("220 unix")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
	g.Stop(t.Context())
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file is left behind: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), []Spec{{"lmtp", path}}); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file was taken for a socket: %v", err)
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"smtp=:25":               "tcp :25",
		"smtp=0.0.0.0":           "tcp4 0.0.0.0:25",
		"imaps=[::]":             "tcp6 [::]:993",
		"smtp=[2001:db8::1]:26":  "tcp6 [2001:db8::1]:26",
		"http=localhost:0":       "tcp4 127.0.0.1:0",
		"lmtp=/run/lmtp":         "unix /run/lmtp",
		"lmtp=unix:lmtp":         "unix lmtp",
		"smtp":                   "error",
		"smtp=":                  "error",
		"fax=:25":                "error",
		"smtp=mail.example:25":   "error",
		"smtp=127.0.0.1:smtp":    "error",
		"smtp=127.0.0.1:70000":   "error",
		"smtp=127.0.0.1:-1":      "error",
		"lmtp=unix:":             "error",
		"smtp=127.0.0.1.1:25":    "error",
		"smtp=2001:db8::1:25:25": "tcp6 [2001:db8::1:25:25]:25",
	} {
		spec, err := ParseSpec(in)
		got := "error"
		if err == nil {
			network, addr, _ := spec.resolve()
			got = network + " " + addr
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestOpenIsAllOrNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only held
	path := filepath.Join(t.TempDir(), "s")
	_, err = Open(t.Context(), []Spec{{"lmtp", path}, {"smtp", taken.Addr().String()}})
	if err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the first socket stayed open")
	}
}

// lockedBuffer is a bytes.Buffer for two goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// waitFor polls for a state that arrives with a real network event.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within 10 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
