package sqlstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/pgtest"
)

// middle stands between the store and PostgreSQL. Once armed it withholds the
// next confirmed commit, breaks all connections and says for some time that
// the server is starting up, as one does after a crash. Or it swallows all that
// is said from that commit on, as a network does that is cut.
type middle struct {
	server string // its socket

	mu       sync.Mutex
	open     map[net.Conn]bool
	armed    bool
	starting int // connections that are still turned away
	turned   int
	cutAt    chan struct{} // set by swallow
	swallows bool
}

// swallow lets the next commit be the last that is forwarded, and its
// confirmation be lost, until heal. Connections stay open.
func (m *middle) swallow() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed, m.cutAt = true, make(chan struct{})
}

// heal ends swallow. Connections from before stay dead.
func (m *middle) heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cutAt != nil {
		m.swallows = false
		close(m.cutAt)
		m.cutAt = nil
	}
}

// dead returns what ends when the network heals, nil when it works.
func (m *middle) dead() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.swallows {
		return nil
	}
	return m.cutAt
}

// newMiddle returns one in front of the database, and how it is reached.
func newMiddle(t *testing.T, dsn string) (*middle, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q, dir := u.Query(), t.TempDir()
	m := &middle{server: filepath.Join(q.Get("host"), ".s.PGSQL.5432"), open: map[net.Conn]bool{}}
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		m.cut()
		all.Wait()
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return m, u.String()
}

// arm withholds the next commit; as many connections are turned away then.
func (m *middle) arm(starting int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed, m.starting = true, starting
}

// sprung reports whether a commit was withheld, and how many were turned away.
func (m *middle) sprung() (bool, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.armed, m.turned
}

// enter reports whether a connection is let through.
func (m *middle) enter(c net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.armed && m.starting > 0 {
		m.starting, m.turned = m.starting-1, m.turned+1
		return false
	}
	m.open[c] = true
	return true
}

func (m *middle) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.open {
		_ = c.Close() // it may have ended by itself
	}
	clear(m.open)
}

// withholds reports whether what the server says is the confirmation waited for.
func (m *middle) withholds(b []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.armed || !bytes.Contains(b, []byte("COMMIT\x00")) {
		return false
	}
	m.armed, m.swallows = false, m.cutAt != nil
	return true
}

func (m *middle) serve(c net.Conn) {
	defer c.Close()
	if healed := m.dead(); healed != nil {
		<-healed
	}
	if !m.enter(c) {
		turnAway(c)
		return
	}
	s, err := net.Dial("unix", m.server)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		_, _ = io.Copy(swallower{s, m}, c) // ends with either side
		_ = s.Close()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		if n > 0 && m.withholds(b[:n]) && m.dead() == nil {
			m.cut()
			return
		}
		if m.dead() != nil {
			n = 0
		}
		if _, e := c.Write(b[:n]); err != nil || e != nil {
			return
		}
	}
}

// swallower is the way to the server.
type swallower struct {
	net.Conn
	m *middle
}

func (w swallower) Write(b []byte) (int, error) {
	if w.m.dead() != nil {
		return len(b), nil
	}
	return w.Conn.Write(b)
}

// turnAway reads the first message and answers as a server that recovers does.
func turnAway(c net.Conn) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:]))-4); err != nil {
		return
	}
	e := pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P03", Message: "the database system is starting up"}
	if b, err := e.Encode(nil); err == nil {
		_, _ = c.Write(b)
	}
}

// design.md 3: after a lost confirmation the transaction is run again, and a
// server that is only just starting up does not end that.
func TestACommitInDoubtOutlastsAServerThatStarts(t *testing.T) {
	m, dsn := newMiddle(t, database(t))
	s := openPG(t, dsn)
	id := addAccount(t, s, "alice")
	deliver(t, s, id, []byte("before"))
	m.arm(5)
	a := acceptance(t, s, id, []byte("in doubt"))
	defer a.Body.Discard()
	done, err := s.Accept(context.Background(), a)
	if sprung, turned := m.sprung(); !sprung || turned == 0 {
		t.Fatalf("nothing was in doubt: %v, %d turned away", sprung, turned)
	}
	if err != nil || done.Repeated || len(done.Filed) != 1 {
		t.Errorf("%+v %v", done, err)
	}
	if n := rows(t, s, "entry"); n != 2 {
		t.Errorf("%d entries for 2 messages", n)
	}
}

// A claim that was made but not confirmed leases rows to nobody: they must not
// wait for the end of the lease.
func TestAClaimInDoubtDelaysNoMail(t *testing.T) {
	m, dsn := newMiddle(t, database(t))
	s := openPG(t, dsn)
	id := enqueue(t, s, 0, "a@remote.example", "b@remote.example")
	m.arm(0)
	if _, err := s.Queue().Claim(t.Context(), "node", false, 10, time.Hour); !errors.Is(err, store.ErrUnknownOutcome) {
		t.Fatal(err)
	}
	for { // until the connections that broke are gone
		claims, err := s.Queue().Claim(t.Context(), "node", false, 10, time.Hour)
		switch {
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrUnknownOutcome):
			continue
		case err != nil || len(claims) != 1 || claims[0].Message.ID != id || len(claims[0].Message.Recipients) != 2:
			t.Errorf("%+v %v", claims, err)
		}
		return
	}
}

func TestOnlyAPlainErrorSaysThatACommitDidNotHappen(t *testing.T) {
	for _, c := range []struct {
		err        error
		rolledBack bool
	}{
		{&pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "40001"}, true},
		{&pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "53100"}, true},
		{&pgconn.PgError{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
		{&pgconn.PgError{Severity: "ВАЖНО", SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
		{&pgconn.PgError{Severity: "PANIC", SeverityUnlocalized: "PANIC", Code: "53100"}, false},
		{&pgconn.PgError{Severity: "PANIK", SeverityUnlocalized: "PANIC", Code: "58030"}, false},
		{&pgconn.PgError{Severity: "ERROR"}, false}, // not a server of version 9.6 or later
		{io.ErrUnexpectedEOF, false},
	} {
		if got := rolledBack(c.err); got != c.rolledBack {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A server that cannot write its log panics. What was being committed then may
// be durable.
func TestAPanicAtTheCommitLeavesItUnknown(t *testing.T) {
	var own pgtest.Cluster
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := own.Database(t, prepared)
	s := openPG(t, dsn)
	if err := s.engine.write(t.Context(), true, func(*txn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	wal := filepath.Join(u.Query().Get("host"), "data", "pg_wal")
	if err := os.Chmod(wal, 0); err != nil {
		t.Fatal(err)
	}
	for i := int64(1); ; i++ { // until the segment of the log is full
		err = s.engine.write(t.Context(), true, func(t *txn) error {
			return t.put(`INSERT INTO blob_chunk (blob_id, chunk, data) VALUES (?, 0, ?)`, i, make([]byte, 1<<20))
		})
		if err != nil || i == 64 {
			break
		}
	}
	if err := os.Chmod(wal, 0o700); err != nil {
		t.Fatal(err)
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.SeverityUnlocalized != "PANIC" {
		t.Fatalf("the server did not panic: %v", err)
	}
	if !errors.Is(err, store.ErrUnknownOutcome) {
		t.Error(err)
	}
	// It ends by itself: it could not recover either.
	if err := errors.Join(own.Kill(), own.Restart()); err != nil {
		t.Error(err)
	}
}
