package dsn

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
)

var update = flag.Bool("update", false, "write the golden notices")

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// now is a Friday in Berlin.
var now = time.Date(2026, 1, 9, 14, 30, 0, 0, time.FixedZone("CET", 3600))

const letter = "Received: from pc.example.test by mx.example.test with ESMTPSA\r\n" +
	"\tid 06f9gq3k; Fri, 2 Jan 2026 03:04:05 +0000\r\n" +
	"From: Alice <alice@example.test>\r\nTo: Bob <bob@far.test>\r\nSubject: Minutes of Tuesday\r\n" +
	"Message-ID: <1234@pc.example.test>\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\n\r\n"

const body = "Dear Bob,\r\n\r\nhere are the minutes.\r\n\r\nAlice\r\n"

// notice is a plain one, to be changed.
func notice(t testing.TB, rcpts ...Recipient) *Notice {
	return &Notice{Host: "mx.example.test", ID: "06f9gq3kexample000000000000", Boundary: "BOUNDARYBOUNDARYBOUNDARY",
		To: addr(t, "alice@example.test"), Date: now, Queue: "06f9gq3kqueue0000000000000", Arrived: now.Add(-5 * time.Minute),
		Recipients: rcpts, Original: original1(letter+body, len(letter))}
}

func original1(text string, header int) Original {
	return Original{MessageID: "<1234@pc.example.test>", Subject: "Minutes of Tuesday", Content: strings.NewReader(text), Size: int64(len(text)), Header: int64(header)}
}

func remote(t testing.TB, to string, a Action, code int, e reply.Enhanced, text ...string) Recipient {
	r := Recipient{Address: addr(t, to), Action: a, Host: "mx1.far.test [192.0.2.7]", Reply: reply.Reply{Code: code, Enhanced: e, Text: text}, Last: now.Add(-time.Second)}
	if a == Delayed {
		r.Until = now.Add(5*24*time.Hour - 4*time.Hour)
	}
	return r
}

// goldens are the notices people have looked at.
func goldens(t testing.TB) map[string]*Notice {
	out := map[string]*Notice{}
	n := notice(t, remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 1), "<bob@far.test>: Recipient address rejected: User unknown in virtual mailbox table"))
	n.EnvelopeID, n.Original.Full = "QQ314159", true
	n.Recipients[0].Original = "rfc822;Bob@far.test"
	n.Original.References = "<1@x.test> <2@x.test>"
	out["failed"] = n

	n = notice(t, remote(t, "bob@far.test", Delayed, 451, reply.E(4, 7, 1), "Greylisted, please try again in 300 seconds"))
	n.Arrived = now.Add(-4 * time.Hour)
	out["delayed"] = n

	n = notice(t, remote(t, "bob@far.test", Relayed, 250, reply.E(2, 0, 0), "ok"),
		Recipient{Address: addr(t, "carol@example.test"), Action: Delivered, Reply: reply.New(250, reply.E(2, 1, 5), "Delivered"), Last: now})
	out["success"] = n

	n = notice(t, remote(t, "bob@far.test", Failed, 452, reply.E(4, 2, 2), "Mailbox full"))
	n.Recipients[0].Expired = true
	n.Arrived = now.Add(-5 * 24 * time.Hour)
	n.Languages = []string{"en", "de", "ja"}
	n.Original.Subject = "Protokoll für Dienstag – 議事録"
	out["expired-three-languages"] = n

	n = notice(t, remote(t, "bob@far.test", Failed, 552, reply.E(5, 3, 4), "Message size exceeds fixed limit"))
	n.Languages = []string{"de"}
	out["german"] = n

	n = notice(t, remote(t, "bob@far.test", Failed, 554, reply.E(5, 7, 1), "Service unavailable; Client host [198.51.100.1] blocked using zen.spamhaus.org"))
	n.Languages = []string{"ja"}
	n.Original.Subject = "火曜日の議事録"
	out["japanese"] = n

	n = notice(t, remote(t, "bob@far.test", Failed, 550, reply.E(5, 1, 1), "No such user"),
		remote(t, "carol@far.test", Failed, 550, reply.E(5, 1, 1), "No such user"),
		remote(t, "dan@other.test", Failed, 552, reply.E(5, 2, 2), "Over quota"),
		Recipient{Address: addr(t, "eve@gone.test"), Action: Delayed, Reply: reply.New(451, reply.E(4, 4, 1), "connect to mx.gone.test [192.0.2.99]: connection refused"),
			Last: now, Until: now.Add(24 * time.Hour)},
		Recipient{Original: "rfc822;team@example.test", Address: addr(t, "frank@xn--mnchen-3ya.test"), Action: Failed,
			Reply: reply.New(556, reply.E(5, 1, 10), "xn--mnchen-3ya.test accepts no mail (null MX)"), Last: now})
	n.Recipients[2].Host = "mail.other.test [2001:db8::1]"
	n.Original = Original{}
	out["many"] = n

	n = notice(t, remote(t, "用户@far.test", Failed, 553, reply.E(5, 6, 7), "非ASCII addresses are not taken"))
	n.To, n.UTF8 = addr(t, "álice@example.test"), true
	n.Recipients[0].Original = "utf-8;用户@far.test"
	wide := strings.Replace(letter, "Bob <bob@far.test>", "用户 <用户@far.test>", 1)
	n.Original = original1(wide+body, len(wide))
	n.Original.Full = true
	out["smtputf8"] = n
	return out
}

func TestGoldenNotices(t *testing.T) {
	for name, n := range goldens(t) {
		var b bytes.Buffer
		if _, err := Write(&b, n); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := Read(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		subject := n.subject()
		got := txtar.Format(&txtar.Archive{Files: []txtar.File{
			{Name: "subject", Data: []byte(subject + "\n")},
			{Name: "text", Data: lf([]byte(r.Text))},
			{Name: "message", Data: lf(b.Bytes())}}})
		file := filepath.Join("testdata", name+".txtar")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs (%v); look at it with -update\n%s", name, err, got)
		}
		for i, text := range strings.Split(b.String(), "\r\n") {
			if textColumns(text) > 78 {
				t.Errorf("%s: line %d has %d columns: %s", name, i+1, textColumns(text), text)
			}
		}
	}
}

func lf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }
