package auth

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/base/event"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play runs an exchange of package sasl's client against a guard.
func play(t *testing.T, g *Guard, m sasl.Mechanism, c sasl.Credentials) error {
	t.Helper()
	server, err := g.Begin(string(m), sasl.ChannelBinding{}, []sasl.Mechanism{m})
	if err != nil {
		return err
	}
	peer, err := sasl.NewClient(m, c, []string{string(m)}, sasl.ChannelBinding{})
	if err != nil {
		t.Fatal(err)
	}
	response, err := peer.Start()
	for err == nil {
		var challenge []byte
		var done bool
		if challenge, done, err = server.Next(t.Context(), response); err != nil || done {
			return err
		}
		response, err = peer.Next(challenge)
	}
	t.Fatal(err)
	return nil
}

func TestMechanismsLeadToTheAccount(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	for i, m := range []sasl.Mechanism{sasl.Plain, sasl.Login, sasl.ScramSHA256} {
		g := a.Guard(client, "pop3s", nil)
		if err := play(t, g, m, sasl.Credentials{Name: "alice@example.org", Password: "secret"}); err != nil || g.Account().ID != 1 {
			t.Errorf("%s: %v, account %d", m, err, g.Account().ID)
		}
		if delay, last := g.Penalty(); delay != 0 || last {
			t.Errorf("%s: a success costs %v", m, delay)
		}
		for _, name := range []string{"alice@example.test", "nobody@example.test", "bob@example.test", "carol@example.test", "dave@example.test"} {
			g := a.Guard(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), "pop3s", nil)
			password := "secret"
			if name == "alice@example.test" {
				password = "wrong"
			}
			if err := play(t, g, m, sasl.Credentials{Name: name, Password: password}); !errors.Is(err, ErrCredentials) || g.Account().ID != 0 {
				t.Errorf("%s %s: %v", m, name, err)
			}
		}
	}
}

func TestNobodyActsAsSomebodyElse(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	erin := p.rows[1]
	erin.ID, erin.Addresses = 5, erin.Addresses[:1:1]
	erin.Addresses[0].Local = "erin"
	p.rows[5] = erin
	p.rows[1] = func(r store.AccountRow) store.AccountRow { r.Addresses[0].Local = "alice"; return r }(newPeople(t).rows[1])
	for authzid, ok := range map[string]bool{
		"": true, "alice@example.test": true, "ALICE@example.org": true, "erin@example.test": false, "nobody@example.test": false, "bob@example.test": false,
	} {
		g := a.Guard(client, "imaps", nil)
		err := play(t, g, sasl.Plain, sasl.Credentials{Name: "alice@example.test", Password: "secret", Authzid: authzid})
		if ok != (err == nil) || !ok && (!errors.Is(err, ErrCredentials) || g.Account().ID != 0) {
			t.Errorf("as %q: %v", authzid, err)
		}
	}
}

func TestAnIdentityThatMovedDoesNotGetIn(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	if row, err := a.Login(t.Context(), sasl.Identity{Account: "1", Authcid: "alice"}, p.rows[1]); err != nil || row.ID != 1 {
		t.Fatal(err)
	}
	if _, err := a.Login(t.Context(), sasl.Identity{Account: "7", Authcid: "alice"}, p.rows[1]); !errors.Is(err, ErrCredentials) {
		t.Error(err)
	}
	row := p.rows[1]
	row.Disabled = true
	p.rows[1] = row
	if _, err := a.Login(t.Context(), sasl.Identity{Account: "1", Authcid: "alice"}, p.rows[1]); !errors.Is(err, ErrCredentials) {
		t.Error(err)
	}
}

func TestAnInventedSaltIsTheSameForAllSpellings(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	salt := func(name string) string {
		_, s, err := a.Scram(t.Context(), name, passwd.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Salt)
	}
	for _, same := range [][2]string{{"nobody", "nobody@example.test"}, {"Nobody@EXAMPLE.test", "nobody@example.test"}, {"x@bücher.test", "x@xn--bcher-kva.test"}} {
		if salt(same[0]) != salt(same[1]) {
			t.Errorf("%s and %s have different salts", same[0], same[1])
		}
	}
	if salt("nobody") == salt("noone") {
		t.Error("all unknown names have one salt")
	}
}

func TestFailuresCostMoreEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		g := a.Guard(client, "pop3", nil)
		for i, want := range []time.Duration{1, 2, 4, 8, 8, 8, 8, 8, 8, 8} {
			if _, err := g.Password(t.Context(), "alice", "wrong"); !errors.Is(err, ErrCredentials) {
				t.Fatalf("failure %d: %v", i+1, err)
			}
			delay, last := g.Penalty()
			if delay != want*time.Second || last != (i == 9) {
				t.Errorf("failure %d: %v, last %v", i+1, delay, last)
			}
			time.Sleep(delay)
		}
		// Another connection of the host goes on where this one stopped, another host does not.
		for from, want := range map[string]time.Duration{"192.0.2.1": 8, "192.0.2.2": 1} {
			g := a.Guard(netip.MustParseAddr(from), "imap", nil)
			if _, err := g.Password(t.Context(), "name"+from, "wrong"); !errors.Is(err, ErrCredentials) {
				t.Errorf("%s: %v", from, err)
			}
			if delay, _ := g.Penalty(); delay != want*time.Second {
				t.Errorf("%s: %v", from, delay)
			}
		}
	})
}

func TestAHostGetsTwentyGuessesAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		tried := 0
		for range 600 { // an attempt every tenth of a second on a connection of its own, all addresses of one /64
			g := a.Guard(netip.MustParseAddr("2001:db8::").Next(), "imap", nil)
			_, err := g.Password(t.Context(), "alice", "wrong")
			switch {
			case errors.Is(err, ErrBlocked):
			case errors.Is(err, ErrCredentials):
				tried++
			default:
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if tried > 20 || tried < 15 {
			t.Errorf("%d guesses in a minute", tried)
		}
		_, _ = a.Guard(netip.MustParseAddr("2001:db8::8"), "imap", nil).Password(t.Context(), "alice", "wrong") // takes what flowed back
		if _, err := a.Guard(netip.MustParseAddr("2001:db8::9"), "imap", nil).Password(t.Context(), "alice", "secret"); !errors.Is(err, ErrBlocked) {
			t.Errorf("the right password was looked at: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := a.Guard(netip.MustParseAddr("2001:db8::9"), "imap", nil).Password(t.Context(), "alice", "secret"); err != nil {
			t.Error(err)
		}
	})
}

func TestNeighboursOfAnAttackerStillLogIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		login := func(name, password string) error {
			_, err := a.Guard(client, "imap", nil).Password(t.Context(), name, password)
			return err
		}
		if err := login("alice", "secret"); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			_ = login("victim", "guess") // refused either way
		}
		if err := login("carol", "x"); !errors.Is(err, ErrBlocked) {
			t.Fatal(err)
		}
		for range 30 {
			if err := login("ALICE@example.test", "secret"); err != nil {
				t.Fatal(err)
			}
		}
		// Its successes bought the attacker nothing, and one failure ends the privilege.
		if err := login("carol", "x"); !errors.Is(err, ErrBlocked) {
			t.Error(err)
		}
		if err := login("alice", "wrong"); !errors.Is(err, ErrCredentials) || errors.Is(err, ErrTemporary) {
			t.Error(err)
		}
		if err := login("alice", "secret"); !errors.Is(err, ErrBlocked) {
			t.Error(err)
		}
	})
}

func TestManyLoginsFromOneOfficeAreNoFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		for i := range 200 {
			g := a.Guard(client, "imap", nil)
			if err := play(t, g, sasl.ScramSHA256, sasl.Credentials{Name: "alice", Password: "secret"}); err != nil {
				t.Fatalf("login %d: %v", i, err)
			}
		}
	})
}

func TestSuccessClearsTheAccountButNotTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTest(t, nil)
		fail := func(from string) time.Duration {
			g := a.Guard(netip.MustParseAddr(from), "smtp", nil)
			_, _ = g.Password(t.Context(), "alice", "wrong")
			delay, _ := g.Penalty()
			return delay
		}
		for _, from := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.3"} {
			fail(from)
		}
		if got := fail("192.0.2.4"); got != 8*time.Second {
			t.Errorf("the fourth failure of the account costs %v", got)
		}
		if _, err := a.Guard(netip.MustParseAddr("192.0.2.9"), "smtp", nil).Password(t.Context(), "alice", "secret"); err != nil {
			t.Fatal(err)
		}
		if got := fail("192.0.2.10"); got != time.Second {
			t.Errorf("after a success a new host's failure costs %v", got)
		}
		if got := fail("192.0.2.1"); got != 4*time.Second {
			t.Errorf("after a success the old host's third failure costs %v", got)
		}
		time.Sleep(forgetFailures + time.Second)
		if got := fail("192.0.2.1"); got != time.Second {
			t.Errorf("old failures are not forgotten: %v", got)
		}
	})
}

