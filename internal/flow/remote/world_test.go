package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/mime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func defaults() *Settings {
	return &Settings{
		ConnectTimeout: 30 * time.Second, ClearFallback: true, Family: "auto", Connections: 200,
		Reuse: Reuse{Idle: 30 * time.Second, Connections: 50, Messages: 100},
	}
}

// world is a network in memory: names, and hosts that follow dialogues.
type world struct {
	t   *testing.T
	d   *Deliverer
	set *Settings
	// mx and addr answer look-ups: a string is a list, an error an error.
	mx, addr map[string]any
	signed   bool
	// hosts are the dialogues of successive connections to "192.0.2.1:25"; a
	// host without any refuses connections, "silent" never answers.
	hosts map[string][]string
	cert  tls.Certificate
	ca    *x509.CertPool
	own   []netip.Addr

	mu       sync.Mutex
	dialled  []string
	looked   []string
	contents []string
	open     int
	playing  sync.WaitGroup
}

// inWorld runs a test in virtual time and sees that nothing is left over.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, set: defaults(), mx: map[string]any{}, addr: map[string]any{}, hosts: map[string][]string{}}
		w.d = New(Options{
			Resolver: w, Hostname: func() string { return "me.test" }, Settings: func() *Settings { return w.set },
			Own: func() []netip.Addr { return w.own }, Dial: w.dial,
		})
		test(w)
		w.d.Close()
		w.playing.Wait()
		if w.open != 0 || w.d.pool.open != 0 {
			t.Errorf("%d connections stay open, %d are counted", w.open, w.d.pool.open)
		}
	})
}

func (w *world) MX(_ context.Context, name string) (dns.Answer[dns.MX], error) {
	var out dns.Answer[dns.MX]
	found, err := w.look("MX "+name, w.mx[name])
	for _, one := range found {
		var mx dns.MX
		if _, err := fmt.Sscan(one, &mx.Preference, &mx.Host); err != nil && !strings.HasSuffix(one, " ") {
			w.t.Fatal(err)
		}
		out.Records = append(out.Records, mx)
	}
	out.Authentic = w.signed
	return out, err
}

func (w *world) Addrs(_ context.Context, name string) (dns.Addrs, error) {
	var out dns.Addrs
	found, err := w.look("A "+name, w.addr[name])
	for _, one := range found {
		out.Records = append(out.Records, netip.MustParseAddr(one))
	}
	return out, err
}

func (w *world) look(question string, answer any) ([]string, error) {
	w.mu.Lock()
	w.looked = append(w.looked, question)
	w.mu.Unlock()
	switch v := answer.(type) {
	case string:
		return strings.Split(v, ","), nil
	case error:
		return nil, v
	case half:
		return strings.Split(string(v), ","), dns.ErrTemporary
	}
	return nil, dns.ErrNoName
}

func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, addr)
	scripts := w.hosts[addr]
	if len(scripts) == 0 {
		w.mu.Unlock()
		return nil, errors.New("connection refused")
	}
	if scripts[0] == "silent" {
		w.mu.Unlock()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.hosts[addr] = scripts[1:]
	w.open++
	w.mu.Unlock()
	ours, theirs := memconn.Pair(netip.MustParseAddrPort("198.51.100.1:40000"), netip.MustParseAddrPort(addr))
	w.playing.Go(func() { w.play(theirs, scripts[0]) })
	return ours, nil
}

// play follows a dialogue: "S: " says, "C: " must be read (a pattern), "D"
// reads content, "TLS" begins TLS, "oldTLS" with a cipher of old, "wait 5m" waits, "stall" until the client
// is gone, "raw " says without a line end. Then the host hangs up.
func (w *world) play(conn net.Conn, dialogue string) {
	defer func() {
		_ = conn.Close()
		w.mu.Lock()
		w.open--
		w.mu.Unlock()
	}()
	in := bufio.NewReader(conn)
	for step := range strings.SplitSeq(strings.TrimSpace(dialogue), "\n") {
		kind, text, _ := strings.Cut(strings.TrimSpace(step), " ")
		text = strings.NewReplacer(`\n`, "\r\n", `\0`, "\x00").Replace(text)
		switch kind {
		case "S:":
			if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
				return // the client says what went wrong
			}
		case "raw":
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		case "C:":
			line, err := in.ReadString('\n')
			if ok, _ := path.Match(strings.ReplaceAll(text, "/", "~"), strings.ReplaceAll(strings.TrimSuffix(line, "\r\n"), "/", "~")); !ok || err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) || line != "" {
					w.t.Errorf("host read %q, want %q, %v", line, text, err)
				} else {
					w.t.Errorf("host waits for %q, the client is gone", text)
				}
				return
			}
		case "D":
			var content strings.Builder
			for !strings.HasSuffix("\r\n"+content.String(), "\r\n.\r\n") {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				content.WriteString(line)
			}
			w.mu.Lock()
			w.contents = append(w.contents, content.String())
			w.mu.Unlock()
		case "TLS", "oldTLS":
			config := &tls.Config{Certificates: []tls.Certificate{w.cert}}
			if kind == "oldTLS" {
				config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
			}
			s := tls.Server(conn, config)
			if s.Handshake() != nil {
				return
			}
			conn, in = s, bufio.NewReader(s)
		case "":
		case "wait":
			d, err := time.ParseDuration(text)
			if err != nil {
				w.t.Error(err)
			}
			time.Sleep(d)
		case "stall":
			_, _ = io.Copy(io.Discard, in)
		default:
			w.t.Errorf("unknown step %q", step)
		}
	}
}

