package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var accessTests = []test{
	{name: "RulesComeBackWhole", run: rulesWhole},
	{name: "NamesAreUniqueWhateverTheirCase", run: rulesUnique},
	{name: "SetReplacesAllButTheHits", run: rulesSet},
	{name: "SetOnAnOldVersionConflicts", run: rulesConflict},
	{name: "ARemovedRuleIsGone", run: rulesRemoved},
	{name: "AllHasTheRulesInForce", run: rulesInForce},
	{name: "HitsAddUp", run: rulesHit},
	{name: "RulesAreListedInPagesAndByKind", run: rulesListed},
	{name: "SearchTakesTextAsItIs", run: rulesSearched},
	{name: "ExpiredRulesAreSwept", run: rulesSwept},
	{name: "EveryChangeButHitsRaisesTheVersion", run: rulesVersion},
	{name: "ManyChangesAreDoneAllOrNone", run: rulesApplied},
	{name: "OfManyWithANameOneIsAdded", run: rulesTogether},
}

func rule(name string) store.AccessRow {
	return store.AccessRow{Name: name, Block: true, Kind: "sender", Value: "spam@example.test", Discard: true, FromField: true,
		Authenticated: true, Owner: "ann@example.test", Reason: "größer", Author: "bob@example.test",
		Created: noon, Expires: noon.Add(time.Hour)}
}

// add adds a rule and returns it as it is stored.
func (e *env) add(r store.AccessRow) store.AccessRow {
	e.t.Helper()
	var err error
	r.ID, err = e.s.Access().Add(e.ctx, r)
	e.must(err)
	got, err := e.s.Access().Get(e.ctx, r.Name)
	e.must(err)
	r.Version = got.Version
	return r
}

