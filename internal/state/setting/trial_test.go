package setting

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// unreadable returns a store with values that do not fit (any more), and the
// key of the server that runs on it now.
func unreadable(t *testing.T) (*memory, *seal.Box) {
	t.Helper()
	var boxes [2]*seal.Box
	for i := range boxes {
		var err error
		if boxes[i], err = seal.CreateFile(filepath.Join(t.TempDir(), "secret.key")); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := boxes[0].Seal("door.password", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	mem := newMemory()
	c := store.SettingChange{Time: time.Now(), Author: "old"}
	for name, text := range map[string]string{"door.count": "many", "door.password": lost, "door.limits.low": "20"} {
		c.Items = append(c.Items, store.SettingItem{Name: name, New: text, WasUnset: true})
	}
	if _, err := mem.Save(t.Context(), 0, c); err != nil {
		t.Fatal(err)
	}
	return mem, boxes[1]
}

// mend is a change on trial of all that is unreadable.
func mend() Edit {
	return Edit{Set: map[string]string{"door.count": "20", "door.password": "y", "door.limits.low": "3"}, Trial: time.Minute}
}

// What was wrong before a trial is wrong again after it, and the default rules
// again; neither the server nor the next change is stopped by it.
func TestATrialOverUnreadableValuesIsTakenBack(t *testing.T) {
	t.Parallel()
	for how, take := range map[string]func(t *testing.T, h *house) *house{
		"by itself": func(_ *testing.T, h *house) *house {
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			return h
		},
		"by hand": func(t *testing.T, h *house) *house {
			if _, err := h.Undo(t.Context(), 2, "admin"); err != nil {
				t.Errorf("undo: %v", err)
			}
			return h
		},
		"by a restart": func(t *testing.T, h *house) *house {
			time.Sleep(2 * time.Minute)
			return openHouse(t, h.mem, h.box)
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mem, box := unreadable(t)
				h := openHouse(t, mem, box)
				before := len(h.Problems())
				h.save(t, mend())
				if got := h.door.Get(); got.Count != 20 || got.Password.Reveal() != "y" || len(h.Problems()) != 0 {
					t.Fatalf("on trial: %+v, %v", got, h.Problems())
				}
				if how == "by itself" {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					go h.Run(ctx)
				}
				h = take(t, h)
				if _, _, _, on := h.OnTrial(); on || before < 3 || len(h.Problems()) != before {
					t.Errorf("on trial %v; problems before %d, now %v", on, before, h.Problems())
				}
				if got := h.door.Get(); got.Count != 10 || got.Password.Reveal() != "" || got.Limits.Low != 1 {
					t.Errorf("in force: %+v", got)
				}
				h.save(t, Edit{Set: map[string]string{"other.high": "7"}})
			})
		})
	}
}

// A change that is not on trial may have others above it; what is restored
// then never was in force like this, and has to fit.
func TestAnUndoByHandIsStillChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{"door.limits.high": "30"}})
	h.save(t, Edit{Set: map[string]string{"door.limits.low": "20"}})
	if _, err := h.Undo(t.Context(), 1, "admin"); !errors.Is(err, store.ErrInvalid) || h.door.Get().Limits.Low != 20 {
		t.Errorf("undo of what another setting needs: %v; in force %+v", err, h.door.Get().Limits)
	}
}

// full is a store that takes no changes.
type full struct{ *memory }

func (full) Save(context.Context, int64, store.SettingChange) (int64, error) {
	return 0, errors.New("the disk is full")
}

func TestATrialThatCannotBeTakenBackDoesNotStopTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem, box := unreadable(t)
		h := openHouse(t, mem, box)
		h.save(t, mend())
		time.Sleep(time.Hour)
		r, log := NewRegistry(), &strings.Builder{}
		handle := Register[door](r, "door")
		if _, err := Open(t.Context(), r, full{mem}, box, Options{Log: event.New(slog.NewTextHandler(log, nil))}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "the disk is full") || handle.Get().Count != 20 {
			t.Errorf("count %d; logged: %s", handle.Get().Count, log)
		}
	})
}

// A program that makes sure of its settings at every start, as quickstart does,
// starts while something is on trial.
func TestAnEditWithoutDifferencesSucceedsDuringATrial(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{"door.mode": "off"}})
	h.save(t, Edit{Set: map[string]string{"door.count": "20"}, Trial: time.Hour})
	same := Edit{Author: "b", Set: map[string]string{"door.mode": "off", "door.count": "20", "door.wait": "60s"}}
	if s, err := h.Save(t.Context(), same); err != nil || s.Version != 2 || len(s.Changes) != 0 {
		t.Errorf("nothing to change: %+v, %v", s, err)
	}
	for name, text := range map[string]string{"door.mode": "observe", "door.count": "many"} {
		if _, err := h.Save(t.Context(), Edit{Author: "b", Set: map[string]string{name: text}}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s = %s during a trial: %v", name, text, err)
		}
	}
	if _, _, _, on := h.OnTrial(); !on {
		t.Error("the trial has ended")
	}
}
