package listen

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/memconn"
)

// doors opens a group on a network in memory, for virtual time.
func doors(t *testing.T, name string, srv Server, o Options) (*Group, func() *client) {
	t.Helper()
	f := &feed{conns: make(chan net.Conn), closed: make(chan struct{})}
	kind, _ := Lookup(name)
	g := NewGroup(o)
	if err := g.Start(&Socket{Listener: f, Name: kind}, srv, nil); err != nil {
		t.Fatal(err)
	}
	port := uint16(0)
	return g, func() *client {
		port++
		c, s := memconn.Pair(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), netip.MustParseAddrPort("192.0.2.2:143"))
		f.conns <- s
		return &client{t, c, bufio.NewReader(c)}
	}
}

// TestUsersGetInThroughAFloodOfIdleConnections is reliability row 10: who has
// logged in stays, who is new gets in, who idles before login makes room.
func TestUsersGetInThroughAFloodOfIdleConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, dial := doors(t, "imap", &echo{login: store.AccountRow{ID: 1}}, Options{Limits: limits(Limits{Total: 20, Reserved: 5})})
		user := dial()
		user.expect("220")
		user.say("LOGIN")
		user.expect("LOGIN")
		var flood []*client
		for range 19 {
			c := dial()
			c.expect("220")
			flood = append(flood, c)
		}
		dial().expect("421 4.3.2 connection limit")
		time.Sleep(evictable)
		for i := range 10 {
			c := dial()
			c.expect("220")
			c.say("LOGIN")
			c.expect("LOGIN")
			flood[i].expect("421 4.3.2 goodbye")
		}
		user.say("still here")
		user.expect("still here")
		if s := g.Stats(); s.Open != 20 || s.Listeners["imap"] != 20 || s.Hosts != 1 || s.Accepted != 30 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		if n := g.Stop(t.Context()); n != 0 {
			t.Errorf("%d were cut", n)
		}
		user.expect("421")
		if s := g.Stats(); s.Open != 0 || s.Hosts != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

// causes remembers why sessions ended.
type causes struct{ ended chan error }

func (s causes) Serve(ctx context.Context, c *Conn) {
	_, _ = c.Read(make([]byte, 1))
	s.ended <- context.Cause(ctx)
}

func (causes) Refuse(Reason, Info) []byte { return nil }

func TestSessionsLearnWhyTheyEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := causes{make(chan error, 2)}
		g, dial := doors(t, "imap", srv, Options{Limits: limits(Limits{PerListener: 1})})
		dial()
		synctest.Wait()
		time.Sleep(evictable)
		dial()
		if err := <-srv.ended; !errors.Is(err, ErrEvicted) {
			t.Errorf("evicted: %v", err)
		}
		g.Stop(t.Context())
		if err := <-srv.ended; !errors.Is(err, ErrStopping) {
			t.Errorf("stopped: %v", err)
		}
	})
}

func FuzzSpec(f *testing.F) {
	for _, s := range []string{"smtp=127.0.0.1:2525", "imaps=[::1]:0", "lmtp=unix:/run/x", "http=:80", "smtp=::1", "smtp=localhost:25"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := ParseSpec(s)
		if err != nil {
			return
		}
		network, addr, err := spec.resolve()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if network == "unix" {
			return
		}
		if _, err := net.ResolveTCPAddr(network, addr); err != nil {
			t.Errorf("%q gives %s %s: %v", s, network, addr, err)
		}
	})
}
