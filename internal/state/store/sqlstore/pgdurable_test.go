package sqlstore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/pgtest"
)

// execPG runs a statement by a connection of its own.
func execPG(t *testing.T, dsn, statement string) {
	t.Helper()
	ctx := context.Background() // also at the end of a test
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(ctx, statement)
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a database is refused in words that help.
func refused(t *testing.T, dsn string, words ...string) {
	t.Helper()
	s, err := OpenPostgres(t.Context(), dsn, Options{})
	if err == nil {
		t.Error("it was opened", s.Close())
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in: %v", w, err)
		}
	}
}

// reliability.md row 1: a database that confirms before it has written is not
// used, wherever that was set.
func TestADatabaseThatConfirmsTooEarlyIsRefused(t *testing.T) {
	t.Parallel()
	for name, parameter := range map[string]string{
		"off": "&synchronous_commit=off", "OFF": "&synchronous_commit=OFF", "false": "&synchronous_commit=false", "0": "&synchronous_commit=0",
		"options": "&options=-c%20synchronous_commit%3Doff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, database(t)+parameter, "synchronous_commit is off", "connection string")
		})
	}
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		dsn := database(t)
		execPG(t, dsn, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
		refused(t, dsn, "synchronous_commit is off", "set by: database", "ALTER DATABASE")
	})
	t.Run("role", func(t *testing.T) {
		t.Parallel()
		dsn := database(t)
		execPG(t, dsn, `CREATE ROLE hasty SUPERUSER LOGIN; ALTER ROLE hasty SET synchronous_commit = off`)
		t.Cleanup(func() { execPG(t, dsn, `DROP ROLE hasty`) })
		refused(t, strings.Replace(dsn, "user=posthorn", "user=hasty", 1), "synchronous_commit is off", "set by: user", "ALTER ROLE")
	})
	t.Run("levels that survive a crash", func(t *testing.T) {
		t.Parallel()
		for _, level := range []string{"local", "remote_write", "remote_apply"} {
			openPG(t, database(t)+"&synchronous_commit="+level)
		}
	})
}

func TestAServerThatDoesNotSyncIsRefused(t *testing.T) {
	t.Parallel()
	own := pgtest.Cluster{Settings: []string{"fsync=off"}}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	refused(t, own.Database(t, func(string) error { return nil }), "fsync is off", "postgresql.conf")
}

// A setting may change under a running store: connections that are there keep
// theirs, a new one is refused.
func TestASettingThatChangesLaterLosesNothing(t *testing.T) {
	t.Parallel()
	var own pgtest.Cluster
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := own.Database(t, prepared)
	s := openPG(t, dsn)
	e := s.engine.(*pgEngine)
	held, err := e.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	level := func(conn *pgx.Conn) (level string) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&level); err != nil {
			t.Error(err)
		}
		return level
	}
	watched, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Close(context.Background())
	execPG(t, dsn, `ALTER SYSTEM SET synchronous_commit = off`)
	execPG(t, dsn, `SELECT pg_reload_conf()`)
	for range 10_000 { // each server process hears of it by itself
		if level(watched) == "off" {
			break
		}
	}
	if was, is := level(watched), level(held.Conn()); was != "off" || is != "on" {
		t.Errorf("another connection has %s, one of the store %s", was, is)
	}
	e.pool.Reset()
	if err := e.write(t.Context(), true, func(*txn) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}
