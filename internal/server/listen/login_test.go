package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"posthorn/internal/state/store"
)

func TestCredentialChangesWithThePasswordAlone(t *testing.T) {
	t.Parallel()
	row := store.AccountRow{ID: 7, Password: "$argon2id$old", Scram256: "verifier one", Scram1: "x"}
	was := CredentialOf(row)
	renewed := row
	renewed.Password, renewed.FullName, renewed.Version = "$argon2id$new", "Somebody", 9
	changed := row
	changed.Password, changed.Scram256 = "$argon2id$new", "verifier two"
	bare, other := store.AccountRow{Password: "a"}, store.AccountRow{Password: "b"}
	switch {
	case CredentialOf(renewed) != was:
		t.Error("a renewed hash is taken for a new password")
	case CredentialOf(changed) == was:
		t.Error("a new password goes unseen")
	case CredentialOf(bare) == CredentialOf(other):
		t.Error("without verifiers a new hash goes unseen")
	}
}

func TestAnEndedLoginSaysGoodbyeAndLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	srv := &echo{login: store.AccountRow{ID: 7, Scram256: "one"}}
	g, addr := openOn(t, "imap", srv, Options{})
	stranger, mine, theirs := dial(t, addr), dial(t, addr), dial(t, addr)
	for _, c := range []*client{stranger, mine, theirs} {
		c.expect("220")
	}
	mine.say("LOGIN")
	mine.expect("LOGIN")
	first := g.Logins(true)
	theirs.say("LOGIN")
	theirs.expect("LOGIN")
	if len(first) != 1 || first[0].Account != 7 || first[0].Credential != CredentialOf(srv.login) || first[0].Listener() != "imap" {
		t.Fatalf("%+v", first)
	}
	if n := len(g.Logins(true)); n != 1 {
		t.Errorf("%d logins since the last look", n)
	}
	if n, all := len(g.Logins(true)), len(g.Logins(false)); n != 0 || all != 2 {
		t.Errorf("%d fresh, %d in all", n, all)
	}
	g.End(first[0])
	mine.expect("421 4.3.2 goodbye")
	if _, err := mine.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	g.End(first[0]) // twice does no harm
	if n := len(g.Logins(false)); n != 1 {
		t.Errorf("%d logins are left", n)
	}
	for _, c := range []*client{stranger, theirs} {
		c.say("still here")
		c.expect("still here")
	}
}

func TestATransferOfAnEndedLoginFinishesFirst(t *testing.T) {
	t.Parallel()
	g, addr := openOn(t, "imap", &echo{login: store.AccountRow{ID: 7}}, Options{})
	c := dial(t, addr)
	c.expect("220")
	for _, line := range []string{"LOGIN", "SHIELD"} {
		c.say(line)
		c.expect(line)
	}
	g.End(g.Logins(false)[0])
	c.say("last octets")
	c.expect("421 4.3.2 goodbye") // read under the shield, then the context was seen
}

// Five thousand sessions are looked at in a moment, without holding up those
// who connect.
func BenchmarkLogins(b *testing.B) {
	g := NewGroup(Options{})
	defer g.Stop(context.Background())
	client, server := net.Pipe()
	defer client.Close()
	name, _ := Lookup("imap")
	for i := range 5000 {
		t, _ := g.admitted.admit(name, Limits{}, newLink(server, Info{}), func(error) {})
		t.login(store.AccountID(1+i%1000), Credential{})
		defer t.leave()
	}
	for b.Loop() {
		if len(g.Logins(false)) != 5000 {
			b.Fatal("not all")
		}
	}
}
