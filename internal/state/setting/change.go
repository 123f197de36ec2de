package setting

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// Bounds of a change.
const (
	maxComment = 1000 // octets
	maxTrial   = 24 * time.Hour
)

// Edit is a wanted change of settings.
type Edit struct {
	Set   map[string]string // text forms by name
	Unset []string          // back to the default
	// Author is who wants it; a change without one is refused.
	Author, Comment string
	// Trial, when not zero, lets the change return by itself unless Confirm is
	// called before; at most a day.
	Trial time.Duration
	// Base, when not zero, is the version the author was looking at: another
	// one in force is store.ErrConflict.
	Base int64

	lines  map[string]int // of a settings file
	pin    bool           // store values that equal the default too
	undoes int64
	stored map[string]string // set to stored texts as they are (undo)
	// back says that all was in force like this before: what does not fit its
	// declaration is a Problem again, and no fault.
	back bool
}

// Difference is the change of one setting as people see it.
type Difference struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
	// OldDefault and NewDefault say that the value is not set.
	OldDefault bool `json:"old_default,omitempty"`
	NewDefault bool `json:"new_default,omitempty"`
	// Restart says that it takes effect at the next start.
	Restart bool `json:"restart,omitempty"`
}

// String writes the difference in one line.
func (d Difference) String() string {
	mark := func(text string, def bool) string {
		switch {
		case def && text == "":
			return "(empty, default)"
		case def:
			return text + " (default)"
		}
		return show(text)
	}
	s := fmt.Sprintf("%s: %s -> %s", d.Name, mark(d.Old, d.OldDefault), mark(d.New, d.NewDefault))
	if d.Old == d.New && d.OldDefault == d.NewDefault { // of a secret only that it is there is told
		s = d.Name + ": set to another value"
	}
	if d.Restart {
		s += " (from the next start)"
	}
	return s
}

// Saved is what Save did.
type Saved struct {
	Version int64        `json:"version"` // in force now
	Changes []Difference `json:"changes"` // empty: nothing differed, nothing was stored
}

// Plan checks an edit and shows what Save would change.
func (b *Book) Plan(ctx context.Context, e Edit) ([]Difference, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(ctx, e); err != nil {
		return nil, err
	}
	p, err := b.plan(e)
	if err != nil {
		return nil, err
	}
	return p.diff, nil
}

// Save checks the whole edit and stores it, all or nothing; new sessions see
// it when Save returns. Errors: Invalid with every fault, store.ErrConflict
// when somebody was faster or a change is on trial, the store's. An edit that
// changes nothing succeeds, whatever is on trial.
func (b *Book) Save(ctx context.Context, e Edit) (Saved, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(ctx, e); err != nil {
		return Saved{}, err
	}
	if b.trial != nil && e.undoes != b.trial.Version {
		if p, err := b.plan(e); err == nil && len(p.items) == 0 {
			return Saved{Version: b.version}, nil
		}
		return Saved{}, onTrial(b.trial)
	}
	return b.commit(ctx, e)
}

// ready checks what does not depend on the values.
func (b *Book) ready(ctx context.Context, e Edit) error {
	switch {
	case strings.TrimSpace(e.Author) == "":
		return Invalid{{Text: "a change needs an author"}}
	case len(e.Comment) > maxComment:
		return Invalid{{Text: fmt.Sprintf("the comment is over %d octets", maxComment)}}
	case e.Trial < 0 || e.Trial > maxTrial:
		return Invalid{{Text: "a trial lasts at most a day"}}
	}
	v, err := b.store.Version(ctx)
	if err == nil && v != b.version {
		err = b.load(ctx)
	}
	if err == nil && e.Base != 0 && e.Base != b.version {
		err = fmt.Errorf("settings are at version %d, you were looking at %d; look again: %w", b.version, e.Base, store.ErrConflict)
	}
	return err
}

// commit plans, stores and puts into force.
func (b *Book) commit(ctx context.Context, e Edit) (Saved, error) {
	p, err := b.plan(e)
	if err != nil {
		return Saved{}, err
	}
	if len(p.items) == 0 {
		return Saved{Version: b.version}, nil
	}
	c := store.SettingChange{Time: time.Now().UTC(), Author: e.Author, Comment: e.Comment, Items: p.items, Undoes: e.undoes}
	if e.Trial > 0 {
		c.ConfirmBy = c.Time.Add(e.Trial)
	}
	version, err := b.store.Save(ctx, b.version, c)
	if err != nil {
		return Saved{}, err
	}
	for name, row := range p.rows {
		if row.Version == 0 {
			row.Version = version
			p.rows[name] = row
		}
	}
	c.Version = version
	b.version, b.rows, b.problems, b.trial = version, p.rows, p.problems, nil
	if e.Trial > 0 {
		b.trial, b.deadline = &c, time.Now().Add(e.Trial)
	}
	b.r.swap(version, &p.built)
	b.log(&c)
	return Saved{Version: version, Changes: p.diff}, nil
}

// log tells what was saved, by name only.
func (b *Book) log(c *store.SettingChange) {
	names := make([]string, len(c.Items))
	for i, item := range c.Items {
		names[i] = item.Name
	}
	e, attrs := event.SettingChanged, []slog.Attr{
		slog.Int64("version", c.Version), slog.String("author", c.Author), slog.String("names", strings.Join(names, " ")),
	}
	if c.Undoes > 0 {
		e, attrs = event.SettingReverted, append(attrs, slog.Int64("undoes", c.Undoes))
	}
	b.o.Log.Log(e, attrs...)
}

// planned is a change that passed all checks.
type planned struct {
	built
	rows  map[string]store.SettingRow // Version 0: set by this change
	items []store.SettingItem
	diff  []Difference
}

