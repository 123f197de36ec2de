package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var settingTests = []test{
	{name: "NothingIsStoredAtFirst", run: settingsEmpty},
	{name: "SaveStoresAndUnsets", run: settingsSave},
	{name: "SaveOnAnOldVersionConflicts", run: settingsConflict},
	{name: "HistoryIsNewestFirst", run: settingsHistory},
	{name: "ConfirmEndsATrial", run: settingsConfirm},
	{name: "WhatWasTakenBackIsNotConfirmed", run: settingsConfirmLate},
	{name: "OfManySaversOneWins", run: settingsTogether},
	{name: "ChangedWakes", run: settingsChanged},
}

// item sets a setting.
func item(name, old, new string) store.SettingItem {
	return store.SettingItem{Name: name, Old: old, New: new, WasUnset: old == ""}
}

// save saves and returns the version.
func (e *env) save(base int64, c store.SettingChange) int64 {
	e.t.Helper()
	v, err := e.s.Settings().Save(e.ctx, base, c)
	e.must(err)
	if v <= base {
		e.t.Fatalf("version %d after %d", v, base)
	}
	return v
}

func settingsEmpty(e *env) {
	s := e.s.Settings()
	v, err := s.Version(e.ctx)
	if err != nil || v != 0 {
		e.t.Errorf("version %d, %v", v, err)
	}
	v, rows, err := s.Load(e.ctx)
	if err != nil || v != 0 || len(rows) != 0 {
		e.t.Errorf("loaded %d %+v, %v", v, rows, err)
	}
	if h, err := s.History(e.ctx, 0, 10); err != nil || len(h) != 0 {
		e.t.Errorf("history %+v, %v", h, err)
	}
	e.wants(s.Confirm(e.ctx, 1), store.ErrNotFound, "confirm nothing")
}

func settingsSave(e *env) {
	s := e.s.Settings()
	one := e.save(0, store.SettingChange{Items: []store.SettingItem{item("b", "", "1"), item("a", "", "ä 'quoted'\n"), item("c", "", "")}})
	two := e.save(one, store.SettingChange{Items: []store.SettingItem{item("b", "1", "2"), {Name: "c", Unset: true}}})
	v, rows, err := s.Load(e.ctx)
	want := []store.SettingRow{{Name: "a", Value: "ä 'quoted'\n", Version: one}, {Name: "b", Value: "2", Version: two}}
	if err != nil || v != two || !reflect.DeepEqual(rows, want) {
		e.t.Errorf("loaded %d %+v, %v; want %d %+v", v, rows, err, two, want)
	}
}

func settingsConflict(e *env) {
	s := e.s.Settings()
	_, err := s.Save(e.ctx, 5, store.SettingChange{Items: []store.SettingItem{item("a", "", "x")}})
	e.wants(err, store.ErrConflict, "save on a version that never was")
	one := e.save(0, store.SettingChange{Items: []store.SettingItem{item("a", "", "1")}})
	_, err = s.Save(e.ctx, 0, store.SettingChange{Items: []store.SettingItem{item("a", "", "2"), item("b", "", "2")}})
	e.wants(err, store.ErrConflict, "save on an old version")
	v, rows, err := s.Load(e.ctx)
	if err != nil || v != one || len(rows) != 1 || rows[0].Value != "1" {
		e.t.Errorf("loaded %d %+v, %v", v, rows, err)
	}
	if h, err := s.History(e.ctx, 0, 10); err != nil || len(h) != 1 {
		e.t.Errorf("history %+v, %v", h, err)
	}
}

func settingsHistory(e *env) {
	s := e.s.Settings()
	at := time.Date(2024, 5, 6, 7, 8, 9, 10_000, time.UTC)
	var want []store.SettingChange
	version := int64(0)
	for i := range 7 {
		c := store.SettingChange{Time: at.Add(time.Duration(i) * time.Hour), Author: fmt.Sprint("author ", i), Comment: "größer",
			Items: []store.SettingItem{{Name: "a", Old: "x", New: fmt.Sprint(i), WasUnset: i == 0}, {Name: "b", Old: "y", Unset: true}}}
		if i == 3 {
			c.Undoes = version
		}
		if i == 6 {
			c.ConfirmBy = at.Add(10 * time.Hour)
		}
		version = e.save(version, c)
		c.Version = version
		want = append([]store.SettingChange{c}, want...)
	}
	got, err := s.History(e.ctx, 0, 100)
	if err != nil || !reflect.DeepEqual(got, want) {
		e.t.Errorf("history %+v, %v\nwant %+v", got, err, want)
	}
	page, err := s.History(e.ctx, 0, 3)
	if err != nil || !reflect.DeepEqual(page, want[:3]) {
		e.t.Errorf("first page %+v, %v", page, err)
	}
	page, err = s.History(e.ctx, page[2].Version, 3)
	if err != nil || !reflect.DeepEqual(page, want[3:6]) {
		e.t.Errorf("second page %+v, %v", page, err)
	}
}

