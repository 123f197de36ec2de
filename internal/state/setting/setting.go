// Package setting is what the house has been told: a registry of settings that
// are declared once as commented Go structs, and a Book that keeps their
// values, versions and history in the store.
//
// A message never waits for it. The code that obeys a setting reads a Handle,
// one atomic load; all groups change together under one version, so no
// session sees half a change. Forms, the API schema, the command line, the
// settings file and docs/settings.md are derived from the declarations.
//
// A declaration is a struct whose exported fields have a doc comment and tags:
//
//	default:""   text of the default value; every field has one
//	factory:""   the default in the factory profile, where it differs (PROF-01)
//	trial:""     the default in the trial profile, where it differs
//	min:"" max:""  range: of numbers, times and sizes; of characters; of items
//	oneof:"a,b"  the only values allowed
//	kind:""      domain, hostport or url: what a string (or each of a list) is
//	secret:""    "true": sealed at rest, never shown; the type Secret has it built in
//	lines:""     "true": the text may have several lines
//	restart:""   "true": takes effect when the server starts again
//	name:""      the name, where it is not the field's in lower_case
//
// Rules between fields go into a method Validate() error.
//
// The package does not know which settings exist: server/app registers them.
package setting

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

//go:generate go run posthorn/internal/state/setting/gen -update

// Profile names a set of defaults (PROF-01).
type Profile string

// The profiles. Recommended is the default of serve, Factory has both source
// products' own values, Trial is what quickstart takes.
const (
	Recommended Profile = "recommended"
	Factory     Profile = "factory"
	Trial       Profile = "trial"
)

// Base is the one group that every registry has.
type Base struct {
	// Profile chooses the defaults of all other settings: recommended, factory
	// (as the products posthorn replaces were delivered) or trial (nothing that
	// delays or refuses a first experiment). Values that were set stay as they
	// are.
	Profile Profile `default:"recommended" oneof:"recommended,factory,trial"`
}

// Registry holds the declarations and the values in force. Register
// everything, then Open the Book. It may be read by many goroutines.
type Registry struct {
	mu     sync.Mutex // registration only
	groups []*group
	fields []*field // sorted by name
	byName map[string]*field
	docs   map[string]string
	now    atomic.Pointer[snapshot]
	base   *Handle[Base]
	follow []func() // see OnChange
}

// group is one registered struct.
type group struct {
	name   string
	typ    reflect.Type
	fields []*field
	doc    string
}

// snapshot is the values of all groups at one version.
type snapshot struct {
	version int64
	values  []any               // pointer to the struct of each group
	idle    []map[string]string // of each group, see built
	changed chan struct{}       // closed when the next snapshot is in force
}

// NewRegistry returns a registry that has only the Base group.
func NewRegistry() *Registry {
	r := &Registry{byName: map[string]*field{}, docs: parseDocs(docsText)}
	r.now.Store(&snapshot{changed: make(chan struct{})})
	r.base = Register[Base](r, "")
	return r
}

// Default gives one field of a struct another default than its tag, for a
// struct that is registered under several names. Empty Factory and Trial are
// the same as Recommended.
type Default struct {
	Field                       string // name of the setting inside the group
	Recommended, Factory, Trial string
}

// Register declares the settings of struct T under a group name such as
// "smtp" or "policy.greylist". Until a Book is opened the handle gives the
// recommended defaults. A declaration that contradicts itself panics: it
// cannot work on any machine.
func Register[T any](r *Registry, name string, defaults ...Default) *Handle[T] {
	typ := reflect.TypeFor[T]()
	g, err := declare(typ, name, r.docs, defaults)
	if err == nil {
		err = r.add(g)
	}
	if err != nil {
		panic(fmt.Sprintf("setting: %s in group %q: %v", typ, name, err))
	}
	return &Handle[T]{r: r, group: len(r.groups) - 1}
}

