package remote

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/smtp"
)

// TestHostileHostsGetNowhere: a host that floods or lies costs a bounded time
// and is never believed to have taken the message.
func TestHostileHostsGetNowhere(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10<<20)
	lines := strings.Repeat(`250-x\n`, 100_000)
	for name, dialogue := range map[string]string{
		"a greeting of 10 MB":       "raw 220 " + long + "\nstall",
		"100,000 greeting lines":    "raw " + strings.ReplaceAll(lines, "250-", "220-") + "\nstall",
		"100,000 lines after EHLO":  "S: 220 mx\nC: EHLO me.test\nraw " + lines + "\nstall",
		"an endless reply to MAIL":  hello + "C: MAIL FROM:*\nraw 250-" + long + "\nstall",
		"354 to MAIL":               hello + "C: MAIL FROM:*\nS: 354 go\nstall",
		"354 to RCPT":               hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 354 go\nstall",
		"250 to DATA":               hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 250 taken\nstall",
		"354 to the content":        hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 354 go\nstall",
		"all replies ahead":         "raw 220 mx\\n250 mx\\n250 ok\\n250 ok\\n354 go\\n250 taken\\n\nstall",
		"replies ahead of pipeline": pipe + "raw 250 ok\\n250 ok\\n354 go\\n250 taken\\n\nstall",
		"a code that changes":       "raw 220-mx\\n250 mx\\n\nstall",
		"LF alone":                  "raw 220 mx\x0a\nstall",
		"code 999":                  "S: 999 mx\nstall",
		"nothing":                   "stall",
		"half a line":               "raw 220 mx\nstall",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.one(dialogue)
				start := time.Now()
				got, _ := w.deliver(w.t.Context(), job(text))
				if !strings.HasPrefix(got[0], "deferred 451 4.") {
					t.Errorf("became %q", got)
				}
				if d := time.Since(start); d > 11*time.Minute {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

func TestAReplyThatDripsIsCutOff(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one("raw 220 \n" + strings.Repeat("wait 1m\nraw x\n", 1000))
		start := time.Now()
		w.want(job(text), true, "deferred 451 4.4.2")
		if d := time.Since(start); d != 5*time.Minute {
			t.Errorf("the greeting took %v", d)
		}
	})
	inWorld(t, func(w *world) {
		w.one(hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nD\n" + strings.Repeat("wait 9m\nraw 250-x\\n\n", 100))
		start := time.Now()
		w.want(job(text), false, "deferred 451 4.4.2")
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("the final reply took %v", d)
		}
	})
}

func TestRepliesAreHarmlessWhereTheyAreKept(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(pipe + "C: MAIL FROM:*\nC: RCPT TO:*\nS: 250 ok\nraw " + strings.Repeat("550-5.1.1 \x00\x1b[2J"+"\xff\r"+strings.Repeat("ä", 1000)+`\n`, 20) + "\nS: 550 5.1.1 end\nC: RSET\nS: 250 ok\n" + bye)
		results, err := w.d.Deliver(w.t.Context(), job(text))
		if err != nil {
			t.Fatal(err)
		}
		got := results[0].Reply.String()
		if strings.ContainsAny(got, "\x00\x1b\r\n") || !utf8.ValidString(got) || len(got) > keptLines*(keptOctets+20) || !strings.HasPrefix(got, "550 5.1.1 ??[2J??ä") {
			t.Errorf("%d octets: %.60q", len(got), got)
		}
	})
}

// TestAHostThatRefusesHalfWayIsHeard: 552 and hanging up in the middle of a
// large message is an answer, and trying again for days would not change it.
func TestAHostThatRefusesHalfWayIsHeard(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(pipe + rcpts("250 ok", "250 ok") + "C: DATA\nS: 354 go\nS: 552 5.3.4 too large\nwait 1s")
		j := job("Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 100_000))
		w.want(j, false, "failed 552 5.3.4")
	})
}

// FuzzContentOnTheWire: whatever is stored, what leaves has CRLF line ends
// only, ends where it should, and says the same after un-stuffing (row 18).
func FuzzContentOnTheWire(f *testing.F) {
	f.Add([]byte("a\r\n.\r\nb"), []byte("Received: x\r\n"))
	f.Add([]byte(".\n.\r.\r\n\r\n.\n"), []byte(""))
	f.Add([]byte("\n.\r\nMAIL FROM:<x@y>\r\n"), []byte("X: \r"))
	f.Fuzz(func(t *testing.T, body, head []byte) {
		ours, theirs := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:25"))
		wire := make(chan []byte)
		go func() { wire <- serveOnce(theirs) }()
		c := &content{body: memBody{bytes.NewReader(append(append([]byte(nil), head...), body...))}}
		client := smtp.NewClient(ours, smtp.ClientOptions{})
		if err := client.Greet("me.test"); err != nil {
			t.Fatal(err)
		}
		m := smtp.Simple(job("").Claim.Message.Sender, c.reader(nil), job("").Claim.Message.Recipients[0].Address)
		if _, err := client.Send(m); err != nil {
			t.Fatal(err)
		}
		_ = ours.Close()
		sent := <-wire
		for i, b := range sent {
			if b == '\n' && (i == 0 || sent[i-1] != '\r') || b == '\r' && (i+1 == len(sent) || sent[i+1] != '\n') {
				t.Fatalf("a bare line end at %d in %q", i, sent)
			}
		}
		var d smtp.Dot
		var got bytes.Buffer
		r := smtp.NewReader(bytes.NewReader(sent))
		if err := r.ReadData(&d, &got); err != nil || r.Buffered() > 0 {
			t.Fatalf("%q: %v, %d octets left", sent, err, r.Buffered())
		}
		var n smtp.Normalizer
		want := n.End(n.Append(nil, append(append([]byte(nil), head...), body...)))
		if len(want) > 0 && !bytes.HasSuffix(want, []byte("\r\n")) {
			want = append(want, "\r\n"...)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%q arrived as %q", want, got.Bytes())
		}
	})
}

// serveOnce takes one message and returns what came after DATA.
func serveOnce(conn net.Conn) []byte {
	r := smtp.NewReader(conn)
	var all bytes.Buffer
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	say("220 mx")
	for _, reply := range []string{"250 mx", "250 ok", "250 ok", "354 go"} {
		if _, err := r.ReadLine(1000); err != nil {
			return nil
		}
		say(reply)
	}
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(append([]byte("\r\n"), all.Bytes()...), []byte("\r\n.\r\n")) {
		n, err := conn.Read(buf)
		if err != nil {
			return all.Bytes()
		}
		all.Write(buf[:n])
	}
	say("250 ok")
	rest, _ := io.ReadAll(conn)
	return append(all.Bytes(), rest...)
}
