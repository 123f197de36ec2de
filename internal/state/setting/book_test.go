package setting

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pelletier/go-toml/v2"

	"posthorn/internal/base/event"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// house is a Book on a store, with one group.
type house struct {
	*Book
	door *Handle[door]
	mem  *memory
	box  *seal.Box
	log  *bytes.Buffer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	box, err := seal.CreateFile(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	return openHouse(t, newMemory(), box)
}

func openHouse(t *testing.T, mem *memory, box *seal.Box) *house {
	t.Helper()
	r := NewRegistry()
	h := &house{door: Register[door](r, "door"), mem: mem, box: box, log: &bytes.Buffer{}}
	Register[doorLimits](r, "other")
	r.byName["door.count"].doc = "Count is how many. E.g. ten.\n\nMore \"text\"."
	var err error
	h.Book, err = Open(t.Context(), r, mem, box, Options{Log: event.New(slog.NewTextHandler(h.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) save(t *testing.T, e Edit) Saved {
	t.Helper()
	if e.Author == "" {
		e.Author = "admin"
	}
	s, err := h.Save(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASavedChangeIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	changed := h.Registry().Changed()
	s := h.save(t, Edit{Set: map[string]string{"door.count": "20", "door.mode": "enforce", "door.wait": "2m"}, Comment: "busier"})
	if got := h.door.Get(); got.Count != 20 || got.Wait != 2*time.Minute || s.Version != 1 || h.Registry().Version() != 1 {
		t.Errorf("in force: %+v at %d", got, s.Version)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if len(s.Changes) != 2 || s.Changes[0].String() != "door.count: 10 (default) -> 20" {
		t.Errorf("changes: %v", s.Changes)
	}
	if s := h.save(t, Edit{Set: map[string]string{"door.count": "20"}}); s.Version != 1 || len(s.Changes) != 0 {
		t.Errorf("saving what is so already made %+v", s)
	}
	if again := openHouse(t, h.mem, h.box); again.door.Get().Count != 20 {
		t.Error("lost over a restart")
	}
	h.save(t, Edit{Unset: []string{"door.count"}})
	if h.door.Get().Count != 10 {
		t.Error("unset value stayed")
	}
}

func TestAFaultyChangeChangesNothingAndNamesEveryFault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.Save(t.Context(), Edit{Author: "admin", Set: map[string]string{
		"door.count": "0", "door.mode": "maybe", "door.wiat": "3s", "high": "3", "door.banner": "fine",
	}, Unset: []string{"nonsense.at.all"}})
	var faults Invalid
	if !errors.As(err, &faults) || len(faults) != 5 || !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("faults: %v", err)
	}
	for _, want := range []string{"door.count: is 0; it must be at least 1", "door.mode", "did you mean door.wait?", "limits.high?", "setting list"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	_, err = h.Save(t.Context(), Edit{Author: "admin", Set: map[string]string{"door.limits.low": "10"}})
	if !errors.As(err, &faults) || !strings.Contains(err.Error(), "limits.high") {
		t.Errorf("rule between fields: %v", err)
	}
	for _, e := range []Edit{{}, {Author: "a", Comment: strings.Repeat("x", 2000)}, {Author: "a", Trial: 25 * time.Hour}} {
		if _, err := h.Save(t.Context(), e); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	h.mem.fail = store.ErrUnavailable
	if _, err := h.Save(t.Context(), Edit{Author: "a", Set: map[string]string{"door.count": "3"}}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("store down: %v", err)
	}
	if h.door.Get().Limits != (doorLimits{1, 9}) || h.door.Get().Count != 10 || h.Registry().Version() != 0 {
		t.Errorf("something changed: %+v", h.door.Get())
	}
}

func TestTheProfileChangesOnlyDefaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{"door.on": "off"}})
	s := h.save(t, Edit{Set: map[string]string{"profile": "trial"}})
	if got := h.door.Get(); got.On || got.Count != 50 {
		t.Errorf("trial profile: %+v", got)
	}
	if len(s.Changes) != 2 || s.Changes[0].Name != "door.count" {
		t.Errorf("shown: %v", s.Changes)
	}
	info, err := h.Explain(t.Context(), "door.count")
	if err != nil || info.Source != "default of profile trial" || info.Default != "50" {
		t.Errorf("explain: %+v, %v", info, err)
	}
	if _, err := h.Save(t.Context(), Edit{Author: "a", Set: map[string]string{"profile": "fast"}}); err == nil {
		t.Error("unknown profile was saved")
	}
}

func TestSecretsAreSealedAndNeverShown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const word, token = "hunter2hunter2", "tok-en-tok-en"
	s := h.save(t, Edit{Set: map[string]string{"door.password": word, "door.token": token}})
	if h.door.Get().Password.Reveal() != word || h.door.Get().Token != token {
		t.Fatal("the code does not see its secret")
	}
	if s := h.save(t, Edit{Set: map[string]string{"door.password": word}}); len(s.Changes) != 0 {
		t.Error("the same secret counts as a change")
	}
	h.save(t, Edit{Set: map[string]string{"door.password": word + "!"}})
	_, err := h.Save(t.Context(), Edit{Author: "a", Set: map[string]string{"door.token": token + "\x01"}})
	if err == nil {
		t.Error("bad secret saved")
	}
	history, herr := h.History(t.Context(), 0, 10)
	info, xerr := h.Explain(t.Context(), "door.token")
	value, gerr := h.Get("door.password")
	if herr != nil || xerr != nil || gerr != nil || value != "set" || info.Value != "set" || *history[0].Items[0].New != "set" {
		t.Errorf("%v %v %v %q %q", herr, xerr, gerr, value, info.Value)
	}
	var seen strings.Builder
	for _, d := range s.Changes {
		seen.WriteString(d.String())
	}
	seen.WriteString(err.Error() + info.String() + h.log.String() + string(h.Export(true)) + string(h.Export(false)) + h.door.Get().Password.String())
	for _, row := range h.mem.rows {
		seen.WriteString(row.Value)
	}
	for _, c := range h.mem.history {
		for _, item := range c.Items {
			seen.WriteString(item.Old + item.New)
		}
	}
	if strings.Contains(seen.String(), word) || strings.Contains(seen.String(), token) {
		t.Error("a secret shows somewhere")
	}
	if !strings.Contains(string(h.Export(true)), `= "sealed:v1:`) || strings.Contains(string(h.Export(false)), "sealed:v1:") {
		t.Error("export of secrets is wrong")
	}
}

func TestALostKeyIsAProblemNotAStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{"door.password": "x", "door.count": "3"}})
	h.mem.rows["door.gone"] = store.SettingRow{Name: "door.gone", Value: "1", Version: 1}
	h.mem.rows["door.wait"] = store.SettingRow{Name: "door.wait", Value: "99d", Version: 1}
	other, err := seal.CreateFile(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	again := openHouse(t, h.mem, other)
	got := again.door.Get()
	if !got.Password.IsSet() || got.Password.Reveal() != "" || got.Password.String() != "set, but unreadable" || got.Count != 3 || got.Wait != time.Minute {
		t.Errorf("in force: %+v", got)
	}
	problems := again.Problems()
	if len(problems) != 3 || !strings.Contains(problems[1].Text, "other.key") {
		t.Errorf("problems: %v", problems)
	}
	if info, _ := again.Explain(t.Context(), "door.wait"); !strings.Contains(info.Problem, "at most 35d") {
		t.Errorf("explain: %+v", info)
	}
	again.save(t, Edit{Unset: []string{"door.gone", "door.wait"}, Set: map[string]string{"door.password": "y"}})
	if p := again.Problems(); len(p) != 0 || again.door.Get().Password.Reveal() != "y" {
		t.Errorf("after repair: %v", p)
	}
}

func TestEveryVersionCanBeUndone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{"door.count": "20", "door.password": "one"}})
	h.save(t, Edit{Set: map[string]string{"door.wait": "3m"}})
	h.save(t, Edit{Set: map[string]string{"door.count": "30"}})
	if _, err := h.Undo(t.Context(), 1, "admin"); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "door.count was changed again after version 1 (version 3)") {
		t.Fatalf("undo of an overtaken version: %v", err)
	}
	if _, err := h.Undo(t.Context(), 3, "admin"); err != nil {
		t.Fatal(err)
	}
	if got := h.door.Get(); got.Count != 20 || got.Wait != 3*time.Minute || got.Password.Reveal() != "one" {
		t.Errorf("without version 3: %+v", got)
	}
	history, err := h.History(t.Context(), 0, 1)
	if err != nil || history[0].Undoes != 3 || history[0].Version != 4 {
		t.Errorf("history: %+v, %v", history, err)
	}
	if _, err := h.Undo(t.Context(), 1, "admin"); err != nil { // its values are in force again
		t.Fatal(err)
	}
	if got := h.door.Get(); got.Count != 10 || got.Wait != 3*time.Minute || got.Password.IsSet() {
		t.Errorf("without version 1: %+v", got)
	}
	if _, err := h.Undo(t.Context(), 9, "admin"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("undo of nothing: %v", err)
	}
}

func TestAChangeOnTrialReturnsByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, newMemory(), h.box)
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		h.save(t, Edit{Set: map[string]string{"door.count": "20"}, Trial: time.Minute})
		time.Sleep(30 * time.Second)
		if _, err := h.Save(t.Context(), Edit{Author: "b", Set: map[string]string{"door.wait": "2s"}}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("change during a trial: %v", err)
		}
		if v, who, _, ok := h.OnTrial(); h.door.Get().Count != 20 || !ok || v != 1 || who != "admin" {
			t.Error("the trial is not in force")
		}
		time.Sleep(32 * time.Second)
		if _, _, _, ok := h.OnTrial(); h.door.Get().Count != 10 || ok {
			t.Error("the trial did not end")
		}
		h.save(t, Edit{Set: map[string]string{"door.count": "30"}, Trial: time.Minute})
		if err := h.Confirm(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if h.door.Get().Count != 30 {
			t.Error("a confirmed change was taken back")
		}
		if err := h.Confirm(t.Context(), 3); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("confirmed twice: %v", err)
		}
		h.save(t, Edit{Set: map[string]string{"door.count": "40"}, Trial: time.Minute})
		cancel()
		time.Sleep(time.Hour)
		again := openHouse(t, h.mem, h.box)
		if again.door.Get().Count != 30 || !strings.Contains(again.log.String(), "setting.reverted") {
			t.Error("the trial survived a restart")
		}
	})
}

