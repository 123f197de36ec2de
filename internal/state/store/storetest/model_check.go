package storetest

import (
	"maps"
	"slices"
	"strings"

	"posthorn/internal/state/store"
)

// check compares everything that can be seen of every account with the model.
func (m *machine) check() {
	for _, a := range m.accounts {
		m.checkAccount(a)
	}
}

func (m *machine) checkAccount(a *modelAccount) {
	e := m.e
	e.t.Helper()
	list, err := a.handle.Mailboxes(e.ctx)
	e.must(err)
	slices.SortFunc(a.boxes, func(x, y *modelBox) int { return strings.Compare(x.name, y.name) })
	if len(list) != len(a.boxes) {
		e.t.Fatalf("account %d has mailboxes %q, the model %d", a.handle.ID(), names(list), len(a.boxes))
	}
	for i, b := range a.boxes {
		got := list[i]
		if got.ID != b.id || got.Name != b.name || got.Role != b.role || got.UIDValidity != b.validity || got.Subscribed != a.subscribed[b.name] {
			e.t.Fatalf("mailbox %+v, the model has %+v, subscribed %v", got, b, a.subscribed[b.name])
		}
		m.checkBox(a, b)
	}
	subscribed, err := a.handle.Subscriptions(e.ctx)
	e.must(err)
	if want := slices.Sorted(maps.Keys(a.subscribed)); !slices.Equal(subscribed, want) {
		e.t.Fatalf("subscriptions %q, want %q", subscribed, want)
	}
	bytes, messages := a.usage()
	usage, err := a.handle.Usage(e.ctx)
	e.must(err)
	if want := (store.Usage{Bytes: bytes, Messages: messages, LimitBytes: a.limitBytes, LimitMessages: a.limitMessages}); usage != want {
		e.t.Fatalf("usage %+v, want %+v", usage, want)
	}
}

// checkBox compares one mailbox, by its index and by what changed since an old
// look at it.
func (m *machine) checkBox(a *modelAccount, b *modelBox) {
	e := m.e
	e.t.Helper()
	x := e.index(a.handle, b.id)
	e.recount(x)
	if x.Mailbox.UIDNext != b.next || len(x.Entries) != len(b.messages) {
		e.t.Fatalf("%s: UIDNEXT %d with %d messages, the model has %d with %d", b.name, x.Mailbox.UIDNext, len(x.Entries), b.next, len(b.messages))
	}
	if x.Cursor.ModSeq < b.modSeq || b.changed && x.Cursor.ModSeq == b.modSeq {
		e.t.Fatalf("%s: modseq %d after %d, changed %v", b.name, x.Cursor.ModSeq, b.modSeq, b.changed)
	}
	for i := range b.messages {
		m.checkEntry(b, &b.messages[i], x.Entries[i], x.Mailbox.Keywords)
	}
	if len(b.messages) > 0 {
		if first := b.messages[0]; e.octets(a.handle, first.id) != first.body {
			e.t.Fatalf("%s: UID %d reads differently", b.name, first.uid)
		}
	}
	b.modSeq, b.changed = x.Cursor.ModSeq, false
	old := &mirror{slices.Clone(b.old.entries), b.old.keywords, b.old.cursor}
	if !old.follow(e, a.handle, b.id) { // the log is bounded
		b.old = mirrorOf(x)
		return
	}
	old.same(e, x)
	m.checkExpunged(a, b, x)
}

func (m *machine) checkEntry(b *modelBox, want *modelMessage, got store.Entry, keywords []string) {
	m.e.t.Helper()
	flags := map[string]bool{}
	for _, name := range flagNames(got.Flags, keywords) {
		if !strings.HasPrefix(name, `\`) {
			name = strings.ToLower(name)
		}
		flags[name] = true
	}
	if got.UID != want.uid || got.Size != int64(len(want.body)) || got.Internal != want.internal || got.Message != want.id || !maps.Equal(flags, want.flags) {
		m.e.t.Fatalf("%s: entry %+v with %v, the model has %+v", b.name, got, flags, want)
	}
	if want.changed && got.ModSeq <= b.modSeq || !want.changed && got.ModSeq != want.modSeq {
		m.e.t.Fatalf("%s: UID %d has modseq %d, had %d, changed %v; the mailbox had %d", b.name, got.UID, got.ModSeq, want.modSeq, want.changed, b.modSeq)
	}
	want.modSeq, want.changed = got.ModSeq, false
}

// checkExpunged compares ExpungedSince with what the old look knew.
func (m *machine) checkExpunged(a *modelAccount, b *modelBox, x store.Index) {
	e := m.e
	e.t.Helper()
	uids, complete, err := a.handle.ExpungedSince(e.ctx, b.id, b.old.cursor.ModSeq)
	e.must(err)
	if !complete {
		e.t.Fatalf("%s: expunged UIDs do not reach back to %+v", b.name, b.old.cursor)
	}
	listed := func(uid store.UID) bool {
		return slices.ContainsFunc(uids, func(r store.UIDRange) bool { return r.First <= uid && uid <= r.Last })
	}
	for _, was := range b.old.entries {
		_, found := slices.BinarySearchFunc(x.Entries, was.UID, func(m store.Entry, uid store.UID) int { return int(m.UID) - int(uid) })
		if found == listed(was.UID) {
			e.t.Fatalf("%s: UID %d is there: %v, expunged since %+v: %v", b.name, was.UID, found, b.old.cursor, uids)
		}
	}
}
