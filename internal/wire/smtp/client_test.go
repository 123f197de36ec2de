package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/sasl"
)

// scripted plays a server that says its lines: "S: …" sends, "C: …" must be
// read, "D" reads content up to the end.
func scripted(t *testing.T, dialogue string, lmtp bool, use func(c *Client)) (content string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:25"))
		done := make(chan string)
		go func() { done <- serveScript(t, theirs, dialogue) }()
		use(NewClient(ours, ClientOptions{LMTP: lmtp, Now: time.Now}))
		_ = ours.Close()
		content = <-done
	})
	return content
}

func serveScript(t *testing.T, conn net.Conn, dialogue string) string {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	content := ""
	for step := range strings.SplitSeq(strings.TrimSpace(dialogue), "\n") {
		kind, text, _ := strings.Cut(step, " ")
		switch kind {
		case "S:":
			_, _ = io.WriteString(conn, strings.ReplaceAll(text, `\n`, "\r\n")+"\r\n") // the client says what went wrong
		case "C:":
			if line, err := in.ReadString('\n'); line != text+"\r\n" {
				t.Errorf("read %q, want %q, %v", line, text, err)
				return content
			}
		case "D":
			for !strings.HasSuffix("\r\n"+content, "\r\n.\r\n") {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Errorf("content %q: %v", content, err)
					return content
				}
				content += line
			}
		}
	}
	return content
}

