package fault

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
	"posthorn/internal/testkit/pgtest"
)

// cluster is the PostgreSQL of this test process.
var cluster pgtest.Cluster

func TestMain(m *testing.M) {
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "postgresql:", err)
		code = 1
	}
	os.Exit(code)
}

// newPostgresSite runs the real server on a database of its own.
func newPostgresSite(t *testing.T, accounts int) *site {
	t.Helper()
	dsn := cluster.Database(t, func(string) error { return nil })
	config := filepath.Join(t.TempDir(), "posthorn.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "[store]\nengine = \"postgresql\"\ndsn = %q\n[log]\nlevel = \"warn\"\n", dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, books: ledger.New(), earlier: map[string]ledger.Reading{}}
	s.d = daemon.Start(t, daemon.Options{Command: "serve", Listen: []string{"smtp", "imap"}, Args: []string{"--config", config, "--allow-root"}})
	// The trial's profile takes mail from a domain that is not in DNS.
	settings := []string{"setting", "set", "profile=trial", "login.plaintext_needs_tls=false", "queue.retry=1s"}
	for _, c := range [][]string{{"domain", "add", "example.test"}, settings} {
		if out, err := s.d.Run("", c...); err != nil {
			t.Fatalf("%v: %v %s", c, err, out)
		}
	}
	s.accounts = addAccounts(t, s.d, accounts)
	s.publish()
	return s
}

// The promise of reliability.md row 1 on PostgreSQL. In half of the cycles the
// database alone is killed, and stays away for up to three seconds; else the
// server is, and every second time the database with it. What was acknowledged
// is there. Who got no reply to the final dot, because the server was killed,
// may find a copy of each such attempt (RFC 1047); who got one never does: a
// commit in doubt is asked for longer than any outage here (design.md 3).
func TestNothingAcknowledgedIsLostWhenKilledOnPostgreSQL(t *testing.T) {
	s := newPostgresSite(t, 4)
	stop := s.load(ledger.Load{Connections: 16, Sizes: []int{800, 2000, 9000, 300_000}, Pairs: 7, Retry: true})
	for i := range pick(12, 60) {
		s.acknowledges(100)
		time.Sleep(rand.N(300 * time.Millisecond))
		if i%2 == 0 {
			s.killDatabase(rand.N(3 * time.Second))
			continue
		}
		s.d.Kill()
		if i%4 == 3 {
			killCluster(t, 0)
		}
		s.again()
	}
	s.acknowledges(100)
	stop()
	if v := s.balance(); v.Refused > 0 {
		t.Errorf("%d copies of what was refused", v.Refused)
	}
}

// acknowledges waits until so many more messages are acknowledged: a cycle in
// which nothing was under way would prove nothing.
func (s *site) acknowledges(more int) {
	s.t.Helper()
	_, before := s.books.Count()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, acked := s.books.Count()
		if acked >= before+more {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d messages were acknowledged in a minute, at least %d are wanted", acked-before, more)
		}
	}
}

// killDatabase kills PostgreSQL for some time under the running server, which
// owes every client a reply nevertheless.
func (s *site) killDatabase(away time.Duration) {
	s.t.Helper()
	before := s.books.Silences()
	killCluster(s.t, away)
	s.acknowledges(100)
	if n := s.books.Silences() - before; n > 0 {
		s.t.Errorf("%d messages got no reply although only the database was away", n)
	}
}

func killCluster(t *testing.T, away time.Duration) {
	t.Helper()
	if err := cluster.Kill(); err != nil {
		t.Error(err)
	}
	time.Sleep(away)
	if err := cluster.Restart(); err != nil {
		t.Fatal(err)
	}
}
