package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/d--j/go-milter"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/mime"
)

// scannerWorld are scanners whose settings and connections are the test's.
type scannerWorld struct {
	*scanners
	now   atomic.Pointer[check.Settings]
	serve map[string]func(net.Conn) // by address
}

func newScannerWorld(change func(*check.Settings)) *scannerWorld {
	w := &scannerWorld{serve: map[string]func(net.Conn){}}
	w.change(change)
	w.scanners = &scanners{settings: w.now.Load, hostname: func() string { return "mx.example.test" }, dial: w.connect}
	return w
}

func (w *scannerWorld) change(change func(*check.Settings)) {
	s := setting.Defaults[check.Settings](setting.Recommended)
	change(&s)
	w.now.Store(&s)
}

func (w *scannerWorld) connect(_ context.Context, _, address string) (net.Conn, error) {
	serve := w.serve[address]
	if serve == nil {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := net.Pipe()
	go func() {
		serve(theirs)
		_ = theirs.Close()
	}()
	return ours, nil
}

// contentOf are the facts about a message.
func contentOf(t *testing.T, text string) *policy.Facts {
	t.Helper()
	p := mime.NewParser()
	if _, err := p.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	f := &policy.Facts{Client: netip.MustParseAddr("192.0.2.7"), Port: 4711, Helo: "client.example", Listener: "smtp",
		Sender: mail.Address{Local: "eve", Domain: "away.test"}, Recipient: mail.Address{Local: "bob", Domain: "example.test"}}
	f.Content = &policy.Message{Structure: p.Close(), Body: strings.NewReader(text), Size: int64(len(text))}
	return f
}

// clamdSaying answers every scan.
func clamdSaying(answer string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		if command, err := in.ReadString(0); err != nil || command == "zVERSION\x00" {
			_, _ = io.WriteString(c, "ClamAV 1.2\x00")
			return
		}
		for size := make([]byte, 4); ; {
			if _, err := io.ReadFull(in, size); err != nil {
				return
			}
			n := int(size[0])<<24 | int(size[1])<<16 | int(size[2])<<8 | int(size[3])
			if n == 0 {
				break
			}
			if _, err := in.Discard(n); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, answer+"\x00")
	}
}

