package pop3d

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"posthorn/internal/server/listen"
	"posthorn/internal/wire/sasl"
)

// open starts the server on a loopback port; enter logs in there.
func (w *world) open() (g *listen.Group, enter func(name string) *peer) {
	t := w.t
	sockets, err := listen.Open(t.Context(), []listen.Spec{{Name: "pop3", Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	g = listen.NewGroup(listen.Options{})
	offer := w.server.d.Offer
	w.server.d.Offer = func(info listen.Info) sasl.Offer { info.Listener = "plain"; return offer(info) }
	if err := g.Start(sockets[0], w.server, nil); err != nil {
		t.Fatal(err)
	}
	return g, func(name string) *peer {
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
}

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
	g, enter := w.open()
	defer g.Stop(t.Context())
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

// A client that asked for all its mail at once gets the message that is on its
// way when its login ends, and no other.
func TestAnEndedLoginStopsAtTheNextMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	const messages = 24 // more than the sockets hold
	content := []byte("Subject: long\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1000))
	for range messages {
		if err := w.file("alice", content); err != nil {
			t.Fatal(err)
		}
	}
	g, enter := w.open()
	defer g.Stop(t.Context())
	alice := enter("alice")
	alice.retrieve(messages)
	alice.expect("+OK")
	for _, l := range g.Logins(false) {
		g.End(l)
	}
	got, last := 1, ""
	for {
		line, err := alice.in.ReadString('\n')
		if err != nil {
			break // whatever was not read of the commands resets the connection
		}
		if last = line; strings.HasPrefix(line, "+OK") {
			got++
		}
	}
	if got == messages || last != "-ERR Your login has ended, nothing was deleted\r\n" {
		t.Errorf("%d messages, then %q", got, last)
	}
}
