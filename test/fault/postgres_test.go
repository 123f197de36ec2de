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
	if err := os.WriteFile(config, fmt.Appendf(nil, "[store]\nengine = \"postgresql\"\ndsn = %q\n", dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, books: ledger.New(), earlier: map[string]ledger.Reading{}}
	s.d = daemon.Start(t, daemon.Options{Command: "serve", Listen: []string{"smtp", "imap"}, Args: []string{"--config", config, "--allow-root"}})
	for _, c := range [][]string{{"domain", "add", "example.test"}, {"setting", "set", "login.plaintext_needs_tls=false"}} {
		if out, err := s.d.Run("", c...); err != nil {
			t.Fatalf("%v: %v %s", c, err, out)
		}
	}
	s.accounts = addAccounts(t, s.d, accounts)
	s.publish()
	return s
}

// The promise of reliability.md row 1 on PostgreSQL: the server is killed, and
// twice the database with it.
func TestNothingAcknowledgedIsLostWhenKilledOnPostgreSQL(t *testing.T) {
	s := newPostgresSite(t, 4)
	stop := s.load(ledger.Load{Connections: 16, Sizes: []int{800, 2000, 9000, 300_000}, Pairs: 7})
	cycles := pick(10, 50)
	for i := range cycles {
		time.Sleep(300*time.Millisecond + rand.N(700*time.Millisecond))
		s.d.Kill()
		if i%5 == 4 {
			if err := cluster.Kill(); err != nil {
				t.Error(err)
			}
			if err := cluster.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		s.again()
	}
	stop()
	s.balance()
}
