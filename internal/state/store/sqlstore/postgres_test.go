package sqlstore

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/state/store/storetest"
	"posthorn/internal/testkit/pgtest"
)

var cluster pgtest.Cluster

func TestMain(m *testing.M) {
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
		code = 1
	}
	os.Exit(code)
}

// database returns a database with the current schema.
func database(t testing.TB) string {
	t.Helper()
	return cluster.Database(t, prepared)
}

// prepared makes the schema.
func prepared(dsn string) error {
	s, err := OpenPostgres(context.Background(), dsn, Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

func openPG(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := openPostgres(context.Background(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openPG(t, database(t)) }, storetest.Options{Short: os.Getenv("POSTHORN_SOAK") == "", Reopen: func(t *testing.T, s store.Store) store.Store {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return openPG(t, s.(*Store).engine.(*pgEngine).pool.Config().ConnString())
	}})
}

func TestOtherNodesAreHinted(t *testing.T) {
	dsn := database(t)
	here, there := openPG(t, dsn), openPG(t, dsn)
	id := addAccount(t, here, "alice")
	w := there.Watch(id)
	defer w.Close()
	deadline := time.After(time.Minute)
	for { // until the other node listens, hints are lost
		deliver(t, here, id, []byte("hello"))
		select {
		case <-w.C:
			return
		case <-deadline:
			t.Fatal("no hint came")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