// plan computes what an edit does, or returns Invalid.
func (b *Book) plan(e Edit) (*planned, error) {
	p := &planned{rows: maps.Clone(b.rows)}
	faults := b.edit(p, e)
	if len(faults) > 0 {
		return nil, faults
	}
	profile := profileOf(p.rows)
	touched := b.touched(e, p.rows, profile)
	p.problems = b.unknown(p.rows)
	for i, g := range b.r.groups {
		m := b.fill(g, profile, p.rows)
		if err := validate(m.v.Interface()); err != nil && touched[i] {
			faults = append(faults, b.r.faults(g, err)...)
			continue
		}
		m.settle(b.r)
		p.add(m)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	p.sort()
	b.compare(p)
	return p, nil
}

// touched tells the groups whose rules must hold after the edit; an old fault
// elsewhere does not keep an administrator from changing this group, nor one in
// a group of which nothing changes.
func (b *Book) touched(e Edit, rows map[string]store.SettingRow, profile Profile) map[int]bool {
	out := map[int]bool{}
	if e.back {
		return out
	}
	names := slices.Concat(e.Unset, slices.Collect(maps.Keys(e.Set)), slices.Collect(maps.Keys(e.stored)))
	for _, name := range names {
		was, is := b.rows[name], rows[name]
		if f := b.r.byName[name]; f != nil && (was.Name != is.Name || was.Value != is.Value) {
			out[f.group] = true
		}
	}
	if profile != profileOf(b.rows) {
		for i := range b.r.groups {
			out[i] = true
		}
	}
	return out
}

// edit applies the edit to the rows and returns every fault.
func (b *Book) edit(p *planned, e Edit) Invalid {
	var faults Invalid
	fault := func(name string, err error) {
		faults = append(faults, Problem{Name: name, Line: e.lines[name], Text: err.Error()})
	}
	for _, name := range e.Unset {
		if _, err := b.r.find(name); err != nil && p.rows[name].Name == "" { // unknown ones can be cleaned up
			fault(name, err)
			continue
		}
		delete(p.rows, name)
	}
	for name, text := range e.stored {
		p.rows[name] = store.SettingRow{Name: name, Value: text}
		if err := b.readable(name, text); err != nil && !e.back {
			fault(name, err)
		}
	}
	// The profile first: the others compare with its defaults.
	names := slices.SortedFunc(maps.Keys(e.Set), func(a, b string) int {
		if a == "profile" || b == "profile" {
			return map[bool]int{true: -1, false: 1}[a == "profile"]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		f, err := b.r.find(name)
		if err == nil {
			err = b.set(p, f, e.Set[name], e.pin)
		}
		if err != nil {
			fault(name, err)
		}
	}
	slices.SortFunc(faults, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Name, b.Name)
	})
	return faults
}

// readable checks a stored text against its declaration, if there still is one.
func (b *Book) readable(name, text string) error {
	f := b.r.byName[name]
	if f == nil {
		return nil
	}
	plain, err := b.open(f, text)
	if err != nil {
		return err
	}
	return f.parse(plain, reflect.New(b.r.groups[f.group].typ).Elem())
}

// set puts one value into the rows, in normal form.
func (b *Book) set(p *planned, f *field, text string, pin bool) error {
	if old, explicit := p.rows[f.name]; explicit && old.Value == text && (seal.IsSealed(text) || !f.secret) {
		return nil // an export read back, also of what cannot be read
	}
	if f.secret && seal.IsSealed(text) {
		plain, err := b.box.Open(f.name, text)
		if err != nil {
			return err
		}
		text = string(plain)
	}
	group := reflect.New(b.r.groups[f.group].typ).Elem()
	if err := f.parse(text, group); err != nil {
		return err
	}
	text = f.format(group)
	old, explicit := p.rows[f.name]
	if explicit {
		if before, err := b.open(f, old.Value); err == nil && before == text {
			return nil
		}
	} else if !pin && f.sameAsDefault(text, profileOf(p.rows), group) {
		return nil
	}
	sealed, err := b.close(f, text)
	if err == nil {
		p.rows[f.name] = store.SettingRow{Name: f.name, Value: sealed}
	}
	return err
}

// sameAsDefault compares a text in normal form; group is scratch space.
func (f *field) sameAsDefault(text string, profile Profile, group reflect.Value) bool {
	return f.parse(f.def(profile), group) == nil && f.format(group) == text
}

// compare derives what to store and what to show from old and new rows.
func (b *Book) compare(p *planned) {
	before := b.r.now.Load().values
	for _, name := range slices.Sorted(maps.Keys(union(b.rows, p.rows))) {
		was, had := b.rows[name]
		is, has := p.rows[name]
		if had == has && was.Value == is.Value {
			continue
		}
		p.items = append(p.items, store.SettingItem{Name: name, Old: was.Value, New: is.Value, WasUnset: !had, Unset: !has})
	}
	for _, f := range b.r.fields {
		was, is := b.rows[f.name], p.rows[f.name]
		d := Difference{
			Name: f.name, Old: f.show(before), New: f.show(p.values), Restart: f.restart,
			OldDefault: was.Name == "", NewDefault: is.Name == "",
		}
		if was.Value != is.Value || d.OldDefault != d.NewDefault || d.Old != d.New {
			p.diff = append(p.diff, d)
		}
	}
}

func union(a, b map[string]store.SettingRow) map[string]store.SettingRow {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// show formats the value in force for people.
func (f *field) show(values []any) string {
	group := reflect.ValueOf(values[f.group]).Elem()
	if s, ok := f.at(group).Interface().(Secret); ok {
		return s.String()
	}
	text := f.format(group)
	if f.secret {
		return setOrNot(text)
	}
	return text
}