func named(rows []store.AccessRow) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func rulesWhole(e *env) {
	a := e.s.Access()
	whole, plain := e.add(rule("Whole")), e.add(store.AccessRow{Name: "plain", Kind: "ip", Value: "192.0.2.1"})
	if whole.ID == plain.ID || whole.ID == 0 {
		e.t.Errorf("ids %d and %d", whole.ID, plain.ID)
	}
	for _, want := range []store.AccessRow{whole, plain} {
		if got, err := a.Get(e.ctx, strings.ToUpper(want.Name)); err != nil || got != want {
			e.t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
	}
	if got, err := a.List(e.ctx, store.AccessFilter{}); err != nil || !reflect.DeepEqual(got, []store.AccessRow{plain, whole}) {
		e.t.Errorf("listed %+v, %v", got, err)
	}
	_, err := a.Get(e.ctx, "nobody")
	e.wants(err, store.ErrNotFound, "get a name nobody has")
	_, err = a.Add(e.ctx, store.AccessRow{})
	e.wants(err, store.ErrInvalid, "add a rule without a name")
	whole.Name = ""
	e.wants(a.Set(e.ctx, whole), store.ErrInvalid, "take the name away")
	fresh := rule("fresh")
	fresh.Hits, fresh.LastHit = 7, noon
	if _, err = a.Add(e.ctx, fresh); err != nil {
		e.t.Fatal(err)
	}
	if got, err := a.Get(e.ctx, "fresh"); err != nil || got.Hits != 0 || !got.LastHit.IsZero() {
		e.t.Errorf("a new rule has %d hits, %v", got.Hits, err)
	}
}

func rulesUnique(e *env) {
	a := e.s.Access()
	e.add(rule("Größe"))
	other := e.add(rule("other"))
	_, err := a.Add(e.ctx, rule("GRÖSSE"))
	e.must(err) // another word
	_, err = a.Add(e.ctx, rule("gRÖßE"))
	e.wants(err, store.ErrExists, "the name in other letters")
	other.Name = "grÖße"
	e.wants(a.Set(e.ctx, other), store.ErrExists, "the name of another rule")
	other.Name = "OTHER"
	e.must(a.Set(e.ctx, other)) // its own
	if got, err := a.List(e.ctx, store.AccessFilter{}); err != nil || named(got) != "GRÖSSE Größe OTHER" {
		e.t.Errorf("listed %s, %v", named(got), err)
	}
}

func rulesSet(e *env) {
	a := e.s.Access()
	r := e.add(rule("one"))
	e.must(a.Hit(e.ctx, map[int64]int64{r.ID: 3}, noon))
	want := store.AccessRow{ID: r.ID, Name: "two", Kind: "domain", Value: "example.test", Disabled: true, Author: "eve@example.test", Version: r.Version, Hits: 99}
	e.must(a.Set(e.ctx, want))
	got, err := a.Get(e.ctx, "two")
	want.Hits, want.LastHit = 3, noon
	if want.Version = got.Version; err != nil || got != want || got.Version <= r.Version {
		e.t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	_, err = a.Get(e.ctx, "one")
	e.wants(err, store.ErrNotFound, "the old name")
	found, err := a.List(e.ctx, store.AccessFilter{Search: "spam"})
	if err != nil || len(found) != 0 {
		e.t.Errorf("the old value is still found: %+v, %v", found, err)
	}
}

func rulesConflict(e *env) {
	a := e.s.Access()
	r := e.add(rule("one"))
	mine := r
	mine.Owner = "mine"
	e.must(a.Set(e.ctx, mine))
	theirs := r
	theirs.Owner = "theirs"
	e.wants(a.Set(e.ctx, theirs), store.ErrConflict, "set what was read before")
	if got, err := a.Get(e.ctx, "one"); err != nil || got.Owner != "mine" {
		e.t.Errorf("%+v, %v", got, err)
	}
	e.must(a.Hit(e.ctx, map[int64]int64{r.ID: 1}, noon))
	got, err := a.Get(e.ctx, "one")
	e.must(err)
	e.must(a.Set(e.ctx, got))
	theirs.ID += 1 << 40
	e.wants(a.Set(e.ctx, theirs), store.ErrNotFound, "set a rule nobody has")
}

func rulesRemoved(e *env) {
	a := e.s.Access()
	r := e.add(rule("one"))
	e.must(a.Remove(e.ctx, r.ID))
	_, err := a.Get(e.ctx, "one")
	e.wants(err, store.ErrNotFound, "get a removed rule")
	e.wants(a.Remove(e.ctx, r.ID), store.ErrNotFound, "remove it again")
	e.wants(a.Set(e.ctx, r), store.ErrNotFound, "set it")
	if again := e.add(rule("one")); again.ID <= r.ID {
		e.t.Errorf("id %d after %d", again.ID, r.ID)
	}
}

func rulesInForce(e *env) {
	a := e.s.Access()
	always, disabled := rule("always"), rule("disabled")
	always.Expires, disabled.Expires, disabled.Disabled = time.Time{}, time.Time{}, true
	e.add(rule("hour"))
	want := e.add(always)
	e.add(disabled)
	for after, names := range map[time.Duration]string{
		time.Hour - time.Microsecond: "always hour", time.Hour: "always", 1000 * time.Hour: "always",
	} {
		if got, _, err := a.All(e.ctx, noon.Add(after)); err != nil || named(got) != names {
			e.t.Errorf("after %v: %s, %v, want %s", after, named(got), err, names)
		}
	}
	if got, _, err := a.All(e.ctx, noon.Add(time.Hour)); err != nil || got[0] != want {
		e.t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := a.List(e.ctx, store.AccessFilter{}); err != nil || named(got) != "always disabled hour" {
		e.t.Errorf("listed %s, %v", named(got), err)
	}
}

func rulesHit(e *env) {
	a := e.s.Access()
	one, two, gone := e.add(rule("one")), e.add(rule("two")), e.add(rule("gone"))
	e.must(a.Remove(e.ctx, gone.ID))
	e.must(a.Hit(e.ctx, nil, noon))
	e.must(a.Hit(e.ctx, map[int64]int64{one.ID: 5, gone.ID: 7, two.ID: 1}, noon.Add(time.Hour)))
	e.must(a.Hit(e.ctx, map[int64]int64{one.ID: 2}, noon)) // told late
	e.must(together(8, func(int) error {
		return a.Hit(e.ctx, map[int64]int64{one.ID: 1, two.ID: 10}, noon.Add(time.Minute))
	}))
	for name, want := range map[string]int64{"one": 15, "two": 81} {
		got, err := a.Get(e.ctx, name)
		if err != nil || got.Hits != want || !got.LastHit.Equal(noon.Add(time.Hour)) {
			e.t.Errorf("%s: %d hits, the last %v, %v; want %d", name, got.Hits, got.LastHit, err, want)
		}
	}
	_, err := a.Get(e.ctx, "gone")
	e.wants(err, store.ErrNotFound, "a late hit brings a rule back")
}

func rulesListed(e *env) {
	a := e.s.Access()
	for i, name := range []string{"e", "B", "d", "A", "c"} {
		r := rule(name)
		r.Block, r.Kind = i%2 == 0, []string{"ip", "sender"}[i/3]
		e.add(r)
	}
	yes, no := true, false
	for _, one := range []struct {
		f    store.AccessFilter
		want string
	}{
		{store.AccessFilter{}, "A B c d e"},
		{store.AccessFilter{Limit: 2}, "A B"},
		{store.AccessFilter{Limit: 2, After: "b"}, "c d"},
		{store.AccessFilter{After: "C"}, "d e"},
		{store.AccessFilter{Block: &yes}, "c d e"},
		{store.AccessFilter{Block: &no}, "A B"},
		{store.AccessFilter{Kind: "ip"}, "B d e"},
		{store.AccessFilter{Kind: "ip", Block: &yes, After: "d"}, "e"},
		{store.AccessFilter{Kind: "domain"}, ""},
	} {
		if got, err := a.List(e.ctx, one.f); err != nil || named(got) != one.want {
			e.t.Errorf("%+v: %s, %v, want %s", one.f, named(got), err, one.want)
		}
	}
	for i := range 150 {
		e.add(rule(fmt.Sprintf("n%03d", i)))
	}
	if got, err := a.List(e.ctx, store.AccessFilter{}); err != nil || len(got) != 100 {
		e.t.Errorf("a page has %d rules, %v", len(got), err)
	}
}

func rulesSearched(e *env) {
	a := e.s.Access()
	for i, text := range searches {
		r := store.AccessRow{Name: fmt.Sprint("rule", i)}
		*[]*string{&r.Name, &r.Value, &r.Owner, &r.Reason}[i%4] += " because " + text
		e.add(r)
	}
	for _, text := range append([]string{"%", "_", "!", "WOW", "O'B", "GRÖß"}, searches...) {
		if got, err := a.List(e.ctx, store.AccessFilter{Search: text}); err != nil || len(got) != finds(text) {
			e.t.Errorf("%q finds %s, %v; want %d", text, named(got), err, finds(text))
		}
	}
}

func rulesSwept(e *env) {
	a := e.s.Access()
	for name, expires := range map[string]time.Duration{"a": -time.Hour, "b": -time.Microsecond, "c": 0, "d": time.Hour} {
		r := rule(name)
		r.Expires = noon.Add(expires)
		e.add(r)
	}
	always := rule("e")
	always.Expires = time.Time{}
	e.add(always)
	for _, want := range []int{2, 0} {
		if n, err := a.Sweep(e.ctx, noon); err != nil || n != want {
			e.t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	if got, err := a.List(e.ctx, store.AccessFilter{}); err != nil || named(got) != "c d e" {
		e.t.Errorf("left %s, %v", named(got), err)
	}
}

func rulesVersion(e *env) {
	a := e.s.Access()
	v := versions{e: e, changed: a.Changed(), version: func() int64 {
		n, err := a.Version(e.ctx)
		e.must(err)
		_, m, err := a.All(e.ctx, noon)
		if e.must(err); n != m {
			e.t.Errorf("version %d, and %d with the rules", n, m)
		}
		return n
	}}
	var r store.AccessRow
	v.raised("Add", func() error { r = e.add(rule("one")); return nil })
	v.same("a name taken", func() { _, err := a.Add(e.ctx, rule("one")); e.wants(err, store.ErrExists, "add") })
	v.raised("Set", func() error { return a.Set(e.ctx, r) })
	v.same("a conflict", func() { e.wants(a.Set(e.ctx, r), store.ErrConflict, "set") })
	v.same("a hit", func() { e.must(a.Hit(e.ctx, map[int64]int64{r.ID: 1}, noon)) })
	v.same("a sweep of nothing", func() { _, err := a.Sweep(e.ctx, noon); e.must(err) })
	v.raised("Sweep", func() error { _, err := a.Sweep(e.ctx, noon.Add(2*time.Hour)); return err })
	v.raised("Add", func() error { r = e.add(rule("one")); return nil })
	v.raised("Remove", func() error { return a.Remove(e.ctx, r.ID) })
	v.same("a failed Remove", func() { e.wants(a.Remove(e.ctx, r.ID), store.ErrNotFound, "remove") })
}

func rulesTogether(e *env) {
	a := e.s.Access()
	var won atomic.Int64
	e.must(together(10, func(i int) error {
		_, err := a.Add(e.ctx, rule([]string{"name", "NAME"}[i%2]))
		if err == nil {
			won.Add(1)
		} else if errors.Is(err, store.ErrExists) {
			err = nil
		}
		return err
	}))
	if rows, err := a.List(e.ctx, store.AccessFilter{}); err != nil || len(rows) != 1 || won.Load() != 1 {
		e.t.Errorf("%d won, there is %s, %v", won.Load(), named(rows), err)
	}
}
