package setting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/store"
)

// Options of a Book; the zero value is right for production.
type Options struct {
	// Log gets what was changed and what is wrong; nil is silent.
	Log *event.Logger
	// Poll is how often Run asks for changes made by other nodes; 0 means 1 s.
	Poll time.Duration
}

// Book keeps the values of a registry in the store: it puts stored values into
// force, saves changes all or nothing, and remembers who changed what. It may
// be used by many goroutines.
type Book struct {
	r     *Registry
	store store.Settings
	box   *seal.Box
	o     Options

	mu       sync.Mutex // held while changing or refreshing
	version  int64
	rows     map[string]store.SettingRow
	trial    *store.SettingChange // on trial, else nil
	deadline time.Time            // of the trial, with a monotonic reading
	problems []Problem
	started  map[string]string // values at Open of those that need a restart
}

// Problem says what is wrong with one value.
type Problem struct {
	Name string // the setting, "" when none is at fault alone
	Line int    // in the settings file, 0 where there is none
	Text string
}

// String joins name, place and text.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Name != "" {
		b.WriteString(p.Name + ": ")
	}
	return b.String() + p.Text
}

// Invalid is the error of a change that was refused: every fault at once, so
// that a form can mark each field. It wraps store.ErrInvalid.
type Invalid []Problem

// Error has one line for each problem.
func (e Invalid) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is(err, store.ErrInvalid) true.
func (e Invalid) Unwrap() error { return store.ErrInvalid }

// Open loads what is stored and puts it into force; a change whose trial ended
// meanwhile is taken back first. Stored values that no longer fit their
// declaration do not stop the server: as few as possible give way to their
// defaults, and Problems and Handle.Checked tell;
// neither does a change that cannot be taken back.
// The registry must be complete.
func Open(ctx context.Context, r *Registry, s store.Settings, box *seal.Box, o Options) (*Book, error) {
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	b := &Book{r: r, store: s, box: box, o: o}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(ctx); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if err := b.endTrial(ctx); err != nil { // Run tries again
		b.o.Log.Log(event.SettingInvalid, slog.String("problem", "a change on trial could not be taken back; it stays in force"), event.Err(err))
	}
	b.started = b.restartValues()
	return b, nil
}

// Registry returns the declarations and the values in force.
func (b *Book) Registry() *Registry { return b.r }

// Problems lists stored values that could not be put into force.
func (b *Book) Problems() []Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.problems)
}

// Refresh puts into force what other nodes saved. It costs one small read
// while nothing changed.
func (b *Book) Refresh(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err := b.store.Version(ctx)
	if err == nil && v != b.version {
		err = b.load(ctx)
	}
	return err
}

// Run keeps the values current and ends trials until ctx is done.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(b.o.Poll)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-b.store.Changed():
		case <-tick.C:
		}
		err := b.Refresh(ctx)
		if err == nil {
			b.mu.Lock()
			err = b.endTrial(ctx)
			b.mu.Unlock()
		}
		if err != nil && !failing && ctx.Err() == nil { // once an outage
			b.o.Log.Log(event.SettingInvalid, slog.String("problem", "settings could not be refreshed; the last ones stay in force"), event.Err(err))
		}
		failing = err != nil
	}
}

// load reads everything and puts it into force.
func (b *Book) load(ctx context.Context) error {
	version, rows, err := b.store.Load(ctx)
	if err != nil {
		return err
	}
	last, err := b.store.History(ctx, 0, 1)
	if err != nil {
		return err
	}
	byName := make(map[string]store.SettingRow, len(rows))
	for _, row := range rows {
		byName[row.Name] = row
	}
	made := b.build(byName)
	b.version, b.rows, b.problems = version, byName, made.problems
	b.trial = nil
	if len(last) == 1 && !last[0].ConfirmBy.IsZero() {
		b.trial = &last[0]
		now := time.Now()
		b.deadline = now.Add(last[0].ConfirmBy.Sub(now))
	}
	for _, p := range made.problems {
		b.o.Log.Log(event.SettingInvalid, slog.String("setting", p.Name), slog.String("problem", p.Text))
	}
	b.r.swap(version, made)
	return nil
}

// open returns the text of a stored value.
func (b *Book) open(f *field, stored string) (string, error) {
	if !f.secret {
		return stored, nil
	}
	plain, err := b.box.Open(f.name, stored)
	return string(plain), err
}

// close returns what to store of a text.
func (b *Book) close(f *field, text string) (string, error) {
	if !f.secret {
		return text, nil
	}
	return b.box.Seal(f.name, []byte(text))
}

// profileOf reads the profile that the rows choose.
func profileOf(rows map[string]store.SettingRow) Profile {
	switch p := Profile(rows["profile"].Value); p {
	case Factory, Trial:
		return p
	}
	return Recommended
}

// endTrial takes a change back that was not confirmed in time.
func (b *Book) endTrial(ctx context.Context) error {
	if b.trial == nil || time.Until(b.deadline) > 0 {
		return nil
	}
	c := *b.trial
	e, err := b.inverse(&c)
	if err != nil {
		return err
	}
	e.Author, e.Comment = "posthorn", fmt.Sprintf("version %d was not confirmed by %s", c.Version, c.ConfirmBy.Format(time.RFC3339))
	if _, err = b.commit(ctx, e); errors.Is(err, store.ErrConflict) { // confirmed or taken back elsewhere
		return b.load(ctx)
	}
	return err
}

// restartValues formats what takes effect at the next start only.
func (b *Book) restartValues() map[string]string {
	out := map[string]string{}
	now := b.r.now.Load()
	for _, f := range b.r.fields {
		if f.restart {
			out[f.name] = f.format(reflect.ValueOf(now.values[f.group]).Elem())
		}
	}
	return out
}

// PendingRestart lists settings whose value waits for the next start.
func (b *Book) PendingRestart() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for name, text := range b.restartValues() {
		if b.started[name] != text {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
