package mailbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// model is a mailbox as a plain list.
type model struct {
	r       *rand.Rand
	entries []store.Entry
	next    store.UID
	modSeq  store.ModSeq
}

// change does something random and says it as the store would.
func (m *model) change() store.Changes {
	c := store.Changes{Complete: true}
	m.modSeq++
	switch m.r.IntN(4) {
	case 0:
		kept := m.entries[:0:0]
		for _, e := range m.entries {
			if m.r.IntN(50) == 0 {
				c.Expunged = append(c.Expunged, e.UID)
			} else {
				kept = append(kept, e)
			}
		}
		m.entries = kept
	case 1, 2:
		m.entries = slices.Clone(m.entries)
		for i := range m.entries {
			if m.r.IntN(100) == 0 {
				m.entries[i].ModSeq, m.entries[i].Flags = m.modSeq, store.Flags(m.r.IntN(32))
				c.Changed = append(c.Changed, m.entries[i])
			}
		}
	default:
		for range m.r.IntN(700) {
			e := store.Entry{UID: m.next, ModSeq: m.modSeq}
			m.next += store.UID(1 + m.r.IntN(3))
			m.entries = append(m.entries, e)
			c.Arrived = append(c.Arrived, e)
		}
	}
	c.Cursor = store.Cursor{UIDNext: m.next, ModSeq: m.modSeq}
	return c
}

func entriesOf(s *Snapshot) []store.Entry {
	var out []store.Entry
	s.Range(0, s.Len(), func(i int, e *store.Entry) bool {
		if s.At(i) != e {
			panic("At and Range differ")
		}
		out = append(out, *e)
		return true
	})
	return out
}

// naive is Since by looking at everything.
func naive(old, now []store.Entry) Delta {
	var d Delta
	find := func(list []store.Entry, uid store.UID) int {
		return slices.IndexFunc(list, func(e store.Entry) bool { return e.UID == uid })
	}
	for i, e := range old {
		if k := find(now, e.UID); k < 0 {
			d.Expunged = append(d.Expunged, i)
		} else if now[k].ModSeq > e.ModSeq {
			d.Changed = append(d.Changed, now[k])
		}
	}
	for _, e := range now {
		if find(old, e.UID) < 0 {
			d.Arrived = append(d.Arrived, e)
		}
	}
	return d
}

func TestSnapshotsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	m := &model{r: rand.New(rand.NewPCG(seed, 1)), next: 1}
	now := newSnapshot(store.Index{})
	type kept struct {
		s       *Snapshot
		entries []store.Entry
	}
	history := []kept{{now, nil}}
	for step := range 60 {
		now = now.apply(m.change())
		history = append(history, kept{now, slices.Clone(m.entries)})
		for _, k := range history {
			if !slices.Equal(entriesOf(k.s), k.entries) {
				t.Fatalf("seed %d step %d: a snapshot of %d entries changed", seed, step, len(k.entries))
			}
		}
	}
	for range 40 {
		a := m.r.IntN(len(history))
		b := a + m.r.IntN(len(history)-a)
		got, want := history[b].s.Since(history[a].s), naive(history[a].entries, history[b].entries)
		if !slices.Equal(got.Expunged, want.Expunged) || !slices.Equal(got.Changed, want.Changed) || !slices.Equal(got.Arrived, want.Arrived) {
			t.Fatalf("seed %d: difference from %d to %d is wrong", seed, a, b)
		}
	}
	for i, e := range m.entries {
		if at, ok := now.Find(e.UID); !ok || at != i {
			t.Fatalf("seed %d: UID %d is at %d, not %d", seed, e.UID, at, i)
		}
	}
}

func TestABranchLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	m := &model{r: rand.New(rand.NewPCG(seed, 2)), next: 1}
	head := newSnapshot(store.Index{})
	for range 20 {
		base, before := head, slices.Clone(m.entries)
		c := m.change()
		branch := base.With(c.Changed, c.Arrived)
		copied := entriesOf(branch)
		head = head.apply(c)
		head = head.apply(m.change())
		if !slices.Equal(entriesOf(base), before) || !slices.Equal(entriesOf(branch), copied) || !slices.Equal(entriesOf(head), m.entries) {
			t.Fatalf("seed %d: branches disturb each other", seed)
		}
	}
}

