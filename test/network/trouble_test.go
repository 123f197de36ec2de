package network

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/testkit/authority"
)

// waiting is a queued message as "queue list --json" shows it.
type waiting struct {
	ID         string
	Recipients []struct {
		Address, Route string
		Attempts       int
		LastError      string `json:"last_error"`
	}
}

// queued are the messages waiting for a recipient.
func (p *posthorn) queued(recipient string) []waiting {
	p.h.w.t.Helper()
	var page struct{ Items []waiting }
	must(p.h.w.t, json.Unmarshal([]byte(p.run("", "queue", "list", "--recipient", recipient, "--json")), &page))
	return page.Items
}

// waits waits until a message for the recipient has been tried and deferred.
func (p *posthorn) waits(t *testing.T, recipient, why string) waiting {
	t.Helper()
	var w waiting
	eventually(t, 30*time.Second, "mail for "+recipient+" waits because of "+why, func() bool {
		for _, w = range p.queued(recipient) {
			if r := w.Recipients[0]; r.Attempts > 0 && strings.Contains(r.LastError, why) {
				return true
			}
		}
		return false
	})
	return w
}

// reliability.md row 14: name servers that fail never cost a message.
func (x *exchange) brokenNames(t *testing.T) {
	x.w.names.Add("$ORIGIN shaky.test.\n@ 60 IN MX 10 mail.b.test.\n")
	x.w.names.Behave("shaky.test", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
	x.b.run("", "domain", "add", "shaky.test")
	x.b.run("", "account", "set", "alice@b.test", "--addresses", "alice@b.test,alice@shaky.test")
	x.a.send(note("alice@a.test", "alice@shaky.test", "over shaky names"))
	x.a.waits(t, "alice@shaky.test", "4.4.3")
	x.w.names.Behave("shaky.test", authority.Behaviour{})
	await(t, x.b.mails, "over shaky names")
}

func (x *exchange) onlyIPv6(t *testing.T) {
	c := x.w.host("c", "6").posthorn("c.test")
	x.a.send(note("alice@a.test", "alice@c.test", "over six"))
	m := await(t, c.mails, "over six")
	if got := m.Header.Get("Received"); !strings.Contains(got, "[IPv6:"+x.a.h.v6+"]") {
		t.Errorf("Received: %s", got)
	}
	c.send(note("alice@c.test", "alice@a.test", "from six"))
	await(t, x.a.mails, "from six")
}

// RFC 5321 §5.1: without MX records the domain's own address is meant.
func (x *exchange) implicit(t *testing.T) {
	x.w.names.Add("$ORIGIN plain.test.\n@ 60 IN A " + x.b.h.v4 + "\n")
	x.b.run("", "domain", "add", "plain.test")
	x.b.run("", "account", "set", "alice@b.test", "--addresses", "alice@b.test,alice@shaky.test,alice@plain.test")
	x.a.send(note("alice@a.test", "alice@plain.test", "without MX"))
	await(t, x.b.mails, "without MX")
}

func (x *exchange) loop(t *testing.T) {
	x.w.names.Add("$ORIGIN loop.test.\n@ 60 IN MX 10 mail.a.test.\n@ 60 IN MX 20 mail.b.test.\n")
	x.a.send(note("alice@a.test", "bob@loop.test", "to ourselves"))
	x.report(t, x.a, "Status: 5.4.6", "bob@loop.test")
}

func (x *exchange) cutLine(t *testing.T) {
	x.a.run("", "setting", "set", "queue.delay_notice=3s")
	defer x.a.run("", "setting", "set", "queue.delay_notice=4h")
	x.b.h.cut()
	x.a.send(note("alice@a.test", "alice@b.test", "across the cut"))
	x.a.waits(t, "alice@b.test", "4.4.")
	x.report(t, x.a, "Action: delayed", "Will-Retry-Until:", "alice@b.test")
	x.b.h.mend()
	x.a.run("", "queue", "retry", "--recipient", "b.test")
	await(t, x.b.mails, "across the cut")
	delays := 0
	for _, m := range x.a.mails() {
		if strings.Contains(body(t, m), "Action: delayed") {
			delays++
		}
	}
	if delays != 1 {
		t.Errorf("%d notices of the delay", delays)
	}
}

// M-DEL-02: everything goes through one host, TLS with its certificate and a
// login; a wrong password makes mail wait, not bounce.
func (x *exchange) relayHost(t *testing.T) {
	set := func(settings ...string) { x.a.run("", append([]string{"setting", "set"}, settings...)...) }
	set("relay.password=wrong", "relay.hosts=mail.p.test", "relay.port=587", "relay.user="+relayUser, "relay.secure=true", "relay.fingerprint="+x.p.fingerprint(), "relay.mode=relay")
	asked := x.w.names.Queries("b.test", mdns.TypeMX)
	x.a.send(note("alice@a.test", "alice@b.test", "through the relay"))
	w := x.a.waits(t, "alice@b.test", "535")
	if route := w.Recipients[0].Route; !strings.Contains(route, "mail.p.test") {
		t.Errorf("route %q", route)
	}
	set("relay.password=" + relayPassword)
	x.a.run("", "queue", "retry", w.ID)
	m := await(t, x.b.mails, "through the relay")
	if got := strings.Join(m.Header["Received"], "\n"); !strings.Contains(got, "mail.p.test") || !strings.Contains(got, "ESMTPSA") {
		t.Errorf("Received: %s", got)
	}
	if now := x.w.names.Queries("b.test", mdns.TypeMX); now > asked+2 { // Postfix's own, one for each try: it is greylisted once
		t.Errorf("%d questions for the MX of b.test", now-asked)
	}
	set("relay.mode=direct")
}
