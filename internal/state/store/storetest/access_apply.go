package storetest

import (
	"errors"

	"posthorn/internal/state/store"
)

func rulesApplied(e *env) {
	a := e.s.Access()
	out, changed := e.add(rule("out")), e.add(rule("changed"))
	before, err := a.Version(e.ctx)
	e.must(err)
	changed.Reason = "another"
	free, bad := rule("out"), rule("changed")
	free.Value = "new@example.test"
	for name, c := range map[string]store.AccessChange{
		"a name is taken":   {Remove: []int64{out.ID}, Set: []store.AccessRow{changed}, Add: []store.AccessRow{free, bad}},
		"a rule is gone":    {Add: []store.AccessRow{rule("third")}, Remove: []int64{out.ID + 1000}},
		"a version is old":  {Remove: []int64{out.ID}, Set: []store.AccessRow{func(r store.AccessRow) store.AccessRow { r.Version--; return r }(changed)}},
		"a name is missing": {Add: []store.AccessRow{rule("third"), rule("")}},
	} {
		err := a.Apply(e.ctx, c)
		rows, listErr := a.List(e.ctx, store.AccessFilter{})
		e.must(listErr)
		version, versionErr := a.Version(e.ctx)
		e.must(versionErr)
		if err == nil || named(rows) != "changed out" || version != before || rows[0].Reason == "another" {
			e.t.Errorf("%s: %v, then there are %q at version %d", name, err, named(rows), version)
		}
	}
	if err := a.Apply(e.ctx, store.AccessChange{Add: []store.AccessRow{rule("OUT")}}); !errors.Is(err, store.ErrExists) {
		e.t.Errorf("a name that is taken: %v", err)
	}
	e.must(a.Apply(e.ctx, store.AccessChange{Remove: []int64{out.ID}, Set: []store.AccessRow{changed}, Add: []store.AccessRow{free}}))
	rows, err := a.List(e.ctx, store.AccessFilter{})
	e.must(err)
	if named(rows) != "changed out" || rows[0].Reason != "another" || rows[1].Value != "new@example.test" || rows[1].ID == out.ID {
		e.t.Errorf("there are %+v", rows)
	}
	if version, err := a.Version(e.ctx); err != nil || version != before+1 {
		e.t.Errorf("version %d after %d, %v", version, before, err)
	}
}
