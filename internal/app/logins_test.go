package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// lobby is a protocol in which one octet is a login and everything else
// waiting; a session ends when its reads fail.
type lobby struct {
	rows  store.Directory
	in    chan struct{} // one for each login
	ended chan string
}

func (l *lobby) Serve(ctx context.Context, c *listen.Conn) {
	var who string
	if _, err := fmt.Fscanln(c, &who); err != nil {
		return
	}
	id, err := strconv.ParseInt(who, 10, 64)
	if err != nil {
		return
	}
	row, err := l.rows.GetAccount(ctx, store.AccountID(id))
	if err != nil {
		return
	}
	c.LoggedIn(row)
	l.in <- struct{}{}
	_, _ = io.Copy(io.Discard, c)
	if listen.Revoked(ctx) {
		l.ended <- who
	}
}

func (*lobby) Refuse(listen.Reason, listen.Info) []byte { return nil }

// newLobby opens a door with nothing behind it but a directory.
func newLobby(t testing.TB) (*logins, *lobby, func(store.AccountID)) {
	s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := listen.NewGroup(listen.Options{})
	t.Cleanup(func() {
		stop, cancel := context.WithCancel(context.Background())
		cancel()
		g.Stop(stop)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lobby{rows: s.Directory(), in: make(chan struct{}), ended: make(chan string, 10_000)}
	sockets, err := listen.Open(t.Context(), []listen.Spec{{Name: "imap", Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(sockets[0], l, nil); err != nil {
		t.Fatal(err)
	}
	enter := func(id store.AccountID) {
		t.Helper()
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", sockets[0].Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := fmt.Fprintln(c, id); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.in:
		case <-time.After(time.Minute):
			t.Fatal("nobody came in")
		}
	}
	return &logins{group: g, people: s.Directory(), version: -1}, l, enter
}

func person(name string) store.AccountRow {
	return store.AccountRow{Addresses: []mail.Address{{Local: name, Domain: "example.test"}}, Password: "hash", Scram256: "verifier", Created: time.Now()}
}

func TestSessionsEndWithTheLoginTheyBeganWith(t *testing.T) {
	t.Parallel()
	w, l, enter := newLobby(t)
	ids := map[string]store.AccountID{}
	for _, name := range []string{"still", "renewed", "changed", "disabled", "removed", "remade", "bare"} {
		row := person(name)
		if name == "bare" {
			row.Scram256 = ""
		}
		var err error
		if ids[name], err = l.rows.AddAccount(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		enter(ids[name])
	}
	enter(ids["changed"]) // both of them end
	look := func() {
		t.Helper()
		if err := w.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(name string, f func(*store.AccountRow)) {
		t.Helper()
		row, err := l.rows.GetAccount(t.Context(), ids[name])
		if err == nil {
			f(&row)
			err = l.rows.SetAccount(t.Context(), row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	if n := len(l.ended); n != 0 {
		t.Fatalf("%d sessions ended before anything happened", n)
	}
	edit("still", func(r *store.AccountRow) { r.FullName, r.QuotaBytes = "Somebody else", 1<<20 })
	edit("renewed", func(r *store.AccountRow) { r.Password = "hash of today's cost" })
	edit("changed", func(r *store.AccountRow) { r.Password, r.Scram256 = "new hash", "new verifier" })
	edit("bare", func(r *store.AccountRow) { r.Password = "new hash" })
	edit("disabled", func(r *store.AccountRow) { r.Disabled = true })
	for _, name := range []string{"removed", "remade"} {
		if err := l.rows.RemoveAccount(t.Context(), ids[name]); err != nil {
			t.Fatal(err)
		}
	}
	again, err := l.rows.AddAccount(t.Context(), person("remade"))
	if err != nil {
		t.Fatal(err)
	}
	enter(again)
	enter(ids["changed"]) // with the new password: this one stays
	look()
	got := map[string]int{}
	for range 6 {
		select {
		case who := <-l.ended:
			got[who]++
		case <-time.After(time.Minute):
			t.Fatalf("only %v ended", got)
		}
	}
	for name, n := range map[string]int{"still": 0, "renewed": 0, "changed": 2, "disabled": 1, "removed": 1, "remade": 1, "bare": 1} {
		if who := strconv.FormatInt(int64(ids[name]), 10); got[who] != n {
			t.Errorf("%d sessions of %s ended, want %d", got[who], name, n)
		}
	}
	look()
	if left := len(w.group.Logins(false)); left != 4 || len(l.ended) != 0 {
		t.Errorf("%d sessions are left, %d more ended", left, len(l.ended))
	}
}

// Between reading the account and saying so, a session is in nobody's list; it
// is looked at when it is, although the directory has not changed again.
func TestALoginDuringAChangeIsSeen(t *testing.T) {
	t.Parallel()
	w, l, enter := newLobby(t)
	id, err := l.rows.AddAccount(t.Context(), person("late"))
	if err != nil {
		t.Fatal(err)
	}
	if w.version, err = l.rows.Version(t.Context()); err != nil { // the look at everybody was before
		t.Fatal(err)
	}
	l.rows = stale{l.rows}
	enter(id)
	if err := w.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.ended:
	case <-time.After(time.Minute):
		t.Error("the session goes on with an old password")
	}
}

// stale has the rows as they were before the password changed.
type stale struct{ store.Directory }

func (s stale) GetAccount(ctx context.Context, id store.AccountID) (store.AccountRow, error) {
	row, err := s.Directory.GetAccount(ctx, id)
	row.Scram256 = "the verifier before"
	return row, err
}

// A store that does not answer ends no session, and is asked about all of them
// again.
func TestATroubledStoreEndsNoSession(t *testing.T) {
	t.Parallel()
	w, l, enter := newLobby(t)
	id, err := l.rows.AddAccount(t.Context(), person("calm"))
	if err != nil {
		t.Fatal(err)
	}
	enter(id)
	people := w.people
	w.people = broken{people}
	if err := w.look(t.Context()); err == nil || w.version != -1 || len(w.group.Logins(false)) != 1 {
		t.Errorf("%v, version %d", err, w.version)
	}
	w.people = people
	if err := w.look(t.Context()); err != nil || w.version < 0 || len(w.group.Logins(false)) != 1 {
		t.Errorf("%v, version %d", err, w.version)
	}
}

type broken struct{ store.Directory }

func (broken) GetAccount(context.Context, store.AccountID) (store.AccountRow, error) {
	return store.AccountRow{}, store.ErrReadOnly
}

// 5,000 sessions of 1,000 accounts.
func BenchmarkLookAtAllLogins(b *testing.B) {
	w, l, enter := newLobby(b)
	for i := range 1000 {
		id, err := l.rows.AddAccount(b.Context(), person("user"+strconv.Itoa(i)))
		if err != nil {
			b.Fatal(err)
		}
		for range 5 {
			enter(id)
		}
	}
	for b.Loop() {
		w.version = -1
		if err := w.look(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