func TestAnotherNodeSeesAChangeWithinASecond(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		mem := newMemory()
		a, b := openHouse(t, mem, h.box), openHouse(t, mem, h.box)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Run(ctx)
		v := a.save(t, Edit{Set: map[string]string{"door.count": "20", "door.listen": "x"}}).Version
		time.Sleep(1100 * time.Millisecond)
		if b.door.Get().Count != 20 || !slices.Equal(b.PendingRestart(), []string{"door.listen"}) {
			t.Errorf("the other node has %d, waits for %v", b.door.Get().Count, b.PendingRestart())
		}
		b.save(t, Edit{Set: map[string]string{"door.count": "21"}})
		if _, err := a.Save(t.Context(), Edit{Author: "x", Set: map[string]string{"door.count": "22"}, Base: v}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("lost update: %v", err)
		}
		mem.mu.Lock()
		mem.fail = store.ErrUnavailable
		mem.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if strings.Count(b.log.String(), "setting.invalid") != 1 {
			t.Errorf("an outage is logged again and again:\n%s", b.log)
		}
		if b.door.Get().Count != 21 || !strings.Contains(b.log.String(), "stay in force") {
			t.Error("a store that is down changed the settings")
		}
	})
}

func TestAnExportReadsBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Set: map[string]string{
		"profile": "factory", "door.count": "20", "door.networks": "192.0.2.0/24", "door.footer": "a\n\"b\" \\", "door.password": "pw", "door.limits.low": "2",
	}})
	data := h.Export(true)
	tree := map[string]any{}
	if err := toml.Unmarshal(data, &tree); err != nil {
		t.Fatalf("not TOML: %v\n%s", err, data)
	}
	if tree["door"].(map[string]any)["footer"] != "a\n\"b\" \\" {
		t.Errorf("TOML reads %v", tree)
	}
	if !strings.Contains(string(data), "# Count is how many. E.g. ten.\n#") || !strings.Contains(string(data), "\n#wait = \"1m\"\n") {
		t.Errorf("export:\n%s", data)
	}
	other := openHouse(t, newMemory(), h.box)
	other.save(t, Edit{Set: map[string]string{"door.score": "9", "door.token": "kept"}})
	e, err := other.FileEdit(data, true)
	if err != nil {
		t.Fatal(err)
	}
	e.Author = "admin"
	plan, err := other.Plan(t.Context(), e)
	if err != nil || other.door.Get().Count != 10 {
		t.Fatalf("plan: %v, %v", plan, err)
	}
	saved := other.save(t, e)
	if !slices.Equal(plan, saved.Changes) {
		t.Errorf("planned %v, saved %v", plan, saved.Changes)
	}
	got := other.door.Get()
	if got.Count != 20 || got.Score != 2.5 || got.Token != "kept" || got.Password.Reveal() != "pw" || got.Footer != "a\n\"b\" \\" || got.On {
		t.Errorf("applied: %+v", got)
	}
	if a, b := h.Export(false), other.Export(false); strings.ReplaceAll(string(b), "version 2", "version 1") != strings.ReplaceAll(string(a), `#token = "" # not set`, `#token = "" # set`) {
		t.Errorf("exports differ:\n%s\n%s", a, b)
	}
}

func TestAFileThatIsWrongAppliesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e, err := h.FileEdit([]byte("[door]\ncount = 5\nwait = \"99d\"\nbaner = \"x\"\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	e.Author = "admin"
	_, err = h.Save(t.Context(), e)
	const want = "line 3: door.wait: is 99d; it must be at most 35d\nline 4: door.baner: there is no such setting; did you mean door.banner?"
	if err == nil || err.Error() != want || h.door.Get().Count != 10 {
		t.Errorf("got:\n%v", err)
	}
	if _, err := h.FileEdit([]byte("[door"), true); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("broken file: %v", err)
	}
}

func TestExplainTellsWhoSetItAndWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.save(t, Edit{Author: "eva", Set: map[string]string{"door.count": "20"}})
	info, err := h.Explain(t.Context(), "door.count")
	if err != nil || info.Author != "eva" || !info.Set || info.Range() != "1 to 100" || info.Summary != "Count is how many." {
		t.Errorf("explain: %+v, %v", info, err)
	}
	for _, want := range []string{"door.count\n", "value     20\n", "from      version 1 by eva at ", "default   10\n", "range     1 to 100\n", "More"} {
		if !strings.Contains(info.String(), want) {
			t.Errorf("%q is missing in\n%s", want, info)
		}
	}
	if _, err := h.Explain(t.Context(), "door.cuont"); err == nil || !strings.Contains(err.Error(), "did you mean door.count?") {
		t.Errorf("unknown name: %v", err)
	}
	if n := len(h.List()); n != len(h.r.fields) || n < 20 {
		t.Errorf("%d listed", n)
	}
	if page := string(h.r.Markdown()); !strings.Contains(page, "### door.count\n\nCount is how many.") || !strings.Contains(page, "- Default, trial: `50`") {
		t.Errorf("reference:\n%s", page)
	}
}
