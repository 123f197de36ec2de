package sqlstore

import (
	"fmt"
	"strings"
	"testing"
)

// withNext is the schema of this program and one version more.
func withNext(t *testing.T, script string) Options {
	t.Helper()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	return Options{schema: append(all, migration{len(all) + 1, script})}
}

const (
	nextSchema = "ALTER TABLE entry ADD COLUMN fresh INTEGER NOT NULL DEFAULT 7;\nCREATE TABLE later (id INTEGER PRIMARY KEY);\nINSERT INTO later (id) VALUES (1);"
	// brokenSchema fails after it changed something.
	brokenSchema = "CREATE TABLE later (id INTEGER PRIMARY KEY);\nINSERT INTO later (id) VALUES (1);\nINSERT INTO nowhere VALUES (1);"
)

func TestANewSchemaIsAppliedOnceAndWhole(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		aNewSchema(t, func(t *testing.T, o Options) (*Store, error) { return openSQLite(t.Context(), dir, o) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn := database(t)
		aNewSchema(t, func(t *testing.T, o Options) (*Store, error) { return openPostgres(t.Context(), dsn, o) })
	})
}

func aNewSchema(t *testing.T, open func(t *testing.T, o Options) (*Store, error)) {
	next := fmt.Sprint("schema version ", len(withNext(t, "").schema))
	must := func(o Options) *Store {
		t.Helper()
		s, err := open(t, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	end := func(s *Store) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := must(Options{})
	id := addAccount(t, s, "alice")
	filed := deliver(t, s, id, []byte("hello"))
	end(s)
	if s, err := open(t, withNext(t, brokenSchema)); err == nil {
		end(s)
		t.Fatal("a script that fails was passed over")
	} else if !strings.Contains(err.Error(), next) {
		t.Errorf("the error does not say where: %v", err)
	}
	// Nothing of it is left: the same version opens, and the next can begin anew.
	s = must(Options{})
	if got := content_(t, s, id, filed.Message); !strings.HasSuffix(got, "hello") {
		t.Errorf("mail after a failed change of the schema: %q", got)
	}
	end(s)
	for range 2 { // the second time there is nothing to do, or it would fail
		s = must(withNext(t, nextSchema))
		if n := rows(t, s, "entry WHERE fresh = 7"); n != 1 {
			t.Errorf("%d entries have the new column", n)
		}
		if n := rows(t, s, "later"); n != 1 {
			t.Errorf("the script ran %d times", n)
		}
		end(s)
	}
	if s, err := open(t, Options{}); err == nil {
		end(s)
		t.Error("an older program opened a newer database")
	} else if !strings.Contains(err.Error(), next) || !strings.Contains(err.Error(), "newer posthorn") {
		t.Errorf("the refusal does not help: %v", err)
	}
}
