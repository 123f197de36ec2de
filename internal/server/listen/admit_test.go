package listen

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/testkit/memconn"
)

// crowd admits connections without sockets.
type crowd struct {
	*admission
	lim Limits
}

func (c *crowd) enter(name string) (*ticket, *ticket) {
	n, _ := Lookup(name)
	raw, _ := memconn.Pair(netip.AddrPort{}, netip.AddrPort{})
	_, cancel := context.WithCancelCause(context.Background())
	return c.admit(n, c.lim, newLink(raw, Info{}), cancel)
}

func TestStrangersCannotUseTheReservedShare(t *testing.T) {
	t.Parallel()
	c := crowd{newAdmission(), Limits{Total: 10, Reserved: 4}}
	var strangers []*ticket
	for range 6 {
		ticket, _ := c.enter("smtp")
		strangers = append(strangers, ticket)
	}
	if ticket, _ := c.enter("smtp"); ticket != nil {
		t.Error("a stranger got a reserved place")
	}
	if ticket, _ := c.enter("submission"); ticket == nil {
		t.Error("a user got no reserved place")
	}
	strangers[0].login(1, Credential{}) // AUTH on port 25
	if ticket, _ := c.enter("smtp"); ticket == nil {
		t.Error("authentication did not free the stranger's place")
	}
}

func TestOldestWithoutLoginMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := crowd{newAdmission(), Limits{Total: 3, Reserved: 2}}
		user, _ := c.enter("imap")
		user.login(1, Credential{})
		oldest, _ := c.enter("imap")
		newer, _ := c.enter("imap")
		if ticket, _ := c.enter("imap"); ticket != nil {
			t.Error("a connection was evicted before it had time to log in")
		}
		time.Sleep(evictable)
		latest, evicted := c.enter("pop3")
		if latest == nil || evicted != oldest {
			t.Errorf("evicted %v, want the oldest", evicted)
		}
		oldest.leave()
		oldest.login(1, Credential{})
		if c.open != 3 || c.pending.Len() != 2 {
			t.Errorf("open %d, pending %d", c.open, c.pending.Len())
		}
		for _, inside := range []*ticket{user, newer, latest} {
			inside.leave()
			inside.leave()
		}
		if c.open != 0 || c.strangers != 0 || len(c.listeners) != 0 || len(c.everyone()) != 0 {
			t.Errorf("left behind: %+v", c.admission)
		}
	})
}

func TestFullListenerEvictsItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := crowd{newAdmission(), Limits{Total: 100, PerListener: 2}}
		c.enter("pop3")
		mine, _ := c.enter("imap")
		c.enter("imap")
		time.Sleep(evictable)
		if _, evicted := c.enter("imap"); evicted != mine {
			t.Errorf("evicted %+v", evicted)
		}
		for range 2 {
			c.enter("smtp")
		}
		if ticket, evicted := c.enter("smtp"); ticket != nil || evicted != nil {
			t.Error("room at smtp was made by closing a user's connection elsewhere")
		}
	})
}

func TestShieldHoldsAnInterruptBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		raw, peer := memconn.Pair(netip.AddrPort{}, netip.AddrPort{})
		l := newLink(raw, Info{})
		l.shield(true)
		l.interrupt()
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		if _, err := l.Read(buf); err != nil {
			t.Errorf("shielded read: %v", err)
		}
		if err := l.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		l.shield(false)
		start := time.Now()
		if _, err := l.Read(buf); err == nil || !err.(net.Error).Timeout() || time.Since(start) != 0 {
			t.Errorf("unshielded read: %v after %s", err, time.Since(start))
		}
		if err := l.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(buf); err == nil || time.Since(start) != 0 {
			t.Error("a new deadline undid the interrupt")
		}
	})
}