// rspamdSaying answers every request.
func rspamdSaying(body string) func(net.Conn) {
	return func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet {
			body = "pong\r\n"
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func TestVirusScannerFollowsTheSettings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	f := contentOf(t, "Subject: x\r\n\r\nbody\r\n")
	w := newScannerWorld(func(*check.Settings) {})
	if v := w.Virus(ctx, f); v.Opinion != policy.NotScanned {
		t.Errorf("%+v", v)
	}
	with := func(s *check.Settings) { s.Virus.Server = "192.0.2.9:3310" }
	w.change(with)
	if v := w.Virus(ctx, f); v.Opinion != policy.Down || v.Problem == "" {
		t.Errorf("%+v", v)
	}
	for answer, want := range map[string]policy.Virus{
		"stream: OK":          {Opinion: policy.Clean},
		"stream: Eicar FOUND": {Opinion: policy.Suspect, Signature: "Eicar"},
	} {
		w.serve["192.0.2.9:3310"] = clamdSaying(answer)
		if v := w.Virus(ctx, f); v != want {
			t.Errorf("%s: %+v", answer, v)
		}
	}
	w.serve["192.0.2.9:3310"] = clamdSaying("INSTREAM size limit exceeded. ERROR")
	if v := w.Virus(ctx, f); v.Opinion != policy.TooLarge {
		t.Errorf("%+v", v)
	}
	w.change(func(s *check.Settings) { with(s); s.Virus.Most = unit.Size(5) })
	w.serve["192.0.2.9:3310"] = clamdSaying("stream: OK")
	if v := w.Virus(ctx, f); v.Opinion != policy.TooLarge {
		t.Errorf("%+v", v)
	}
	if e := w.current(); e != w.current() {
		t.Error("engines are made anew for every message")
	}
}

func TestSpamFilterIsToldAndAnswers(t *testing.T) {
	t.Parallel()
	const text = "Subject: old\r\nX-Old: 1\r\n\r\nbody\r\n"
	f := contentOf(t, text)
	w := newScannerWorld(func(s *check.Settings) { s.Spam.URL = "http://rspamd.test:11333" })
	if r := w.Spam(t.Context(), f); r.Opinion != policy.Down {
		t.Errorf("%+v", r)
	}
	w.serve["rspamd.test:11333"] = rspamdSaying(`{"score":7.5,"required_score":15,"action":"rewrite subject","subject":"SPAM ü","symbols":{"B":{"score":1.5},"A":{"score":6}},
		"milter":{"add_headers":{"X-New":{"value":"2","order":0}},"remove_headers":{"X-Old":0}}}`)
	r := w.Spam(t.Context(), f)
	if r.Opinion != policy.Suspect || r.Score != 7.5 || r.Action != "rewrite subject" || !slices.Equal(r.Symbols, []string{"A(6)", "B(1.5)"}) || r.Edits == nil {
		t.Fatalf("%+v", r)
	}
	if got := string(r.Edits.Header([]byte("Subject: old\r\nX-Old: 1\r\n\r\n"))); got != "X-New: 2\r\nSubject: =?utf-8?q?SPAM_=C3=BC?=\r\n\r\n" {
		t.Errorf("%q", got)
	}
	w.serve["rspamd.test:11333"] = rspamdSaying(`{"score":-1,"required_score":15,"action":"no action","symbols":{}}`)
	if r := w.Spam(t.Context(), f); r.Opinion != policy.Clean || r.Score != -1 || r.Edits != nil {
		t.Errorf("%+v", r)
	}
	long := encoded(strings.Repeat("überlang ", 60))
	for line := range strings.SplitSeq(long, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

func TestAttachmentsFollowTheSettings(t *testing.T) {
	t.Parallel()
	f := contentOf(t, "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=a.exe\r\n\r\nMZ\r\n")
	w := newScannerWorld(func(*check.Settings) {})
	if r := w.Attachment(t.Context(), f); r.Opinion != policy.NotScanned {
		t.Errorf("%+v", r)
	}
	w.change(func(s *check.Settings) { s.Attachments.Extensions = []string{"exe"} })
	if r := w.Attachment(t.Context(), f); r.Opinion != policy.Suspect || r.Rule != "extensions" || !strings.Contains(r.Reason, "a.exe") {
		t.Errorf("%+v", r)
	}
	w.change(func(s *check.Settings) { s.Attachments.Extensions, s.Attachments.Macros = []string{"com"}, true })
	if r := w.Attachment(t.Context(), f); r.Opinion != policy.Clean {
		t.Errorf("%+v", r)
	}
	f.Content.Body = brokenReader{}
	if r := w.Attachment(t.Context(), f); r.Opinion != policy.Down || r.Problem == "" {
		t.Errorf("%+v", r)
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk") }

// listener is a milter that notes what it hears, and refuses what it is told to.
type listener struct {
	milter.NoOpMilter
	mu     *sync.Mutex
	heard  *[]string
	refuse map[string]bool
}

func (l listener) hear(text string) (*milter.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.heard = append(*l.heard, text)
	if l.refuse[text] {
		return milter.RejectWithCodeAndReason(550, "5.7.1 no "+text)
	}
	return milter.RespContinue, nil
}

func (l listener) Connect(host, _ string, _ uint16, addr string, m *milter.Modifier) (*milter.Response, error) {
	return l.hear("connect " + host + " " + addr + " " + m.Macros.Get("j"))
}

func (l listener) Helo(name string, _ *milter.Modifier) (*milter.Response, error) {
	return l.hear("helo " + name)
}

func (l listener) MailFrom(from, args string, m *milter.Modifier) (*milter.Response, error) {
	return l.hear(strings.TrimSpace("mail " + from + " " + args + " " + m.Macros.Get("{auth_authen}")))
}

func (l listener) RcptTo(to, _ string, _ *milter.Modifier) (*milter.Response, error) {
	return l.hear("rcpt " + to)
}

func (l listener) EndOfMessage(m *milter.Modifier) (*milter.Response, error) {
	if err := m.AddHeader("X-New", "1"); err != nil {
		return nil, err
	}
	return milter.RespAccept, nil
}

func TestMiltersHearOfAClientWithItsFirstMessage(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	hears := listener{mu: &sync.Mutex{}, heard: &heard, refuse: map[string]bool{"helo liar.example": true, "mail bad@away.test": true}}
	server := milter.NewServer(milter.WithMilter(func() milter.Milter { return hears }), milter.WithActions(milter.OptAddHeader))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		_ = server.Close()
		<-served
	}()
	w := newScannerWorld(func(s *check.Settings) { s.Milters.Servers = []string{l.Addr().String()} })
	w.dial = dialer{}.dial
	f := contentOf(t, "Subject: x\r\n\r\nbody\r\n")
	m := w.Filter(f)
	defer m.Close()
	ask := func(stage policy.Stage) policy.Filtered {
		t.Helper()
		return m.Ask(t.Context(), stage, f)
	}
	passes := func() {
		t.Helper()
		for _, stage := range []policy.Stage{policy.Mail, policy.Rcpt, policy.Data, policy.Content} {
			if r := ask(stage); r.Action != policy.Pass || stage == policy.Content && (r.Edits == nil || !strings.Contains(string(r.Edits.Header([]byte("A: b\r\n\r\n"))), "X-New: 1\r\n")) {
				t.Fatalf("%s: %+v", stage, r)
			}
		}
	}
	said := func(want ...string) {
		t.Helper()
		hears.mu.Lock()
		defer hears.mu.Unlock()
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
		heard = nil
	}
	passes()
	said("connect [192.0.2.7] 192.0.2.7 mx.example.test", "helo client.example", "mail eve@away.test", "rcpt bob@example.test")
	// A second message of the same client, who has logged in meanwhile.
	f.DeclaredSize, f.Login = 100, &store.AccountRow{Addresses: []mail.Address{{Local: "bob", Domain: "example.test"}}}
	passes()
	said("mail eve@away.test SIZE=100 bob@example.test", "rcpt bob@example.test")
	f.DeclaredSize, f.Login = 0, nil
	// What they refuse in a message settles it.
	f.Sender.Local = "bad"
	if r := ask(policy.Mail); r.Action != policy.Reject || r.Reply.String() != "550 5.7.1 no mail bad@away.test" {
		t.Errorf("%+v", r)
	}
	if r := ask(policy.Rcpt); r.Action != policy.Reject {
		t.Errorf("%+v", r)
	}
	said("mail bad@away.test")
	// So does a refused greeting, until there is another.
	f.Sender.Local, f.Helo = "eve", "liar.example"
	for range 2 {
		if r := ask(policy.Mail); r.Action != policy.Reject || r.Reply.String() != "550 5.7.1 no helo liar.example" {
			t.Errorf("%+v", r)
		}
	}
	said("helo liar.example")
	f.Helo = "client.example"
	passes()
	said("helo client.example", "mail eve@away.test", "rcpt bob@example.test")
}

func TestMiltersThatAreGoneFollowTheirFallback(t *testing.T) {
	t.Parallel()
	w := newScannerWorld(func(s *check.Settings) {
		s.Milters.Servers = []string{"192.0.2.9:1", "192.0.2.9:2 tempfail"}
	})
	f := contentOf(t, "Subject: x\r\n\r\nbody\r\n")
	m := w.Filter(f)
	defer m.Close()
	r := m.Ask(t.Context(), policy.Mail, f)
	if r.Action != policy.Defer || r.Reply.Code != 451 || !strings.Contains(r.Problem, "192.0.2.9:1") {
		t.Errorf("%+v", r)
	}
	if newScannerWorld(func(*check.Settings) {}).Filter(f) != nil {
		t.Error("there are milters")
	}
	long := contentOf(t, strings.Repeat("X: "+strings.Repeat("x", 900)+"\r\n", 5000)+"\r\nbody\r\n")
	m = newScannerWorld(func(s *check.Settings) { s.Milters.Servers = []string{"192.0.2.9:1"} }).Filter(long)
	defer m.Close()
	if r := m.Ask(t.Context(), policy.Content, long); r.Action != policy.Reject || r.Reply.Code != 552 {
		t.Errorf("%+v", r)
	}
}

func TestScannersSayWhetherTheyAreThere(t *testing.T) {
	t.Parallel()
	w := newScannerWorld(func(s *check.Settings) {
		s.Virus.Server, s.Spam.URL, s.Milters.Servers = "192.0.2.9:3310", "http://192.0.2.9:11333", []string{"192.0.2.9:8891"}
	})
	w.serve["192.0.2.9:3310"], w.serve["192.0.2.9:11333"] = clamdSaying(""), rspamdSaying("")
	got := quiet{w}.State(t.Context())
	if len(got) != 3 || got[0].Version != "ClamAV 1.2" || got[0].Problem != "" || got[1].Problem != "" || got[2].Problem == "" || got[2].Address != "192.0.2.9:8891" {
		t.Errorf("%+v", got)
	}
	if (quiet{w}).Filter(nil) != nil {
		t.Error("what is tried is shown to milters")
	}
}

func TestAScannerThatIsDownIsToldOnceAndSeenUntilItIsBack(t *testing.T) {
	t.Parallel()
	w := newScannerWorld(func(s *check.Settings) {
		s.Virus.Server, s.Milters.Servers = "192.0.2.9:3310", []string{"192.0.2.9:8891"}
	})
	var log bytes.Buffer
	w.log = event.New(event.Handler(&log, event.Options{}))
	f := contentOf(t, "Subject: x\r\n\r\nbody\r\n")
	if got := w.Down(t.Context()); len(got) != 2 || got[0].Problem == "" { // nobody has asked them yet
		t.Errorf("at first: %+v", got)
	}
	for range 3 {
		w.Virus(t.Context(), f)
		m := w.Filter(f)
		m.Ask(t.Context(), policy.Mail, f)
		m.Close()
	}
	if n := strings.Count(log.String(), "scan.failed"); n != 2 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	w.serve["192.0.2.9:3310"] = clamdSaying("stream: OK")
	w.Virus(t.Context(), f)
	if got := w.Down(t.Context()); len(got) != 1 || got[0].Kind != "milter" {
		t.Errorf("one is back: %+v", got)
	}
	delete(w.serve, "192.0.2.9:3310")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.Virus(gone, f) // its client did not wait
	w.change(func(s *check.Settings) { s.Virus.Server = "192.0.2.9:3310" })
	w.serve["192.0.2.9:3310"] = clamdSaying("")
	if got := w.Down(t.Context()); len(got) != 0 {
		t.Errorf("a milter that is not set any more, a client that left: %+v", got)
	}
	if n := strings.Count(log.String(), "scan.failed"); n != 2 {
		t.Errorf("told %d times in the end:\n%s", n, log.String())
	}
}

func TestScannersAreFoundByName(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := authority.New(t, "$ORIGIN example.test.\nclam IN A 127.0.0.1\n")
	d := dialer{dns.New(dns.Options{Servers: authority.Names("ns"), Exchange: a.Exchange})}
	for host, ok := range map[string]bool{"clam.example.test": true, "localhost": true, "127.0.0.1": true, "gone.example.test": false} {
		c, err := d.dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}
