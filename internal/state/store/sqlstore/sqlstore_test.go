package sqlstore

import (
	"context"
	"testing"

	"posthorn/internal/state/store"
	"posthorn/internal/state/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return reopen(t, t.TempDir(), Options{}) },
		storetest.Options{Bubble: true, Reopen: func(t *testing.T, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return reopen(t, s.(*Store).engine.(*sqliteEngine).dir, Options{})
		}})
}

func TestOpeningByItsPublicName(t *testing.T) {
	s, err := OpenSQLite(context.Background(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal("second close:", err)
	}
}
