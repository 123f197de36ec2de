package sqlstore

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

func TestSettingsAreSavedAgainstTheVersionTheyWereReadAt(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		set, ctx := s.Settings(), t.Context()
		if v, rows, err := set.Load(ctx); err != nil || v != 0 || len(rows) != 0 {
			t.Fatalf("fresh: %d, %v, %v", v, rows, err)
		}
		when := time.UnixMicro(1_700_000_000_000_001).UTC()
		first := store.SettingChange{Time: when, Author: "eva", Comment: "why", ConfirmBy: when.Add(time.Minute), Items: []store.SettingItem{
			{Name: "a.x", New: "1", WasUnset: true}, {Name: "a.y", New: "sealed:v1:x", WasUnset: true},
		}}
		v, err := set.Save(ctx, 0, first)
		if err != nil || v != 1 {
			t.Fatal(v, err)
		}
		select {
		case <-set.Changed():
		default:
			t.Error("nobody was told")
		}
		if _, err := set.Save(ctx, 0, first); !errors.Is(err, store.ErrConflict) {
			t.Errorf("saved on an old version: %v", err)
		}
		if err := set.Confirm(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if err := set.Confirm(ctx, 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("confirmed twice: %v", err)
		}
		if _, err := set.Save(ctx, 1, first); !errors.Is(err, store.ErrConflict) {
			t.Errorf("an undo that raced with the confirmation won: %v", err)
		}
		second := store.SettingChange{Time: when, Author: "bob", Undoes: 1, Items: []store.SettingItem{{Name: "a.x", Old: "1", Unset: true}, {Name: "a.y", Old: "sealed:v1:x", New: "z"}}}
		if v, err = set.Save(ctx, 2, second); err != nil || v != 3 {
			t.Fatal(v, err)
		}
		version, rows, err := set.Load(ctx)
		if err != nil || version != 3 || !reflect.DeepEqual(rows, []store.SettingRow{{Name: "a.y", Value: "z", Version: 3}}) {
			t.Errorf("loaded: %d, %v, %v", version, rows, err)
		}
		first.Version, first.ConfirmBy, second.Version = 1, time.Time{}, 3
		if got, err := set.History(ctx, 0, 10); err != nil || !reflect.DeepEqual(got, []store.SettingChange{second, first}) {
			t.Errorf("history: %+v, %v", got, err)
		}
		if got, err := set.History(ctx, 3, 10); err != nil || len(got) != 1 || got[0].Version != 1 {
			t.Errorf("history before 3: %+v, %v", got, err)
		}
	})
}

func TestTheFirstMarkOfAKeyStays(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		for _, c := range []struct {
			mark    int64
			replace bool
			want    int64
		}{{7, false, 7}, {8, false, 7}, {8, true, 8}, {9, false, 8}, {0, true, 0}, {9, false, 9}} {
			if err := s.SetKeyMark(t.Context(), c.mark, c.replace); err != nil {
				t.Fatal(err)
			}
			if got, err := s.KeyMark(t.Context()); err != nil || got != c.want {
				t.Errorf("after %+v: %d, %v", c, got, err)
			}
		}
	})
}
