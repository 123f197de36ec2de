package sqlstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// middle stands between the store and PostgreSQL. Once armed it withholds the
// next confirmed commit, breaks all connections and says for some time that
// the server is starting up, as one does after a crash.
type middle struct {
	server string // its socket

	mu       sync.Mutex
	open     map[net.Conn]bool
	armed    bool
	starting int // connections that are still turned away
	turned   int
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
	m.armed = false
	return true
}

func (m *middle) serve(c net.Conn) {
	defer c.Close()
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
		_, _ = io.Copy(s, c) // ends with either side
		_ = s.Close()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		if n > 0 && m.withholds(b[:n]) {
			m.cut()
			return
		}
		if _, e := c.Write(b[:n]); err != nil || e != nil {
			return
		}
	}
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
