package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosasl "github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"posthorn/internal/base/passwd"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/wire/sasl"
)

// peer is another implementation's server on loopback.
type peer struct {
	t     *testing.T
	cert  tls.Certificate
	offer []sasl.Mechanism
	mu    sync.Mutex
	got   []*delivery
}

type delivery struct {
	peer     *peer
	conn     *gosmtp.Conn
	login    string
	from     string
	to       []string
	mail     gosmtp.MailOptions
	contents []byte
	tls      bool
}

func (d *delivery) Reset()        {}
func (d *delivery) Logout() error { return nil }

func (d *delivery) Mail(from string, o *gosmtp.MailOptions) error {
	d.from, d.mail = from, *o
	_, d.tls = d.conn.TLSConnectionState()
	return nil
}

func (d *delivery) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "unknown"}
	}
	d.to = append(d.to, to)
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.peer.mu.Lock()
	defer d.peer.mu.Unlock()
	kept := *d
	kept.contents = b
	d.peer.got = append(d.peer.got, &kept)
	d.to = nil
	return nil
}

func (d *delivery) AuthMechanisms() []string {
	var out []string
	for _, m := range d.peer.offer {
		out = append(out, string(m))
	}
	return out
}

func (d *delivery) Auth(mechanism string) (gosasl.Server, error) {
	state, _ := d.conn.TLSConnectionState()
	s, err := sasl.NewServer(mechanism, sasl.Config{
		Verifier: book{}, Offered: d.peer.offer, Secret: []byte("secret"), Binding: sasl.ServerBinding(&state, d.peer.cert.Leaf),
	})
	return &loginExchange{s, d}, err
}

type loginExchange struct {
	sasl.Server
	d *delivery
}

func (l *loginExchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := l.Server.Next(context.Background(), response)
	if done {
		l.d.login = string(l.Identity().Mechanism)
	}
	if err != nil {
		err = gosmtp.ErrAuthFailed
	}
	return challenge, done, err
}

// book knows one user.
type book struct{}

func (book) VerifyPassword(_ context.Context, name, password string) (string, error) {
	if name != "user" || password != "päss" {
		return "", sasl.ErrCredentials
	}
	return name, nil
}

func (book) Scram(_ context.Context, name string, h passwd.ScramHash) (string, passwd.Scram, error) {
	if name != "user" {
		return "", passwd.Scram{}, sasl.ErrCredentials
	}
	s, err := passwd.DeriveScram(h, "päss", []byte("salt and more salt"), 4096)
	return name, s, err
}

// start serves on loopback until the test ends.
func (p *peer) start(implicit bool) uint16 {
	s := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) { return &delivery{peer: p, conn: c}, nil }))
	s.Domain, s.EnableDSN, s.EnableBINARYMIME, s.EnableSMTPUTF8, s.EnableREQUIRETLS = "peer.test", true, true, true, true
	s.AllowInsecureAuth = true
	s.ErrorLog = quiet{}
	var d net.Listener
	d, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	if c := (&tls.Config{Certificates: []tls.Certificate{p.cert}}); implicit {
		d = tls.NewListener(d, c)
	} else if p.cert.Leaf != nil {
		s.TLSConfig = c
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(d) }()
	p.t.Cleanup(func() {
		_ = s.Close() // with connections open it says so
		if err := <-ended; err != nil && !errors.Is(err, gosmtp.ErrServerClosed) {
			p.t.Error(err)
		}
	})
	return uint16(d.Addr().(*net.TCPAddr).Port)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// TestAnotherImplementationTakesOurMail: TLS, every login mechanism, and the
// extensions, over real sockets.
func TestAnotherImplementationTakesOurMail(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "localhost")
	for name, c := range map[string]struct {
		offer  []sasl.Mechanism
		clear  bool
		secure bool
		want   string
		login  string
	}{
		"no login":                  {want: "delivered", secure: true},
		"SCRAM-SHA-256-PLUS":        {offer: []sasl.Mechanism{sasl.Plain, sasl.ScramSHA256, sasl.ScramSHA256Plus}, secure: true, want: "delivered", login: "SCRAM-SHA-256-PLUS"},
		"SCRAM-SHA-256":             {offer: []sasl.Mechanism{sasl.Plain, sasl.ScramSHA1, sasl.ScramSHA256}, secure: true, want: "delivered", login: "SCRAM-SHA-256"},
		"SCRAM-SHA-1":               {offer: []sasl.Mechanism{sasl.ScramSHA1, sasl.Login}, secure: true, want: "delivered", login: "SCRAM-SHA-1"},
		"SCRAM-SHA-256, clear text": {offer: []sasl.Mechanism{sasl.ScramSHA256}, clear: true, want: "delivered", login: "SCRAM-SHA-256"},
		"PLAIN":                     {offer: []sasl.Mechanism{sasl.Plain, sasl.Login}, secure: true, want: "delivered", login: "PLAIN"},
		"LOGIN":                     {offer: []sasl.Mechanism{sasl.Login}, secure: true, want: "delivered", login: "LOGIN"},
		"PLAIN in clear text":       {offer: []sasl.Mechanism{sasl.Plain, sasl.Login}, clear: true, want: "deferred"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &peer{t: t, offer: c.offer}
			if !c.clear {
				p.cert = cert
			}
			relay := route.Relay{Hosts: []string{"localhost"}, Port: p.start(false), Secure: c.secure}
			if c.offer != nil {
				relay.User, relay.Password = "user", "päss"
			}
			w := &world{t: t, addr: map[string]any{"localhost": "127.0.0.1"}}
			d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: defaults, RootCAs: roots})
			defer d.Close()
			j := viaRelay(relay)
			for range 2 { // the second over the same connection
				results, _ := d.Deliver(t.Context(), j)
				if len(results) != 1 || !strings.HasPrefix(fate(results[0]), c.want) {
					t.Fatalf("%+v", results)
				}
			}
			if c.want != "delivered" {
				return
			}
			if len(p.got) != 2 || p.got[0].conn != p.got[1].conn || p.got[0].login != c.login || p.got[0].tls == c.clear {
				t.Fatalf("%+v", p.got)
			}
			if got, want := string(p.got[0].contents), "Received: by me.test\r\n"+text; got != want || p.got[0].from != "a@here.test" || p.got[0].to[0] != "b@far.test" {
				t.Errorf("%q from %s", got, p.got[0].from)
			}
		})
	}
}

