package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/testkit/transcript"
	"posthorn/internal/wire/smtp"
)

// greeter is a policy that delays the greeting.
type greeter struct {
	Policy
	delay time.Duration
	said  reply.Reply
	facts *policy.Facts
}

func (g *greeter) Judge(ctx context.Context, stage policy.Stage, f *policy.Facts) policy.Decision {
	g.facts = f
	if stage == policy.Greeting {
		d := policy.Decision{Delay: g.delay}
		if !g.said.IsZero() {
			d.Action, d.Reply = policy.Reject, g.said
		}
		return d
	}
	return g.Policy.Judge(ctx, stage, f)
}

func withGreeter(t *testing.T, g *greeter, dialogue string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := benchServer(nil)
		g.Policy = s.Policy
		s.Policy = g
		settings := *s.Settings()
		settings.DelayedSessions = 1
		s.Settings = func() *Settings { return &settings }
		err := transcript.Run(dialogue, transcript.Options{Serve: func(listener string, c net.Conn) {
			client := netip.MustParseAddrPort(c.RemoteAddr().String())
			s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: listener, Client: client}))
		}})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestGreetingWaitsAndNotesEarlyTalkers(t *testing.T) {
	t.Parallel()
	g := &greeter{delay: 5 * time.Second}
	withGreeter(t, g, `
connect 192.0.2.1 smtp
wait 4s
silence
S: 220 mx.example.test ESMTP
took 5s
C: HELP
S: 214 …
took 0s
C: EHLO client.example
S* 250 LIMITS …`)
	if g.facts.SpokeFirst {
		t.Error("a patient client is called an early talker")
	}
	withGreeter(t, g, `
connect 192.0.2.1 smtp
wait 1s
C: EHLO client.example
silence
S: 220 mx.example.test ESMTP
took 4s
S* 250 LIMITS …`)
	if !g.facts.SpokeFirst {
		t.Error("input before the greeting was not noted")
	}
	withGreeter(t, &greeter{delay: 5 * time.Second}, `
connect 192.0.2.1 smtp
silence
A connect 192.0.2.2 smtp
A S: 421 4.3.2 Too busy, try again later
A took 0s
A eof
S: 220 …`)
	withGreeter(t, &greeter{said: reply.New(554, reply.E(5, 7, 1), "No")}, `
connect 192.0.2.1 smtp
S: 554 5.7.1 No
C: EHLO client.example
S: 503 5.7.1 …
C: MAIL FROM:<eve@away.test>
S: 503 5.7.1 …
C: NOOP
S: 503 5.7.1 …
S: 421 4.7.0 …
eof`)
	withGreeter(t, &greeter{said: reply.New(554, reply.E(5, 7, 1), "No")}, "connect 192.0.2.1 smtp\nS: 554 5.7.1 No\nC: QUIT\nS: 221 …\neof")
	withGreeter(t, &greeter{said: reply.New(554, reply.E(5, 7, 1), "No")}, "connect 192.0.2.1 smtp\nS: 554 5.7.1 No\nS: 421 4.7.0 …\ntook 10s\neof")
	withGreeter(t, &greeter{said: reply.New(421, reply.E(4, 7, 0), "No")}, "connect 192.0.2.1 smtp\nS: 421 4.7.0 No\neof")
}

func TestForbiddenPipeliningIsNoted(t *testing.T) {
	t.Parallel()
	g := &greeter{}
	withGreeter(t, g, `
connect 192.0.2.1 smtp
S: 220 …
C- EHLO a.example\r\nNOOP\r\nRSET\r\n
S* 250 2.0.0 Ok
S: 250 2.0.0 Ok`)
	if g.facts.ForbiddenInput != 2 {
		t.Errorf("%d violations noted", g.facts.ForbiddenInput)
	}
}