// certify makes a certificate authority and a certificate for the names.
func (w *world) certify(names ...string) {
	w.cert, w.ca = certificate(w.t, names...)
	w.d.o.RootCAs = w.ca
}

func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: secret, Leaf: leaf}, pool
}

// half is an answer of which the other half could not be had.
type half string

type memBody struct{ *bytes.Reader }

func (memBody) Close() error { return nil }

const text = "Subject: x\r\n\r\nhello\r\n"

// job is a message of a@here.test to recipients at far.test.
func job(body string, to ...string) queue.Job {
	const head = "Received: by me.test\r\n"
	j := queue.Job{To: route.Destination{Key: "far.test", Domain: "far.test"}}
	m := &j.Claim.Message
	m.Sender = mail.Address{Local: "a", Domain: "here.test"}
	m.Head = []byte(head)
	meta, err := mime.Parse([]byte(head + body)).AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	m.Meta = meta
	if len(to) == 0 {
		to = []string{"b"}
	}
	for i, local := range to {
		m.Recipients = append(m.Recipients, store.QueueRecipient{ID: int64(i), Address: mail.Address{Local: local, Domain: "far.test"}})
	}
	j.Claim.BodyOpener = func(context.Context) (store.Body, error) { return memBody{bytes.NewReader([]byte(head + body))}, nil }
	return j
}

// deliver runs a job and returns "fate code enhanced" for each recipient in
// order, and whether it was an outage.
func (w *world) deliver(ctx context.Context, j queue.Job) (fates []string, outage bool) {
	w.t.Helper()
	results, err := w.d.Deliver(ctx, j)
	if _, outage = errors.AsType[*queue.Outage](err); err != nil && !outage {
		w.t.Errorf("an error that is no outage: %v", err)
	}
	if len(results) != len(j.Claim.Message.Recipients) {
		w.t.Errorf("%d results for %d recipients", len(results), len(j.Claim.Message.Recipients))
	}
	slices.SortFunc(results, func(a, b queue.Result) int { return int(a.Recipient - b.Recipient) })
	for i, r := range results {
		if r.Recipient != int64(i) {
			w.t.Errorf("results %+v", results)
		}
		fates = append(fates, fate(r))
	}
	return fates, outage
}

func fate(r queue.Result) string {
	word := [...]string{"untried", "delivered", "deferred", "failed"}[r.Fate]
	if r.Reply.Code == 0 {
		return word
	}
	return fmt.Sprintf("%s %d %s", word, r.Reply.Code, r.Reply.Enhanced)
}

// want checks what became of a job.
func (w *world) want(j queue.Job, outage bool, fates ...string) {
	w.t.Helper()
	got, out := w.deliver(w.t.Context(), j)
	if !slices.Equal(got, fates) || out != outage {
		w.t.Errorf("became %q, outage %v; want %q, %v", got, out, fates, outage)
	}
}

// wantDialled checks who was called, by the last octets "1 2".
func (w *world) wantDialled(want string) {
	w.t.Helper()
	var got []string
	for _, addr := range w.dialled {
		got = append(got, strings.TrimPrefix(strings.TrimSuffix(addr, ":25"), "192.0.2."))
	}
	if strings.Join(got, " ") != want {
		w.t.Errorf("called %q, want %q", strings.Join(got, " "), want)
	}
}

// one gives far.test a single host with dialogues for its connections.
func (w *world) one(dialogues ...string) {
	w.mx["far.test"], w.addr["mx.far.test"] = "10 mx.far.test", "192.0.2.1"
	w.hosts["192.0.2.1:25"] = dialogues
}

// Parts of dialogues.
const (
	hello = "S: 220 mx\nC: EHLO me.test\nS: 250 mx\n"
	pipe  = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250-8BITMIME\\n250 PIPELINING\n"
	send  = "C: MAIL FROM:<a@here.test>*\nS: 250 ok\nC: RCPT TO:<b@far.test>*\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 2.0.0 taken\n"
	bye   = "C: QUIT\nS: 221 bye"
)
