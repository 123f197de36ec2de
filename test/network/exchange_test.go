package network

import (
	"io"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Two posthorns and a Postfix exchange mail over an Internet of their own.
func TestServersExchangeMail(t *testing.T) {
	w := newWorld(t)
	a := w.host("a", "46").posthorn("a.test", "delivery.connect_timeout=2s")
	b := w.host("b", "46").posthorn("b.test")
	p := w.host("p", "4").postfix("p.test")
	x := &exchange{w: w, a: a, b: b, p: p}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"both ways between posthorns", x.bothWays},
		{"both ways with Postfix", x.postfix},
		{"an unknown recipient elsewhere comes back as a report", x.unknown},
		{"an unknown recipient here comes back from Postfix", x.unknownHere},
		{"success is reported by who delivered", x.success},
		{"a dead primary MX", x.deadPrimary},
		{"a null MX", x.nullMX},
		{"no such domain", x.noDomain},
		{"name servers that fail", x.brokenNames},
		{"only IPv6", x.onlyIPv6},
		{"a host without MX", x.implicit},
		{"a loop of MX records", x.loop},
		{"a cut line: delayed, told once, delivered later", x.cutLine},
		{"a relay host with login", x.relayHost},
	} {
		t.Run(step.name, step.run)
	}
}

// exchange is the cast.
type exchange struct {
	w    *world
	a, b *posthorn
	p    *postfix
}

func (x *exchange) bothWays(t *testing.T) {
	x.a.send(note("alice@a.test", "alice@b.test", "from a"))
	m := await(t, x.b.mails, "from a")
	// One from the submission, one from the reception.
	if n := len(m.Header["Received"]); n != 2 {
		t.Errorf("%d Received fields: %q", n, m.Header["Received"])
	}
	if n := len(m.Header["Message-Id"]); n != 1 {
		t.Errorf("%d Message-ID fields", n)
	}
	if got := m.Header.Get("Received"); !strings.Contains(got, "mail.a.test") || !strings.Contains(got, "with ESMTPS") {
		t.Errorf("Received: %s", got)
	}
	if got := m.Header.Get("Return-Path"); got != "<alice@a.test>" {
		t.Errorf("Return-Path: %s", got)
	}
	x.b.send(note("alice@b.test", "alice@a.test", "from b"))
	await(t, x.a.mails, "from b")
}

func (x *exchange) postfix(t *testing.T) {
	x.a.send(note("alice@a.test", "bob@p.test", "to postfix"))
	await(t, x.p.bob, "to postfix")
	x.p.send(note("bob@p.test", "alice@a.test", "from postfix"))
	await(t, x.a.mails, "from postfix")
}

// report waits for a notice about a letter and returns its text.
func (x *exchange) report(t *testing.T, to *posthorn, holding ...string) string {
	t.Helper()
	var text string
	eventually(t, 40*time.Second, "a report that says "+strings.Join(holding, ", "), func() bool {
		for _, m := range to.mails() {
			if text = body(t, m); strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/report") && containsAll(text, holding) {
				return true
			}
		}
		return false
	})
	return text
}

func body(t *testing.T, m *mail.Message) string {
	t.Helper()
	b, err := io.ReadAll(m.Body)
	must(t, err)
	m.Body = strings.NewReader(string(b))
	return string(b)
}

func containsAll(text string, all []string) bool {
	for _, s := range all {
		if !strings.Contains(text, s) {
			return false
		}
	}
	return true
}

func (x *exchange) unknown(t *testing.T) {
	x.a.send(note("alice@a.test", "unknown@p.test", "to nobody"))
	x.report(t, x.a, "Action: failed", "Status: 5.1.1", "Final-Recipient: rfc822; unknown@p.test", "Remote-MTA: dns; mail.p.test", "Subject: to nobody")
	x.a.send(note("alice@a.test", "nobody@b.test", "to nobody at b"))
	x.report(t, x.a, "Action: failed", "Status: 5.1.1", "nobody@b.test")
}

func (x *exchange) unknownHere(t *testing.T) {
	x.p.send(note("bob@p.test", "nobody@a.test", "to nobody at a"))
	m := await(t, x.p.bob, "Undelivered Mail Returned to Sender")
	if text := body(t, m); !containsAll(text, []string{"5.1.1", "nobody@a.test"}) {
		t.Errorf("Postfix says\n%s", text)
	}
}

// RFC 3461 §5.2: the last host that knows NOTIFY reports.
func (x *exchange) success(t *testing.T) {
	for _, to := range []string{"alice@b.test", "bob@p.test"} {
		l := note("alice@a.test", to, "please confirm "+to)
		l.mail = &smtp.MailOptions{Return: smtp.DSNReturnHeaders, EnvelopeID: "order-7"}
		l.rcpt = &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifySuccess}}
		x.a.send(l)
		x.report(t, x.a, "Action: delivered", "Original-Envelope-Id: order-7", to)
	}
}

func (x *exchange) deadPrimary(t *testing.T) {
	x.w.names.Add("$ORIGIN dead.test.\n@ 60 IN MX 10 silent\n@ 60 IN MX 20 closed\n@ 60 IN MX 30 mail.p.test.\nsilent 60 IN A " + silent + "\nclosed 60 IN A " + closed + "\n")
	x.a.send(note("alice@a.test", "bob@dead.test", "past the dead"))
	x.report(t, x.a, "Action: failed", "bob@dead.test", "Remote-MTA: dns; mail.p.test") // Postfix does not relay for it: it was asked
}

func (x *exchange) nullMX(t *testing.T) {
	x.w.names.Add("$ORIGIN null.test.\n@ 60 IN MX 0 .\n@ 60 IN A " + x.p.h.v4 + "\n")
	x.a.send(note("alice@a.test", "bob@null.test", "to null"))
	x.report(t, x.a, "Status: 5.1.10", "bob@null.test")
}

func (x *exchange) noDomain(t *testing.T) {
	x.a.send(note("alice@a.test", "bob@nowhere.test", "to nowhere"))
	x.report(t, x.a, "Status: 5.1.2", "bob@nowhere.test")
}