func TestSmallMistakesOfClientsAreNoGuesses(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	g := a.Guard(client, "pop3s", nil)
	for _, response := range []string{"no nul", "a\x00b"} {
		server, err := g.Begin("PLAIN", sasl.ChannelBinding{}, []sasl.Mechanism{sasl.Plain})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.Next(t.Context(), []byte(response)); !errors.Is(err, sasl.ErrProtocol) {
			t.Error(err)
		}
	}
	if _, err := g.Begin("XYZ", sasl.ChannelBinding{}, []sasl.Mechanism{sasl.Plain}); !errors.Is(err, sasl.ErrMechanism) {
		t.Error(err)
	}
	p.broken = store.ErrUnavailable
	if _, err := g.Password(t.Context(), "alice", "secret"); !errors.Is(err, ErrTemporary) {
		t.Error(err)
	}
	if delay, last := g.Penalty(); delay != 0 || last || g.failures != 0 {
		t.Errorf("%v, %v, %d failures", delay, last, g.failures)
	}
	server, err := g.Begin("PLAIN", sasl.ChannelBinding{}, []sasl.Mechanism{sasl.Plain})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Next(t.Context(), []byte{}); !errors.Is(err, ErrCredentials) { // hostile row 29
		t.Error(err)
	}
}

// banner is an accountant that bans one host.
type banner struct {
	Limiter
	failures []Failure
}

func (b *banner) Admit(_ context.Context, c netip.Addr, _ string) (bool, error) {
	if c == client {
		return false, ErrBlocked
	}
	return false, nil
}

func (b *banner) Failed(f Failure) time.Duration { b.failures = append(b.failures, f); return 0 }

func TestABanFitsIn(t *testing.T) {
	t.Parallel()
	b := &banner{}
	a, _ := newTest(t, func(o *Options) { o.Accountant = b })
	if err := a.Guard(client, "pop3", nil).Connect(); !errors.Is(err, ErrBlocked) {
		t.Error(err)
	}
	g := a.Guard(netip.MustParseAddr("192.0.2.7"), "pop3", nil)
	if err := g.Connect(); err != nil {
		t.Error(err)
	}
	g.ProtocolError()
	_, _ = g.Password(t.Context(), "Nobody", "x")
	want := []Failure{{ProtocolError, g.client, "pop3", "", false}, {WrongLogin, g.client, "pop3", "nobody@example.test", false}}
	if len(b.failures) != 2 || b.failures[0] != want[0] || b.failures[1] != want[1] {
		t.Errorf("%+v", b.failures)
	}
}

func TestTheLogTellsWhoFailedAndNeverThePassword(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	l := event.New(event.Handler(&log, event.Options{}))
	a, _ := newTest(t, nil)
	g := a.Guard(client, "pop3s", l)
	for _, m := range []sasl.Mechanism{sasl.Plain, sasl.ScramSHA256} {
		for _, name := range []string{"alice", "nobody", "bob"} {
			_ = play(t, g, m, sasl.Credentials{Name: name, Password: "hunter2"})
		}
		if err := play(t, g, m, sasl.Credentials{Name: "alice", Password: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 12 {
		_, _ = g.Password(t.Context(), "flood", "hunter2")
	}
	text := log.String()
	for _, want := range []string{"auth.failed", "auth.succeeded", "auth.blocked", "nobody", "account 2 is disabled", "SCRAM-SHA-256", "192.0.2.1", "pop3s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q", want)
		}
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "=secret") {
		t.Error("the log has a password")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestSettingsDecideTheMechanisms(t *testing.T) {
	t.Parallel()
	s := Settings{PlaintextNeedsTLS: true, Scram: true}
	a, _ := newTest(t, func(o *Options) { o.Settings = func() *Settings { return &s } })
	if o := a.Offer(); o.PlaintextWithoutTLS || o.Login || !o.Scram || o.SHA1 {
		t.Errorf("%+v", o)
	}
	s = Settings{OfferLogin: true, ScramSHA1: true}
	if o := a.Offer(); !o.PlaintextWithoutTLS || !o.Login || o.Scram || o.SHA1 {
		t.Errorf("%+v", o)
	}
}

// A name of nothing costs a computation like any other, so it is counted too.
func TestTheEmptyNameIsBoundedToo(t *testing.T) {
	t.Parallel()
	a, _ := newTest(t, nil)
	a.o.DefaultDomain = nil
	var blocked int
	for range 30 {
		if _, err := a.Guard(client, "imaps", nil).Password(t.Context(), "", "guess"); errors.Is(err, ErrBlocked) {
			blocked++
		}
	}
	if blocked < 19 {
		t.Errorf("%d of 30 guesses were blocked", blocked)
	}
}
