package setting

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/state/store"
)

// gate is a group whose rules name what is at fault in every way there is.
type gate struct {
	Guarded bool     `default:"false"`
	User    string   `default:""`
	Key     Secret   `default:""`
	Least   int      `default:"1"`
	Most    int      `default:"5"`
	Names   []string `default:""`
	List    gateList
}

type gateList struct {
	Zones []string `default:""`
	Score int      `default:"3"`
}

func (g *gate) Validate() error {
	var errs []error
	if g.User != "" && !g.Key.IsSet() {
		errs = append(errs, errors.New("key: the user needs one"))
	}
	if g.Least > g.Most {
		errs = append(errs, fmt.Errorf("most: less than least (%d)", g.Least))
	}
	if slices.Contains(g.Names, "bad") {
		errs = append(errs, errors.New("gate.names: bad is no name"))
	}
	if slices.Contains(g.List.Zones, "bad") {
		errs = append(errs, errors.New("gate.list: bad is no list"))
	}
	if g.Least == 99 && g.User == "99" {
		errs = append(errs, errors.New("two wrongs"))
	}
	return errors.Join(errs...)
}

// openGate opens a book on what an older version may have stored.
func openGate(t *testing.T, rows map[string]string) (*Book, *Handle[gate], *memory) {
	t.Helper()
	mem, box := unreadable(t)
	key := mem.rows["door.password"] // of another key file
	mem.rows = map[string]store.SettingRow{}
	for name, text := range rows {
		if text == "lost" {
			text = key.Value
		}
		mem.rows["gate."+name] = store.SettingRow{Name: "gate." + name, Value: text, Version: 1}
	}
	r := NewRegistry()
	h := Register[gate](r, "gate")
	b, err := Open(t.Context(), r, mem, box, Options{Log: nil})
	if err != nil {
		t.Fatal(err)
	}
	return b, h, mem
}

// One value that is not usable must not switch off what the others demand.
func TestAsFewStoredValuesAsPossibleGiveWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows map[string]string
		idle string // names, and in Problems this text
		tell string
		want func(g *gate) bool
	}{
		"what cannot be read": {map[string]string{"guarded": "true", "least": "many"}, "gate.least", "many",
			func(g *gate) bool { return g.Least == 1 }},
		"what the rules name": {map[string]string{"guarded": "true", "names": "a, bad"}, "gate.names", "bad is no name; the default is in force",
			func(g *gate) bool { return len(g.Names) == 0 }},
		"the part the rules name": {map[string]string{"guarded": "true", "list.zones": "bad", "list.score": "7", "most": "9"}, "gate.list.score gate.list.zones", "bad is no list",
			func(g *gate) bool { return g.Most == 9 && g.List.Score == 3 }},
		"several": {map[string]string{"guarded": "true", "names": "bad", "list.zones": "bad", "most": "9"}, "gate.list.zones gate.names", "bad is no list",
			func(g *gate) bool { return g.Most == 9 }},
		"the one that is enough": {map[string]string{"guarded": "true", "least": "7"}, "gate.least", "the default of gate.least is in force",
			func(g *gate) bool { return g.Least == 1 && g.Most == 5 }},
		"a secret that is set but lost": {map[string]string{"guarded": "true", "user": "bob", "key": "lost"}, "gate.key", "another key",
			func(g *gate) bool { return g.User == "bob" && g.Key.IsSet() && g.Key.Reveal() == "" }},
		"a user without a secret": {map[string]string{"guarded": "true", "user": "bob"}, "gate.user", "the user needs one",
			func(g *gate) bool { return g.User == "" }},
		"nothing": {map[string]string{"guarded": "true", "least": "2"}, "", "", func(g *gate) bool { return g.Least == 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, h, _ := openGate(t, c.rows)
			g, idle := h.Checked()
			if got := strings.Join(slices.Sorted(maps.Keys(idle)), " "); got != c.idle || !g.Guarded || !c.want(g) {
				t.Errorf("%+v; not in force: %v", g, idle)
			}
			if !maps.Equal(idle, b.NotInForce()) || g != h.Get() {
				t.Error("book and handle differ")
			}
			if all := fmt.Sprint(b.Problems()); !strings.Contains(all, c.tell) || (len(b.Problems()) == 0) != (c.tell == "") {
				t.Errorf("problems: %s", all)
			}
		})
	}
}

func TestAGroupThatNothingCuresIsAtItsDefaults(t *testing.T) {
	t.Parallel()
	b, h, mem := openGate(t, map[string]string{"guarded": "true", "user": "bob", "least": "9"}) // two faults, each with a name that is not stored
	if g, idle := h.Checked(); g.Guarded || g.User != "" || g.Least != 1 || len(idle) != 3 {
		t.Errorf("%+v; not in force: %v", g, idle)
	}
	for _, name := range []string{"gate.guarded", "gate.user", "gate.least"} {
		info, err := b.Explain(t.Context(), name)
		if err != nil || info.Value != show(info.Default) && info.Value != info.Default || !strings.Contains(info.Problem, "the user needs one") {
			t.Errorf("explain %s: %+v, %v", name, info, err)
		}
	}
	if p := fmt.Sprint(b.Problems()); !strings.Contains(p, "the defaults are in force") {
		t.Error(p)
	}
	// The values of another group can still be changed, those of this one mended.
	if _, err := b.Save(t.Context(), Edit{Author: "eva", Set: map[string]string{"profile": "recommended", "gate.most": "20", "gate.key": "x"}}); err != nil {
		t.Fatal(err)
	}
	if g, idle := h.Checked(); !g.Guarded || g.User != "bob" || g.Least != 9 || len(idle) != 0 || mem.rows["gate.least"].Version != 1 {
		t.Errorf("mended: %+v, %v", g, idle)
	}
}
