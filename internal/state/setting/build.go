package setting

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"posthorn/internal/state/store"
)

// built is what stored rows are in force as.
type built struct {
	values   []any // pointer to the struct of each group
	problems []Problem
	// idle tells of each group which stored values are not in force and why, by
	// the name of the setting.
	idle []map[string]string
}

// build makes the structs of all groups from stored rows.
func (b *Book) build(rows map[string]store.SettingRow) *built {
	out := &built{problems: b.unknown(rows)}
	profile := profileOf(rows)
	for _, g := range b.r.groups {
		m := b.fill(g, profile, rows)
		m.settle(b.r)
		out.add(m)
	}
	out.sort()
	return out
}

func (o *built) add(m *making) {
	o.values, o.idle = append(o.values, m.v.Interface()), append(o.idle, m.idle)
	o.problems = append(o.problems, m.problems...)
}

func (o *built) sort() {
	slices.SortStableFunc(o.problems, func(a, b Problem) int { return strings.Compare(a.Name, b.Name) })
}

// unknown are the rows of settings that are not declared.
func (b *Book) unknown(rows map[string]store.SettingRow) (problems []Problem) {
	for name := range rows {
		if b.r.byName[name] == nil {
			problems = append(problems, Problem{Name: name, Text: "is stored but unknown to this version of posthorn; `posthorn setting get` cannot show it"})
		}
	}
	return problems
}

// making is one group on its way from stored rows to values in force.
type making struct {
	g        *group
	profile  Profile
	rows     map[string]store.SettingRow
	v        reflect.Value // pointer to the struct
	idle     map[string]string
	reset    map[*field]bool // at the default although a value is stored
	problems []Problem
}

// fill makes the struct of the values that can be read. A secret that cannot be
// opened stays set, for rules that ask whether there is one.
func (b *Book) fill(g *group, p Profile, rows map[string]store.SettingRow) *making {
	m := &making{g: g, profile: p, rows: rows, v: reflect.New(g.typ), idle: map[string]string{}, reset: map[*field]bool{}}
	for _, f := range g.fields {
		row, stored := rows[f.name]
		if !stored {
			m.toDefault(f)
			continue
		}
		text, err := b.open(f, row.Value)
		lost := err != nil
		if err == nil {
			err = f.parse(text, m.v.Elem())
		}
		if err == nil {
			continue
		}
		m.idle[f.name] = err.Error()
		m.problems = append(m.problems, Problem{Name: f.name, Text: err.Error()})
		m.toDefault(f)
		if at := f.at(m.v.Elem()); lost && at.Type() == reflect.TypeFor[Secret]() {
			at.Set(reflect.ValueOf(Secret{lost: true}))
		} else {
			m.reset[f] = true
		}
	}
	return m
}

func (m *making) toDefault(f *field) {
	f.at(m.v.Elem()).SetZero()
	_ = f.parse(f.def(m.profile), m.v.Elem()) // checked by Register
}

// settle has as few stored values as possible give way to their defaults until
// the rules of the group hold: those that the rules name, else the one whose
// default is enough, else all. One value that a newer version does not take
// must not switch off what the others demand.
func (m *making) settle(r *Registry) {
	err := validate(m.v.Interface())
	var faults []Problem
	for err != nil {
		faults = r.faults(m.g, err)
		if !m.giveWay(faults) {
			break
		}
		err = validate(m.v.Interface())
	}
	if err == nil || m.one(faults) {
		return
	}
	for _, f := range m.stored() {
		m.toDefault(f)
		if m.idle[f.name] == "" {
			m.idle[f.name] = because(faults)
		}
	}
	m.tell(faults, "; the defaults are in force")
}

// stored lists the fields whose stored value has not given way.
func (m *making) stored() (fields []*field) {
	for _, f := range m.g.fields {
		if _, stored := m.rows[f.name]; stored && !m.reset[f] {
			fields = append(fields, f)
		}
	}
	return fields
}

// giveWay puts what the faults name at its default and reports whether that
// changed anything.
func (m *making) giveWay(faults []Problem) (changed bool) {
	for _, p := range faults {
		found := false
		for _, f := range m.stored() {
			if f.name == p.Name || p.Name != m.g.name && strings.HasPrefix(f.name, p.Name+".") {
				m.toDefault(f)
				m.reset[f], m.idle[f.name], found = true, p.Text, true
			}
		}
		if found {
			m.tell([]Problem{p}, "; the default is in force")
		}
		changed = changed || found
	}
	return changed
}

// one looks for a single value to give way.
func (m *making) one(faults []Problem) bool {
	for _, f := range m.stored() {
		before := reflect.New(m.g.typ).Elem()
		before.Set(m.v.Elem())
		m.toDefault(f)
		if validate(m.v.Interface()) != nil {
			m.v.Elem().Set(before)
			continue
		}
		m.reset[f], m.idle[f.name] = true, because(faults)
		m.tell(faults, fmt.Sprintf("; the default of %s is in force", f.name))
		return true
	}
	return false
}

func (m *making) tell(faults []Problem, then string) {
	for _, p := range faults {
		p.Text += then
		m.problems = append(m.problems, p)
	}
}

// because joins faults to one line.
func because(faults []Problem) string {
	texts := make([]string, len(faults))
	for i, p := range faults {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}

// NotInForce tells which stored values are not in force and why, by the name of
// the setting.
func (b *Book) NotInForce() map[string]string {
	all := map[string]string{}
	for _, idle := range b.r.now.Load().idle {
		maps.Copy(all, idle)
	}
	return all
}