func (r *Registry) add(g *group) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range g.fields {
		if r.byName[f.name] != nil {
			return fmt.Errorf("%s is declared twice", f.name)
		}
		r.byName[f.name] = f
		f.group = len(r.groups)
	}
	r.groups = append(r.groups, g)
	r.fields = append(r.fields, g.fields...)
	slices.SortFunc(r.fields, func(a, b *field) int { return strings.Compare(a.name, b.name) })
	value, err := g.defaults(Recommended)
	if err != nil {
		return err
	}
	for _, p := range []Profile{Factory, Trial} {
		if _, err := g.defaults(p); err != nil {
			return fmt.Errorf("profile %s: %w", p, err)
		}
	}
	old := r.now.Load()
	r.now.Store(&snapshot{values: append(slices.Clip(old.values), value), changed: old.changed})
	return nil
}

// defaults makes a struct with the profile's defaults and checks it.
func (g *group) defaults(p Profile) (any, error) {
	v := reflect.New(g.typ)
	for _, f := range g.fields {
		if err := f.parse(f.def(p), v.Elem()); err != nil {
			return nil, fmt.Errorf("default of %s: %w", f.name, err)
		}
	}
	return v.Interface(), validate(v.Interface())
}

func validate(v any) error {
	if c, ok := v.(interface{ Validate() error }); ok {
		return c.Validate()
	}
	return nil
}

// Handle reads one group.
type Handle[T any] struct {
	r     *Registry
	group int
}

// Get returns the values in force. It costs one atomic load; the caller must
// not change what it points to and reads it anew for every session or message.
func (h *Handle[T]) Get() *T { return h.r.now.Load().values[h.group].(*T) }

// Checked returns the values in force, and why the stored value of a setting is
// not among them, by full name: its default rules there, which nobody chose.
// Both are of one moment.
func (h *Handle[T]) Checked() (values *T, idle map[string]string) {
	s := h.r.now.Load()
	if h.group < len(s.idle) {
		idle = s.idle[h.group]
	}
	return s.values[h.group].(*T), idle
}

// Defaults returns a struct with the defaults of a profile, for tests and for
// code that runs without a store. It panics where Register would.
func Defaults[T any](p Profile) T {
	g, err := declare(reflect.TypeFor[T](), "", nil, nil)
	if err != nil {
		panic(fmt.Sprintf("setting: %v", err))
	}
	v, err := g.defaults(p)
	if err != nil {
		panic(fmt.Sprintf("setting: %v", err))
	}
	return *v.(*T)
}

// Version is the version of the values in force; 0 are the defaults.
func (r *Registry) Version() int64 { return r.now.Load().version }

// Changed returns a channel that is closed when other values come into force.
// Take the channel first, then read the values.
func (r *Registry) Changed() <-chan struct{} { return r.now.Load().changed }

// swap puts new values into force.
func (r *Registry) swap(version int64, made *built) {
	old := r.now.Swap(&snapshot{version: version, values: made.values, idle: made.idle, changed: make(chan struct{})})
	for _, f := range r.follow {
		f()
	}
	close(old.changed)
}

// OnChange has f called with every change, before whoever made it is told that
// it is in force. It may run in several goroutines at once, and must be quick.
// Call it before anything changes.
func (r *Registry) OnChange(f func()) { r.follow = append(r.follow, f) }

// find returns the declaration, or an error that names the nearest one.
func (r *Registry) find(name string) (*field, error) {
	if f := r.byName[name]; f != nil {
		return f, nil
	}
	if near := r.nearest(name); near != "" {
		return nil, fmt.Errorf("there is no such setting; did you mean %s?", near)
	}
	return nil, fmt.Errorf("there is no such setting; `posthorn setting list` shows all")
}

// Undocumented lists the settings without a doc comment; a test of the whole
// program wants none.
func (r *Registry) Undocumented() []string {
	var out []string
	for _, f := range r.fields {
		if f.doc == "" {
			out = append(out, f.name)
		}
	}
	return out
}
