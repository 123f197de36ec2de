package pgtest

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

var cluster Cluster

func TestMain(m *testing.M) {
	code := m.Run()
	if err := cluster.Stop(); err != nil {
		println("stopping PostgreSQL:", err.Error())
		code = 1
	}
	os.Exit(code)
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	prepare := func(dsn string) error { return execAll(dsn, "CREATE TABLE a (n int)") }
	first, second := cluster.Database(t, prepare), cluster.Database(t, prepare)
	if err := execAll(first, "INSERT INTO a VALUES (1)", "DROP TABLE a"); err != nil {
		t.Error(err)
	}
	if err := execAll(second, "INSERT INTO a VALUES (1)"); err != nil {
		t.Error(err)
	}
}

func TestCommittedRowsSurviveAKill(t *testing.T) {
	dsn := cluster.Database(t, func(dsn string) error { return execAll(dsn, "CREATE TABLE a (n int)") })
	if err := execAll(dsn, "INSERT INTO a VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := execAll(dsn, "SELECT 1/(n-6) FROM a"); err != nil {
		t.Error(err)
	}
}

func execAll(dsn string, statements ...string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, s := range statements {
		if _, err := c.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
