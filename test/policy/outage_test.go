package policy_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/testkit/authority"
)

// demanding asks name servers for all they could tell, and refuses whoever they
// do not know.
var demanding = []string{
	"policy.names.client enforce", "policy.names.helo_known enforce", "policy.names.helo_match exact", "policy.origin.known enforce", "policy.origin.known_for_local true",
	`policy.classes.lists ["list.example reject"]`, `policy.blocklists.lists ["other.example"]`, "policy.blocklists.mode enforce",
	"policy.spf.mode enforce", "policy.authentic.mode enforce", "policy.authentic.refuse_broken true", "policy.greylist.scope suspicious", "ban.failures 2",
}

// honest is a sender whom the demanding let in as long as name servers answer.
const honest = `
$ORIGIN client.example.
@ IN MX 10 mx
@ IN TXT "v=spf1 mx -all"
_dmarc IN TXT "v=DMARC1; p=reject"
mx IN A 192.0.2.1
key._domainkey IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
$ORIGIN 2.0.192.in-addr.arpa.
1 IN PTR mx.client.example.
$ORIGIN example.test.
@ IN MX 10 mx
mx IN A 192.0.2.25
`

// dkim is a signature that only a key could show to be broken.
const dkim = "DKIM-Signature: v=1; a=ed25519-sha256; d=client.example; s=key; c=relaxed/relaxed; h=from; bh=yZQq1c8wjBl0fZ4Wc/oraMCAG1mZJv5v/hlvyFy+t6A=; b=AAAA\r\n"

// TestAnOutageOfNameServersRefusesNothingForGood is reliability row 14: while
// name servers fail or are silent for an hour, every honest attempt is accepted
// or put off, what is queued keeps waiting, and mail flows again afterwards.
func TestAnOutageOfNameServersRefusesNothingForGood(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]authority.Behaviour{"servfail": {Rcode: mdns.RcodeServerFailure}, "refused": {Rcode: mdns.RcodeRefused}, "silent": {Drop: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { outage(t, how, 451, demanding...) })
		})
	}
	t.Run("without demands", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			outage(t, authority.Behaviour{Rcode: mdns.RcodeServerFailure}, 250, "policy.origin.known off", "policy.authentic.refuse_broken true")
		})
	})
}

// outage lives through an hour of it in which every attempt must get the reply.
func outage(t *testing.T, how authority.Behaviour, want int, edits ...string) {
	w := newWorld(t, honest, edits...)
	defer w.close()
	good := letter{from: "192.0.2.1", helo: "mx.client.example", sender: "<a@client.example>", to: []string{"bob@example.test"}, content: "From: a@client.example\r\n" + plain[len("From: somebody@client.example\r\n"):]}
	w.expect(good, 250)
	time.Sleep(10 * time.Minute) // what was remembered is forgotten
	w.zones.Behave("*", how)
	w.expect(letter{from: "198.51.100.7", listener: "submission", helo: "home.example", login: "bob@example.test", sender: "<bob@example.test>",
		to: []string{"someone@far.example"}, content: "From: bob@example.test\r\n\r\nHello.\r\n"}, 250)
	accepted := 1
	for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(30 * time.Second) {
		null, signed := good, good
		null.sender, signed.content = "<>", dkim+good.content
		for _, m := range []letter{good, null, signed} {
			w.expect(m, want)
			if want == 250 {
				accepted++
			}
		}
	}
	if _, n, err := w.house.Store.Queue().Count(t.Context()); err != nil || n != 1 {
		t.Errorf("%d recipients are queued, %v", n, err)
	}
	for what, err := range map[string]error{"bans": w.bans("0"), "greylist": w.greylist("0 0"), "refused": w.records("refused 0"), "filed": w.filed(fmt.Sprint("bob ", accepted))} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.zones.Behave("*", authority.Behaviour{})
	time.Sleep(time.Minute) // failures are not remembered longer
	w.expect(good, 250)
}

// expect sends a letter whose last reply must have the code.
func (w *world) expect(m letter, code int) {
	w.t.Helper()
	if said, err := w.send(m); err != nil || last(said).code != code {
		w.t.Fatalf("%v, %v", said, err)
	}
}

// TestAFailingResolverPutsOffOnlyWhereItMust tells which demands put mail off
// during an outage (451 4.4.3, 450 4.7.25) and which let it in unjudged.
func TestAFailingResolverPutsOffOnlyWhereItMust(t *testing.T) {
	t.Parallel()
	for edit, want := range map[string]string{
		"policy.names.client enforce":                  "450 4.7.25",
		"policy.names.helo_known enforce":              "451 4.4.3",
		"policy.names.helo_match exact":                "451 4.4.3",
		"policy.origin.known enforce":                  "451 4.4.3",
		"policy.spf.defer_error true":                  "451 4.7.24",
		`policy.classes.lists ["list.example reject"]`: "250 2.0.0",
		`policy.blocklists.lists ["other.example"]`:    "250 2.0.0",
		"policy.authentic.refuse_broken true":          "250 2.0.0",
		"policy.greylist.scope suspicious":             "250 2.0.0",
		"policy.greylist.mode enforce":                 "250 2.0.0",
	} {
		t.Run(edit, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, honest, "policy.origin.known off", "policy.blocklists.mode enforce")
				defer w.close()
				if err := w.changed(w.save(w.house, edit)); err != nil {
					t.Fatal(err)
				}
				w.zones.Behave("*", authority.Behaviour{Rcode: mdns.RcodeServerFailure})
				said, err := w.send(letter{from: "192.0.2.1", helo: "mx.client.example", sender: "<a@client.example>", to: []string{"bob@example.test"}, content: dkim + plain})
				if got := last(said).String(); err != nil || len(got) < len(want) || got[:len(want)] != want {
					t.Errorf("%s, %v", got, err)
				}
			})
		})
	}
}
