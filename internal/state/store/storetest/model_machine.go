package storetest

import (
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

var modelTests = []test{
	// In virtual time rapid would never tire of shortening a failure.
	{name: "RandomOperationsMatchASimpleModel", run: randomOperations, real: true},
}

// machine does the same to a store and to its model.
type machine struct {
	e        *env
	rt       *rapid.T
	accounts []*modelAccount
	accepted []remembered
	had      validities
	count    int // messages made
}

// remembered is an acceptance that may be repeated.
type remembered struct {
	m     store.Acceptance
	body  []byte
	filed []store.Filed
}

// randomOperations runs several histories on one store, each with accounts of
// its own.
func randomOperations(e *env) {
	budget, rounds := e.o.size(10, 40, 100), e.o.size(1, 1, 30)
	for range rounds {
		runs, failed := 0, false
		rapid.Check(withoutDeadline(e), func(rt *rapid.T) {
			// The number of runs is bounded here, except while rapid shortens
			// a failure, because its own bound is a flag of the whole process.
			if runs++; runs > budget && !failed {
				return
			}
			defer func() { failed = failed || rt.Failed() }()
			run := *e
			run.t = rt
			defer func() { e.s, e.n = run.s, run.n }()
			newMachine(&run, rt).run()
		})
	}
}

func newMachine(e *env, rt *rapid.T) *machine {
	m := &machine{e: e, rt: rt, had: validities{}}
	for range 2 {
		a := &modelAccount{handle: e.account(), subscribed: map[string]bool{}}
		list, err := a.handle.Mailboxes(e.ctx)
		e.must(err)
		for _, b := range list {
			m.adopt(a, b)
			a.subscribed[b.Name] = true
		}
		m.accounts = append(m.accounts, a)
	}
	return m
}

// adopt takes a mailbox into the model that has just been made.
func (m *machine) adopt(a *modelAccount, b store.Mailbox) *modelBox {
	m.had.note(m.e, b)
	x := m.e.index(a.handle, b.ID)
	box := &modelBox{id: b.ID, name: b.Name, role: b.Role, validity: b.UIDValidity, next: 1, recent: 1, old: mirrorOf(x)}
	if b.Role != store.RoleNone {
		if had := a.withRole(b.Role); had != nil {
			had.role = store.RoleNone
		}
	}
	a.boxes = append(a.boxes, box)
	return box
}

// adoptNamed adopts those mailboxes of names that an operation made.
func (m *machine) adoptNamed(a *modelAccount, names []string) {
	for _, name := range names {
		b, err := a.handle.FindMailbox(m.e.ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		m.e.must(err)
		m.adopt(a, b)
	}
}

func (m *machine) run() {
	actions := map[string]func(*rapid.T){"": func(rt *rapid.T) { m.at(rt).check() }}
	for name, do := range map[string]func(){
		"accept": m.accept, "acceptMore": m.accept, "repeat": m.repeat, "append": m.append, "queue": m.queue,
		"flags": m.flags, "flagsMore": m.flags, "copy": m.copy, "move": m.move, "expunge": m.expunge,
		"create": m.create, "rename": m.rename, "delete": m.remove, "subscribe": m.subscribe,
		"quota": m.quota, "look": m.look, "lookMore": m.look, "read": m.read, "recent": m.recent, "restart": m.restart,
	} {
		actions[name] = func(rt *rapid.T) { m.at(rt); do() }
	}
	m.rt.Repeat(actions)
}

func (m *machine) at(rt *rapid.T) *machine {
	m.rt, m.e.t = rt, rt
	return m
}

// agree ends the run unless the store and the model agree about an error.
func (m *machine) agree(got, want error, what string, args ...any) bool {
	m.e.t.Helper()
	if want == nil && got != nil {
		m.e.t.Fatalf("%s: %v", fmt.Sprintf(what, args...), got)
	}
	if want != nil {
		m.e.wants(got, want, what, args...)
	}
	return want == nil
}

// What follows draws the arguments of operations.

func (m *machine) int(label string, low, high int) int {
	return rapid.IntRange(low, high).Draw(m.rt, label)
}

func (m *machine) account() *modelAccount {
	return m.accounts[m.int("account", 0, len(m.accounts)-1)]
}

// box is INBOX half of the time, so that things happen to the same messages.
func (m *machine) box(a *modelAccount) *modelBox {
	if m.int("inbox", 0, 1) == 0 {
		return a.named("INBOX")
	}
	return a.boxes[min(m.int("box", 0, 12), len(a.boxes)-1)]
}

func (m *machine) uids(b *modelBox) []store.UIDRange {
	if m.int("all", 0, 4) == 0 {
		return all()
	}
	var list []store.UIDRange
	for range m.int("ranges", 0, 3) {
		first := m.int("first", 1, int(b.next)+1)
		list = append(list, store.UIDRange{First: store.UID(first), Last: store.UID(first + m.int("span", 0, 5))})
	}
	return list
}

func (m *machine) keywords() []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"$a", "$A", "$b", "c", "$Junk", "$junk"}), 0, 2).Draw(m.rt, "keywords")
}

func (m *machine) systemFlags() store.Flags {
	return store.Flags(m.int("flags", 0, int(store.SystemFlags)))
}

// content is different for each message.
func (m *machine) content() []byte {
	m.count++
	text := fmt.Appendf(nil, "message %d ", m.count)
	if n := m.int("size", 0, 30); n > 25 {
		text = append(text, fill(n*800, byte(m.count))...)
	}
	return text
}

func (m *machine) internal() time.Time { return time.UnixMicro(int64(1_000_000 + m.count)) }

func (m *machine) name() string {
	return rapid.SampledFrom([]string{"A", "A/B", "A/B/C", "B", "B/A", "INBOX/A", "A b", "Ä/ö", "INBOX", "Archive", "A/B/C/D/E"}).Draw(m.rt, "name")
}

func (m *machine) key() ident.ID { return m.e.ids.New() }
