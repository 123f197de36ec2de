package setting

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

func TestSettingsLiveInTheRealStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	box, err := seal.CreateFile(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*Book, *Handle[door], store.Store) {
		s, err := sqlstore.OpenSQLite(context.Background(), dir, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := NewRegistry()
		h := Register[door](r, "door")
		b, err := Open(t.Context(), r, s.Settings(), box, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b, h, s
	}
	b, _, s := open()
	save := func(e Edit) int64 {
		t.Helper()
		e.Author = "eva"
		saved, err := b.Save(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return saved.Version
	}
	save(Edit{Set: map[string]string{"door.count": "20", "door.password": "pw"}})
	save(Edit{Set: map[string]string{"door.count": "30"}, Trial: time.Hour})
	if err := b.Confirm(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	last := save(Edit{Set: map[string]string{"door.count": "40", "door.wait": "5s"}, Trial: time.Nanosecond})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, h, s := open()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got := h.Get(); got.Count != 30 || got.Wait != time.Minute || got.Password.Reveal() != "pw" {
		t.Errorf("after the restart: %+v", got)
	}
	history, err := b.History(t.Context(), 0, 10)
	if err != nil || len(history) != 4 || history[0].Undoes != last || history[0].Author != "posthorn" {
		t.Errorf("history: %+v, %v", history, err)
	}
	if _, err := b.Undo(t.Context(), 1, "eva"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("undo of an overtaken version: %v", err)
	}
	if info, err := b.Explain(t.Context(), "door.count"); err != nil || info.Author != "posthorn" || info.Value != "30" {
		t.Errorf("explain: %+v, %v", info, err)
	}
}