// house is a registry over a real store with one account.
type house struct {
	t       *testing.T
	s       store.Store
	r       *Registry
	account store.Account
	inbox   store.Mailbox
}

func newHouse(t *testing.T, o Options, keepLog int) *house {
	ctx := t.Context()
	s, err := sqlstore.OpenSQLite(ctx, t.TempDir(), sqlstore.Options{SegmentSize: 1 << 20, KeepLog: keepLog})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Directory().AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{{Local: "a", Domain: "example.test"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, s: s, r: NewRegistry(s, o), account: s.Account(id)}
	if h.inbox, err = h.account.FindMailbox(ctx, "INBOX"); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) close() {
	h.r.Close()
	if err := h.s.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *house) append(n int) {
	var items []store.AppendItem
	for range n {
		d, err := h.s.NewDraft(h.t.Context(), 1)
		if err == nil {
			_, err = d.Write([]byte("x"))
		}
		if err != nil {
			h.t.Fatal(err)
		}
		items = append(items, store.AppendItem{Body: d, Meta: []byte("meta"), Internal: time.Now()})
	}
	if _, err := h.account.Append(h.t.Context(), h.inbox.ID, items); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) open() (*Mailbox, func()) {
	m, release, err := h.r.Open(h.t.Context(), h.account.ID(), h.inbox.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return m, release
}

func (h *house) flag(f store.Flags, op store.FlagOp) {
	_, err := h.account.SetFlags(h.t.Context(), h.inbox.ID, store.FlagUpdate{UIDs: []store.UIDRange{{First: 1, Last: 1 << 31}}, Op: op, Flags: f})
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestSubscribersHearOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 0)
		defer h.close()
		m, release := h.open()
		defer release()
		heard := 0
		sub := m.Subscribe(func() { heard++ })
		h.append(3)
		synctest.Wait()
		if heard == 0 || m.Snapshot().Len() != 3 {
			t.Fatalf("heard %d times, %d messages", heard, m.Snapshot().Len())
		}
		sub.Close()
		before := heard
		h.append(1)
		synctest.Wait()
		if heard != before {
			t.Error("heard after Close")
		}
	})
}

func TestAMailboxIsSharedAndKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{KeepFor: time.Minute}, 0)
		defer h.close()
		h.append(2)
		a, releaseA := h.open()
		b, releaseB := h.open()
		if a != b {
			t.Error("two mailboxes for one")
		}
		releaseA()
		releaseA() // once is enough
		releaseB()
		h.append(1)
		c, release := h.open()
		if c != a || c.Snapshot().Len() != 3 {
			t.Errorf("the mailbox was not kept, or has %d messages", c.Snapshot().Len())
		}
		release()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d, release := h.open()
		defer release()
		if d == a {
			t.Error("the mailbox was kept too long")
		}
	})
}

func TestClosedMailboxesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{Keep: 10}, 0)
		defer h.close()
		h.append(8)
		first, release := h.open()
		release()
		time.Sleep(time.Second)
		other, err := h.account.FindMailbox(t.Context(), "Sent")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.account.Copy(t.Context(), h.inbox.ID, []store.UIDRange{{First: 1, Last: 8}}, other.ID); err != nil {
			t.Fatal(err)
		}
		_, release, err = h.r.Open(t.Context(), h.account.ID(), other.ID)
		if err != nil {
			t.Fatal(err)
		}
		release()
		again, release := h.open()
		defer release()
		if again == first {
			t.Error("16 entries are kept, 10 are allowed")
		}
	})
}

func TestAPrunedLogMeansReadingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 1)
		defer h.close()
		h.append(3)
		m, release := h.open()
		old := m.Snapshot()
		release()
		for range 10 {
			h.flag(store.FlagSeen, store.FlagsAdd)
			h.flag(store.FlagSeen, store.FlagsRemove)
		}
		h.flag(store.FlagFlagged, store.FlagsAdd)
		m, release = h.open()
		defer release()
		d := m.Snapshot().Since(old)
		if len(d.Changed) != 3 || d.Changed[0].Flags != store.FlagFlagged || len(d.Arrived)+len(d.Expunged) != 0 {
			t.Errorf("%+v", d)
		}
	})
}

func TestADeletedMailboxIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 0)
		defer h.close()
		mb, err := h.account.CreateMailbox(t.Context(), "x", store.RoleNone)
		if err != nil {
			t.Fatal(err)
		}
		m, release, err := h.r.Open(t.Context(), h.account.ID(), mb.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.account.DeleteMailbox(t.Context(), mb.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !m.Snapshot().Gone {
			t.Error("nobody noticed")
		}
		release()
		if _, _, err := h.r.Open(t.Context(), h.account.ID(), mb.ID); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestRecentIsClaimedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 0)
		defer h.close()
		h.append(2)
		m, release := h.open()
		defer release()
		claim := func(first, last store.UID) {
			t.Helper()
			got, s, err := m.TakeRecent(t.Context())
			if err != nil || got != first || s.Last() != last {
				t.Errorf("claimed %d:%d, %v, not %d:%d", got, s.Last(), err, first, last)
			}
		}
		claim(1, 2)
		claim(3, 2)
		h.append(1)
		synctest.Wait()
		claim(3, 3)
		claim(4, 3)
	})
}

func TestStructuresOfARangeAreReadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 0)
		defer h.close()
		h.append(40)
		m, release := h.open()
		defer release()
		told := m.Snapshot()
		if _, _, err := h.account.Expunge(t.Context(), h.inbox.ID, []store.UIDRange{{First: 3, Last: 3}}, false); err != nil {
			t.Fatal(err)
		}
		archive, err := h.account.FindMailbox(t.Context(), "Archive")
		if err == nil {
			_, err = h.account.Move(t.Context(), h.inbox.ID, []store.UIDRange{{First: 5, Last: 5}}, archive.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		metas, err := m.Metas(t.Context(), entriesOf(told))
		if err != nil || len(metas) != 39 { // what moved is still there, what is expunged is not
			t.Errorf("%d structures, %v", len(metas), err)
		}
		if metas[told.At(2).Message] != nil || string(metas[told.At(4).Message]) != "meta" {
			t.Error("the wrong ones are missing")
		}
		seen := 0
		err = m.MetasIn(t.Context(), SpanOf(0), func(uid store.UID, id store.MessageID, _ []byte) error {
			if at, ok := told.Find(uid); !ok || told.At(at).Message != id {
				t.Errorf("UID %d is message %d", uid, id)
			}
			seen++
			return nil
		})
		if err != nil || seen != 38 {
			t.Errorf("%d messages, %v", seen, err)
		}
	})
}

func TestStructuresAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{Structures: 4 * (cacheOverhead + 4)}, 0)
		defer h.close()
		h.append(3)
		m, release := h.open()
		defer release()
		asked := []store.Entry{*m.Snapshot().At(0), *m.Snapshot().At(2), {UID: 4, Message: 1 << 40}}
		for range 2 {
			metas, err := m.Metas(t.Context(), asked)
			if err != nil || len(metas) != 2 || string(metas[asked[1].Message]) != "meta" {
				t.Errorf("%v %v", metas, err)
			}
		}
		broken, stop := context.WithCancel(t.Context())
		stop()
		if _, err := m.Metas(broken, asked[:2]); err != nil {
			t.Error("read again:", err)
		}
		if n := len(m.metas.young) + len(m.metas.old); n > 4 {
			t.Errorf("%d structures are kept", n)
		}
	})
}

func TestStructuresOfExpungedMessagesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Options{}, 0)
		defer h.close()
		h.append(40)
		m, release := h.open()
		defer release()
		if _, err := m.Metas(t.Context(), entriesOf(m.Snapshot())); err != nil {
			t.Fatal(err)
		}
		full := m.metas.size
		if _, _, err := h.account.Expunge(t.Context(), h.inbox.ID, []store.UIDRange{{First: 1, Last: 39}}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(m.metas.young) + len(m.metas.old); n != 1 || m.metas.size != full/40 {
			t.Errorf("%d structures, %d of %d octets are kept", n, m.metas.size, full)
		}
	})
}
