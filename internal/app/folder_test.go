package app

import (
	"strings"
	"testing"

	"posthorn/internal/app/boot"
	"posthorn/internal/testkit/pgtest"
)

// Two processes with the name of one node would give each other's claims of the
// queue back, whatever database they share.
func TestOneProcessHasADataFolder(t *testing.T) {
	t.Parallel()
	var cluster pgtest.Cluster
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range []boot.Store{{}, {Engine: postgreSQL, DSN: cluster.Database(t, func(string) error { return nil })}} {
		c := boot.Config{Data: t.TempDir(), Store: s}
		first, err := Open(t.Context(), c, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if second, err := Open(t.Context(), c, OpenOptions{}); err == nil {
			t.Errorf("%q: a second process has the folder", s.Engine)
			_ = second.Close()
		} else if !strings.Contains(err.Error(), "another posthorn") {
			t.Error(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		third, err := Open(t.Context(), c, OpenOptions{})
		if err != nil {
			t.Fatal("the folder is not free again:", err)
		}
		if err := third.Close(); err != nil {
			t.Error(err)
		}
	}
}
