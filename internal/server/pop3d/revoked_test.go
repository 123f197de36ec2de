package pop3d

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"posthorn/internal/server/listen"
	"posthorn/internal/wire/sasl"
)

// TestAnEndedLoginSaysGoodbyeAndDeletesNothing has real sockets, since only a
// Group ends logins. The other account's session goes on, and the maildrop is
// free for the next login.
func TestAnEndedLoginSaysGoodbyeAndDeletesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	if err := w.deliver(`alice A: 1\r\n\r\n1\r\n`); err != nil {
		t.Fatal(err)
	}
	sockets, err := listen.Open(t.Context(), []listen.Spec{{Name: "pop3", Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	g := listen.NewGroup(listen.Options{})
	offer := w.server.d.Offer
	w.server.d.Offer = func(info listen.Info) sasl.Offer { info.Listener = "plain"; return offer(info) }
	if err := g.Start(sockets[0], w.server, nil); err != nil {
		t.Fatal(err)
	}
	defer g.Stop(t.Context())
	enter := func(name string) *peer {
		t.Helper()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", sockets[0].Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn)
		p.expect("+OK")
		p.send("USER "+name+"@example.test", "PASS secret")
		p.expect("+OK", "+OK")
		return p
	}
	alice, bob := enter("alice"), enter("bob")
	alice.send("DELE 1")
	alice.expect("+OK")
	for _, l := range g.Logins(false) {
		if l.Account == w.accounts["alice"] {
			g.End(l)
		}
	}
	alice.expect("-ERR Your login has ended, nothing was deleted")
	if _, err := alice.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	bob.send("NOOP")
	bob.expect("+OK")
	if err := w.messages("alice INBOX 1"); err != nil {
		t.Error(err)
	}
	again := enter("alice")
	again.send("QUIT")
	again.expect("+OK")
	if err := w.messages("alice INBOX 1"); err != nil {
		t.Error(err)
	}
}