// attempts plays a dialogue and returns what the decision records say.
func attempts(t *testing.T, dialogue string) (got []record.Attempt) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := record.Open(record.Options{
			Path: filepath.Join(t.TempDir(), "records.db"), Settings: func() record.Settings { return setting.Defaults[record.Settings](setting.Recommended) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		w.server.Recorder = r
		if err := transcript.Run(dialogue, transcript.Options{Serve: w.serve, TLS: clientTLS(), Commands: w.commands()}); err != nil {
			t.Error(err)
		}
		w.close()
		got = allAttempts(t, r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return got
}

func allAttempts(t *testing.T, r *record.Recorder) (out []record.Attempt) {
	t.Helper()
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := r.Search(t.Context(), record.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range found {
		out = append(out, *b.Attempt)
	}
	slices.SortFunc(out, func(a, b record.Attempt) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return out
}

func TestEachTransactionLeavesOneRecord(t *testing.T) {
	t.Parallel()
	got := attempts(t, `
connect 192.0.2.1 smtp
S: 220 …
C: EHLO client.example
S* 250 STARTTLS
C- MAIL FROM:<a@remote.example>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n
S* 354 …
C: From: a@remote.example
C:
C: .
S: 250 …
C: MAIL FROM:<b@remote.example>
S: 250 …
C: RCPT TO:<nobody@example.test>
S: 550 …
C: RSET
S: 250 …
C: MAIL FROM:<c@remote.example>
S: 250 …
C: RCPT TO:<bob@example.test>
S: 250 …
close`)
	if len(got) != 3 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	for i, want := range []struct {
		sender     string
		outcome    record.Outcome
		recipients int
		last       string
	}{
		{"a@remote.example", record.Accepted, 2, "content"}, {"b@remote.example", record.Refused, 1, "RCPT"}, {"c@remote.example", record.Aborted, 1, "RCPT"},
	} {
		a := got[i]
		last := a.Steps[len(a.Steps)-1]
		if a.Sender != want.sender || a.Outcome != want.outcome || len(a.Recipients) != want.recipients || last.Verb != want.last || a.Helo != "client.example" || a.Client.String() != "192.0.2.1" {
			t.Errorf("%d: %+v", i, a)
		}
		if a.Steps[0].Verb != "connect" || a.Steps[1].Verb != "greeting" || a.Steps[2].Verb != "EHLO" || a.Steps[3].Verb != "MAIL" || len(a.Steps[3].Checks) == 0 {
			t.Errorf("%d: steps %+v", i, a.Steps)
		}
	}
	if got[0].Size == 0 || got[0].Authors[0] != "a@remote.example" || !strings.HasPrefix(got[0].Steps[len(got[0].Steps)-1].Reply, "250") {
		t.Errorf("%+v", got[0])
	}
}

func TestARecordBeginsBeforeSTARTTLS(t *testing.T) {
	t.Parallel()
	got := attempts(t, `
connect 192.0.2.1 smtp
S: 220 …
C: EHLO client.example
S* 250 STARTTLS
C: STARTTLS
S: 220 …
tls
C: EHLO other.example
S* 250 AUTH …
C: MAIL FROM:<a@remote.example>
S: 250 …
C: QUIT
S: 221 …`)
	var verbs []string
	for _, s := range got[0].Steps {
		verbs = append(verbs, s.Verb)
	}
	if strings.Join(verbs, " ") != "connect greeting EHLO STARTTLS EHLO MAIL" || !strings.HasPrefix(got[0].TLS, "TLS 1.3") || got[0].Helo != "other.example" {
		t.Errorf("%v %+v", verbs, got[0])
	}
}

func TestARefusedMailLeavesARecord(t *testing.T) {
	t.Parallel()
	got := attempts(t, `
connect 192.0.2.1 submission
S: 220 …
C: EHLO client.example
S* 250 FUTURERELEASE …
C: MAIL FROM:<bob@example.test>
S: 530 …
C: QUIT
S: 221 …`)
	if len(got) != 1 || got[0].Outcome != record.Refused || got[0].Sender != "bob@example.test" || got[0].Steps[len(got[0].Steps)-1].Check != "login-required" {
		t.Errorf("%+v", got)
	}
}

// waiting is a connection on which nothing more ever comes.
type waiting struct {
	script
	gone chan struct{}
	idle *atomic.Int64 // how many wait
}

func (w *waiting) Read(b []byte) (int, error) {
	if w.at < len(w.pieces) || w.rest != "" {
		return w.script.Read(b)
	}
	w.idle.Add(1)
	<-w.gone
	return 0, net.ErrClosed
}

// A connection that has just sent a message and says nothing more keeps no
// buffers (reliability.md row 10: under 40 KB).
func TestIdleConnectionsAreSmall(t *testing.T) {
	const count = 1000
	s := benchServer(nil)
	gone, done := make(chan struct{}), make(chan struct{}, count)
	var idle atomic.Int64
	usage := func() uint64 {
		for range 4 { // each halves a stack that is too large
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := usage()
	for range count {
		c := &waiting{script: script{pieces: []string{"EHLO client.example\r\n", envelopeCommands, contentOf2KB}, rounds: 1}, gone: gone, idle: &idle}
		go func() {
			s.Serve(context.Background(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
			done <- struct{}{}
		}()
	}
	for idle.Load() < count {
		runtime.Gosched()
	}
	each := (usage() - before) / count
	close(gone)
	for range count {
		<-done
	}
	t.Logf("%d octets each", each)
	if each > 24<<10 {
		t.Errorf("%d octets each", each)
	}
}

func TestMailOverAUnixSocketNamesNoAddress(t *testing.T) {
	t.Parallel()
	s := benchServer(nil)
	var said bytes.Buffer
	c := &script{pieces: []string{"LHLO client.example\r\n", envelopeCommands, "x\r\n.\r\nQUIT\r\n"}, rounds: 1, said: &said}
	kept := &keeper{}
	s.Door = kept
	s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "lmtp"}))
	if kept.envelope.Client != "" || !strings.HasPrefix(kept.trace, "Received: from client.example ([local])\r\n\tby mx.example.test with LMTP\r\n") {
		t.Errorf("%q %q\n%s", kept.envelope.Client, kept.trace, said.String())
	}
}

// keeper is a door that shows what came.
type keeper struct {
	envelope accept.Envelope
	trace    string
}

func (k *keeper) Accept(_ context.Context, e *accept.Envelope, c *accept.Content) error {
	k.envelope, k.trace = *e, string(c.Trace)
	return nil
}

// On a real socket, closing with input unread would destroy the reply on its
// way (hostile row 6).
func TestTheLastWordIsHeardOverAFlood(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := listen.NewGroup(listen.Options{})
	name, _ := listen.Lookup("smtp")
	if err := g.Start(&listen.Socket{Listener: l, Name: name}, benchServer(nil), nil); err != nil {
		t.Fatal(err)
	}
	defer g.Stop(t.Context())
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(bytes.Repeat([]byte("x"), 8<<20)); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil || string(said) != "220 mx.example.test ESMTP\r\n500 5.5.2 Line too long\r\n" {
		t.Errorf("%q %v", said, err)
	}
}

func TestARefusalHeldSinceTheConnectionSurvivesSTARTTLS(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		rules := w.checks.Get().Rules()
		rules.Table = append(rules.Table, policy.Entry{
			Stage: policy.Greeting, Name: "stranger", Worst: policy.Reject,
			Check: policy.CheckFunc(func(context.Context, *policy.Facts) policy.Verdict {
				return policy.Refused(reply.New(550, reply.E(5, 7, 25), "No name"), "no name")
			}),
		})
		w.policy.Replace(rules)
		c, handshake := w.dialTLS("smtp")
		if err := errors.Join(c.Greet("client.example"), c.StartTLS("client.example", handshake)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Send(smtp.Simple(mail.Address{}, strings.NewReader("x"), addresses("bob")...))
		if err == nil || !strings.Contains(err.Error(), "550 5.7.25") {
			t.Error(err)
		}
	})
}

// rcptFlood asks for one recipient after the other.
type rcptFlood struct {
	script
	sent int
}

func (f *rcptFlood) Read(b []byte) (int, error) {
	if f.rest == "" && f.at == len(f.pieces) && f.sent < mostAttempts+10 {
		f.sent++
		f.rest = "RCPT TO:<bob@example.test>\r\n"
	}
	return f.script.Read(b)
}

func TestEndlessRecipientsAreNotKept(t *testing.T) {
	t.Parallel()
	s := benchServer(nil)
	var said bytes.Buffer
	c := &rcptFlood{script: script{pieces: []string{"EHLO client.example\r\n", "MAIL FROM:<>\r\n"}, rounds: 1, said: &said}}
	s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
	if !strings.HasSuffix(said.String(), "452 4.5.3 Too many recipients\r\n421 4.7.0 Too many errors, closing connection\r\n") {
		t.Errorf("%q", said.String()[said.Len()-200:])
	}
}

func TestMonstrousStructuresAreMessages(t *testing.T) {
	t.Parallel()
	var nested strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, content := range map[string]string{
		"depth":      nested.String(),
		"parts":      "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\n", 100_000),
		"headers":    strings.Repeat("X: y\r\n", 50_000),
		"addresses":  "To: " + strings.Repeat("a@b.example,\r\n ", 50_000) + "c@d.example\r\n",
		"parameters": "Content-Type: text/plain;\r\n " + strings.Repeat("x*1*=a;\r\n ", 10_000) + "y=z\r\n",
	} {
		s := benchServer(nil)
		var said bytes.Buffer
		c := &script{pieces: []string{"EHLO client.example\r\n", "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n", content + "\r\n.\r\nQUIT\r\n"}, rounds: 1, said: &said}
		s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
		if !strings.Contains(said.String(), "250 2.0.0 queued as ") {
			t.Errorf("%s: %s", name, said.String())
		}
	}
}

// lost calls every address ours and knows nobody.
type lost struct{}

func (lost) Resolve(context.Context, mail.Address) (directory.Resolution, error) {
	return directory.Resolution{Kind: directory.Local}, nil
}

func TestARecipientThatLeadsNowhereIsNotTaken(t *testing.T) {
	t.Parallel()
	s := benchServer(nil)
	s.Directory = lost{}
	var said bytes.Buffer
	c := &script{pieces: []string{"EHLO client.example\r\n", envelopeCommands, "QUIT\r\n"}, rounds: 1, said: &said}
	settings := *s.Settings()
	settings.Errors.Delay = 0
	s.Settings = func() *Settings { return &settings }
	s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
	if !strings.HasSuffix(said.String(), "250 2.1.0 Ok\r\n451 4.3.0 Temporary problem, try again later\r\n503 5.5.1 No valid recipients\r\n221 2.0.0 Bye\r\n") {
		t.Error(said.String())
	}
}