func TestAnotherImplementationTakesWhatNeedsExtensions(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "localhost")
	p := &peer{t: t, cert: cert}
	w := &world{t: t, addr: map[string]any{"localhost": "127.0.0.1"}}
	d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: defaults, RootCAs: roots})
	defer d.Close()
	j := viaRelay(route.Relay{Hosts: []string{"localhost"}, Port: p.start(false)})
	m := &j.Claim.Message
	m.RequireTLS, m.SMTPUTF8, m.Binary, m.Return, m.EnvelopeID = true, true, true, "FULL", "id 1"
	m.Recipients[0].Address.Local = "bä"
	binary := bytes.Repeat([]byte("Subject: x\r\n\r\na\x00\n\r.\r\n.\xff"), 100_000)
	other := job(string(binary))
	m.Meta, j.Claim.BodyOpener = other.Claim.Message.Meta, other.Claim.BodyOpener
	results, err := d.Deliver(t.Context(), j)
	if err != nil || results[0].Fate != queue.Delivered || !results[0].Aware {
		t.Fatalf("%+v %v", results, err)
	}
	got := p.got[0]
	if !bytes.Equal(got.contents, append([]byte("Received: by me.test\r\n"), binary...)) {
		t.Errorf("%d octets arrived of %d", len(got.contents), len(binary))
	}
	if o := got.mail; !got.tls || !o.RequireTLS || !o.UTF8 || o.Body != gosmtp.BodyBinaryMIME || o.Return != gosmtp.DSNReturnFull || o.EnvelopeID != "id 1" || got.to[0] != "bä@far.test" {
		t.Errorf("%+v %v", o, got.to)
	}
}

func TestAHostOnLoopbackIsReachedByMX(t *testing.T) {
	t.Parallel()
	p := &peer{t: t}
	w := &world{t: t, mx: map[string]any{"far.test": "10 localhost"}, addr: map[string]any{"localhost": "127.0.0.1"}}
	d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: defaults, Port: p.start(false)})
	defer d.Close()
	results, err := d.Deliver(t.Context(), job(text, "b", "nobody", "c"))
	if err != nil || len(results) != 3 || len(p.got) != 1 || len(p.got[0].to) != 2 {
		t.Errorf("%+v %v", results, err)
	}
}

func TestTLSFromTheFirstOctetOverSockets(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "localhost")
	p := &peer{t: t, cert: cert}
	port := p.start(true)
	w := &world{t: t, addr: map[string]any{"localhost": "127.0.0.1"}}
	d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: defaults, RootCAs: roots,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		}})
	defer d.Close()
	results, err := d.Deliver(t.Context(), viaRelay(route.Relay{Hosts: []string{"localhost"}, Port: 465, Secure: true}))
	if err != nil || results[0].Fate != queue.Delivered || !p.got[0].tls {
		t.Errorf("%+v %v", results, err)
	}
}

// outOfStep serves one connection: it takes a message and, when told to, says
// something that nobody asked for.
func outOfStep(conn net.Conn, speak <-chan struct{}, spoken chan<- struct{}) {
	in := bufio.NewScanner(conn)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") } // the client says what went wrong
	say("220 mx")
	for _, reply := range []string{"250 mx", "250 ok", "250 ok", "354 go"} {
		in.Scan()
		say(reply)
	}
	for in.Scan() && in.Text() != "." {
	}
	say("250 2.0.0 taken")
	<-speak
	say("250 ok")
	spoken <- struct{}{}
	_, _ = io.Copy(io.Discard, conn)
}

// What waits in a real socket is seen before the connection is used again.
func TestAReplyToNothingInASocketEndsTheConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	speak, spoken := make(chan struct{}), make(chan struct{}, 1)
	var hosts sync.WaitGroup
	hosts.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			hosts.Go(func() {
				defer func() { _ = conn.Close() }()
				outOfStep(conn, speak, spoken)
			})
		}
	})
	w := &world{t: t, mx: map[string]any{"far.test": "10 localhost"}, addr: map[string]any{"localhost": "127.0.0.1"}}
	d := New(Options{Resolver: w, Hostname: func() string { return "me.test" }, Settings: defaults, Port: uint16(l.Addr().(*net.TCPAddr).Port)})
	for i := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		results, err := d.Deliver(ctx, job(text))
		if err != nil || results[0].Fate != queue.Delivered {
			t.Fatalf("message %d: %+v %v", i, results, err)
		}
		if i == 0 {
			speak <- struct{}{}
			<-spoken
		}
	}
	close(speak)
	d.Close()
	_ = l.Close()
	hosts.Wait()
}