func settingsConfirm(e *env) {
	s := e.s.Settings()
	one := e.save(0, store.SettingChange{Items: []store.SettingItem{item("a", "", "1")}})
	e.wants(s.Confirm(e.ctx, one), store.ErrNotFound, "confirm what is not on trial")
	two := e.save(one, store.SettingChange{Items: []store.SettingItem{item("a", "1", "2")}, ConfirmBy: time.Now().Add(time.Hour)})
	e.must(s.Confirm(e.ctx, two))
	v, rows, err := s.Load(e.ctx)
	if err != nil || v <= two || len(rows) != 1 || rows[0] != (store.SettingRow{Name: "a", Value: "2", Version: two}) {
		e.t.Errorf("loaded %d %+v, %v", v, rows, err)
	}
	h, err := s.History(e.ctx, 0, 10)
	if err != nil || len(h) != 2 || !h[0].ConfirmBy.IsZero() {
		e.t.Errorf("history %+v, %v", h, err)
	}
	_, err = s.Save(e.ctx, two, store.SettingChange{Undoes: two, Items: []store.SettingItem{item("a", "2", "1")}})
	e.wants(err, store.ErrConflict, "take back what was confirmed meanwhile")
	e.wants(s.Confirm(e.ctx, two), store.ErrNotFound, "confirm again")
	e.save(v, store.SettingChange{Items: []store.SettingItem{item("a", "2", "3")}})
}

// A trial that has ended, by itself or by an undo, leaves nothing to keep: the
// value is the old one again.
func settingsConfirmLate(e *env) {
	s := e.s.Settings()
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	one := e.save(0, store.SettingChange{Items: []store.SettingItem{item("a", "", "1")}, ConfirmBy: until})
	two := e.save(one, store.SettingChange{Undoes: one, Items: []store.SettingItem{{Name: "a", Old: "1", Unset: true}}})
	e.wants(s.Confirm(e.ctx, one), store.ErrNotFound, "confirm what was taken back")
	if v, err := s.Version(e.ctx); err != nil || v != two {
		e.t.Errorf("version %d after %d, %v", v, two, err)
	}
	h, err := s.History(e.ctx, 0, 10)
	if err != nil || len(h) != 2 || !h[1].ConfirmBy.Equal(until) {
		e.t.Errorf("history %+v, %v", h, err)
	}
}

func settingsTogether(e *env) {
	s := e.s.Settings()
	version := int64(0)
	for round := range e.o.size(3, 10, 100) {
		var won, version2 atomic.Int64
		e.must(together(8, func(i int) error {
			v, err := s.Save(e.ctx, version, store.SettingChange{Items: []store.SettingItem{item("a", "", fmt.Sprint(round, i)), item("b", "", fmt.Sprint(round, i))}})
			if err == nil {
				won.Add(1)
				version2.Store(v)
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
			return nil
		}))
		if won.Load() != 1 {
			e.t.Fatalf("%d savers won", won.Load())
		}
		version = version2.Load()
		v, rows, err := s.Load(e.ctx)
		if err != nil || v != version || len(rows) != 2 || rows[0].Value != rows[1].Value {
			e.t.Fatalf("loaded %d %+v, %v", v, rows, err)
		}
	}
}

func settingsChanged(e *env) {
	s := e.s.Settings()
	woken := func() bool {
		select {
		case <-s.Changed():
			return true
		case <-time.After(time.Second):
			return false
		}
	}
	v := e.save(0, store.SettingChange{Items: []store.SettingItem{item("a", "", "1")}, ConfirmBy: time.Now().Add(time.Hour)})
	if !woken() {
		e.t.Error("Save woke nobody")
	}
	e.must(s.Confirm(e.ctx, v))
	if !woken() {
		e.t.Error("Confirm woke nobody")
	}
}
