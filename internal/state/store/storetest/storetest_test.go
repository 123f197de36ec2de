package storetest_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
	"posthorn/internal/state/store/storetest"
)

// TestSuiteHoldsForTheEmbeddedStore keeps the suite itself right, over segments
// and change logs so small that they are full soon. sqlstore runs it at length.
func TestSuiteHoldsForTheEmbeddedStore(t *testing.T) {
	var folders sync.Map // store -> folder
	start := func(t *testing.T, dir string) store.Store {
		s, err := sqlstore.OpenSQLite(context.Background(), dir, sqlstore.Options{SegmentSize: 1 << 20, Readers: 2, KeepLog: 100})
		if err != nil {
			t.Fatal(err)
		}
		folders.Store(s, dir)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error("close:", err)
			}
		})
		return s
	}
	storetest.Run(t, func(t *testing.T) store.Store { return start(t, filepath.Join(t.TempDir(), "store")) },
		storetest.Options{
			Bubble: true,
			Short:  true,
			Reopen: func(t *testing.T, s store.Store) store.Store {
				if err := s.Close(); err != nil {
					t.Fatal("close:", err)
				}
				dir, _ := folders.Load(s)
				return start(t, dir.(string))
			},
		})
}