func to(t *testing.T, addrs ...string) []mail.Address {
	t.Helper()
	var out []mail.Address
	for _, s := range addrs {
		a, err := mail.ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func TestClientSendsWithoutPipelining(t *testing.T) {
	content := scripted(t, `
S: 220 mx ready
C: EHLO me.example
S: 502 what
C: HELO me.example
S: 250 mx
C: MAIL FROM:<a@x.example>
S: 250 ok
C: RCPT TO:<b@x.example>
S: 550 5.1.1 no
C: RCPT TO:<c@x.example>
S: 250 ok
C: DATA
S: 354 go
D
S: 250 2.0.0 taken
C: QUIT
S: 221 bye`, false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		s, err := c.Send(Simple(to(t, "a@x.example")[0], strings.NewReader("a\n.b\r\n.\rc\r.\n..\r\nend"), to(t, "b@x.example", "c@x.example")...))
		if err != nil || s.Taken(0) || !s.Taken(1) || s.Taken(2) {
			t.Errorf("%+v %v", s, err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	})
	if want := "a\r\n..b\r\n..\r\nc\r\n..\r\n...\r\nend\r\n.\r\n"; content != want {
		t.Errorf("content %q, want %q", content, want)
	}
}

// Escaped, an address may grow beyond what other hosts take.
func TestClientLeavesOutALongORCPT(t *testing.T) {
	c := &Client{extensions: map[string]string{"DSN": ""}}
	r := Rcpt{Recipient: to(t, "b@x.example")[0], Original: "utf-8;" + strings.Repeat("ü", 60) + "@x.example"}
	if line := c.rcptLine(&r); !strings.Contains(line, " ORCPT=utf-8;") {
		t.Error(line)
	}
	r.Original = "utf-8;" + strings.Repeat("ü", 200) + "@x.example"
	if line := c.rcptLine(&r); line != "RCPT TO:<b@x.example>" {
		t.Error(line)
	}
}

func TestClientPipelinesAndReportsEachRecipient(t *testing.T) {
	scripted(t, `
S: 220 mx
C: EHLO me.example
S: 250-mx\n250-PIPELINING\n250-SIZE 1000\n250-DSN\n250 8BITMIME
C: MAIL FROM:<> SIZE=5 BODY=8BITMIME RET=HDRS ENVID=a+2Bb
C: RCPT TO:<b@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;old@x.example
C: RCPT TO:<c@x.example>
S: 250 ok
S: 250 ok
S: 452 4.5.3 later
C: DATA
S: 354 go
D
S: 250 taken`, false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		m := Simple(mail.Address{}, strings.NewReader("x\r\n"), to(t, "b@x.example", "c@x.example")...)
		m.Mail = Mail{Size: 5, Body: Body8Bit, Return: "HDRS", EnvelopeID: "a+b"}
		m.Rcpt[0].Notify, m.Rcpt[0].Original = NotifyFailure|NotifyDelay, "rfc822;old@x.example"
		s, err := c.Send(m)
		if err != nil || !s.Taken(0) || s.Taken(1) || s.Rcpt[1].Code != 452 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestClientSpeaksLMTP(t *testing.T) {
	scripted(t, `
S: 220 mx
C: LHLO me.example
S: 250-mx\n250 PIPELINING
C: MAIL FROM:<a@x.example>
C: RCPT TO:<b@x.example>
C: RCPT TO:<c@x.example>
C: RCPT TO:<d@x.example>
S: 250 ok
S: 250 ok
S: 550 no
S: 250 ok
C: DATA
S: 354 go
D
S: 452 4.2.2 full
S: 250 taken`, true, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		s, err := c.Send(Simple(to(t, "a@x.example")[0], strings.NewReader("x"), to(t, "b@x.example", "c@x.example", "d@x.example")...))
		if err != nil || s.Taken(0) || s.Taken(1) || !s.Taken(2) {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestRefusalsLeaveTheConnectionUsable(t *testing.T) {
	scripted(t, `
S: 220 mx
C: EHLO me.example
S: 250-mx\n250 PIPELINING
C: MAIL FROM:<a@x.example>
C: RCPT TO:<b@x.example>
S: 550 5.7.1 no
S: 503 no
C: MAIL FROM:<a@x.example>
C: RCPT TO:<b@x.example>
S: 250 ok
S: 550 5.1.1 no
C: RSET
S: 250 ok
C: MAIL FROM:<a@x.example>
C: RCPT TO:<b@x.example>
S: 250 ok
S: 250 ok
C: DATA
S: 554 5.5.3 no
C: NOOP
S: 250 ok`, false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"MAIL", "RCPT", "DATA"} {
			_, err := c.Send(Simple(to(t, "a@x.example")[0], strings.NewReader("x"), to(t, "b@x.example")...))
			if e, ok := errors.AsType[*RefusedError](err); !ok || e.Verb != verb {
				t.Errorf("%s: %v", verb, err)
			}
		}
		if err := c.Noop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatTheServerDoesNotOfferIsNotSent(t *testing.T) {
	scripted(t, "S: 220 mx\nC: EHLO me.example\nS: 250 mx", false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		plain := Simple(to(t, "a@x.example")[0], strings.NewReader("x"), to(t, "b@x.example")...)
		for _, m := range []Mail{{SMTPUTF8: true}, {RequireTLS: true}, {Body: BodyBinary}, {HoldFor: time.Second}} {
			plain.Mail = m
			if _, err := c.Send(plain); !errors.Is(err, ErrExtension) {
				t.Errorf("%+v: %v", m, err)
			}
		}
		if err := c.StartTLS("me.example", nil); !errors.Is(err, ErrExtension) {
			t.Error(err)
		}
		if err := c.Auth(sasl.Credentials{Name: "a", Password: "b"}, true); !errors.Is(err, ErrExtension) {
			t.Error(err)
		}
		evil := plain
		evil.Mail, evil.Rcpt = Mail{}, []Rcpt{{Recipient: mail.Address{Local: "a\r\nDATA", Domain: "x.example"}}}
		if _, err := c.Send(evil); err == nil {
			t.Error("a line end in an address was sent")
		}
	})
}

func TestClientLogsInOnlyWhereTheSecretIsSafe(t *testing.T) {
	scripted(t, `
S: 220 mx
C: EHLO me.example
S: 250-mx\n250 AUTH PLAIN LOGIN
C: AUTH PLAIN AGEAYg==
S: 535 5.7.8 no`, false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		if err := c.Auth(sasl.Credentials{Name: "a", Password: "b"}, false); !errors.Is(err, sasl.ErrMechanism) {
			t.Error(err)
		}
		if err := c.Auth(sasl.Credentials{Name: "a", Password: "b"}, true); err == nil || !strings.Contains(err.Error(), "535") {
			t.Error(err)
		}
	})
}

func TestUnfinishedSourceIsNoMessage(t *testing.T) {
	broken := errors.New("disk")
	scripted(t, `
S: 220 mx
C: EHLO me.example
S: 250 mx
C: MAIL FROM:<a@x.example>
S: 250 ok
C: RCPT TO:<b@x.example>
S: 250 ok
C: DATA
S: 354 go`, false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		src := io.MultiReader(strings.NewReader("half\r\n"), errReader{broken})
		if _, err := c.Send(Simple(to(t, "a@x.example")[0], src, to(t, "b@x.example")...)); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// FuzzStuff: whatever the content, the server's Dot reads it back with line
// ends mended, and nothing follows.
func FuzzStuff(f *testing.F) {
	f.Add([]byte("a\n.\r\n.\r.\n..b"), uint8(3))
	f.Add([]byte(".\r"), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, step uint8) {
		c := &Client{}
		w := stuffer{c: c, start: true}
		for piece := range slices.Chunk(content, int(step)+1) {
			w.buf = w.normal.Append(w.buf[:0], piece)
			stuffAll(&w, w.buf)
		}
		stuffAll(&w, w.normal.End(w.buf[:0]))
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		var d Dot
		r := NewReader(bytes.NewReader(c.out))
		if err := r.ReadData(&d, &got); err != nil || r.Buffered() > 0 || d.BareCR() || d.BareLF() {
			t.Fatalf("%q sent as %q: %v, %d left", content, c.out, err, r.Buffered())
		}
		var n Normalizer
		want := n.End(n.Append(nil, content))
		if len(want) > 0 && !bytes.HasSuffix(want, []byte("\r\n")) {
			want = append(want, '\r', '\n')
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%q read as %q", want, got.Bytes())
		}
	})
}

// stuffAll is stuff without a connection to flush to.
func stuffAll(w *stuffer, p []byte) {
	for piece := range slices.Chunk(p, 1000) {
		if len(w.c.out) > largeBuffer/2 {
			return
		}
		_ = w.stuff(piece) // flushes only above largeBuffer
	}
}

// A reply to nothing must not pass for the reply to the next command.
func TestClientEndsWithAServerThatIsOutOfStep(t *testing.T) {
	for name, use := range map[string]func(c *Client) error{
		"NOOP": (*Client).Noop, "RSET": (*Client).Reset,
		"MAIL": func(c *Client) error {
			_, err := c.Send(Simple(to(t, "a@x.test")[0], strings.NewReader("x"), to(t, "b@x.test")...))
			return err
		},
	} {
		scripted(t, "S: 220 mx\nC: EHLO me.example\nS: 250 mx\\n250 ok", false, func(c *Client) {
			if err := c.Greet("me.example"); err != nil {
				t.Fatal(err)
			}
			if err := use(c); !errors.Is(err, ErrReply) || !c.Unread() {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
