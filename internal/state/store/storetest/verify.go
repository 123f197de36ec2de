package storetest

import (
	"reflect"
	"slices"

	"posthorn/internal/state/store"
)

// verify recounts everything an account says of itself.
func (e *env) verify(a store.Account) {
	e.t.Helper()
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	var sum store.Usage
	names, validities := map[string]bool{}, map[uint32]string{}
	for i, b := range list {
		if i > 0 && list[i-1].Name >= b.Name || names[b.Name] {
			e.t.Fatalf("mailbox %q is listed after %q", b.Name, list[i-1].Name)
		}
		if other, taken := validities[b.UIDValidity]; taken || b.UIDValidity == 0 {
			e.t.Fatalf("UIDVALIDITY %d of %q belongs to %q, too", b.UIDValidity, b.Name, other)
		}
		names[b.Name], validities[b.UIDValidity] = true, b.Name
		x := e.index(a, b.ID)
		if !reflect.DeepEqual(trim(x.Mailbox), trim(b)) {
			e.t.Fatalf("Index says %+v, Mailboxes %+v", x.Mailbox, b)
		}
		e.recount(x)
		sum.Bytes += b.Size
		sum.Messages += int64(b.Messages)
	}
	u, err := a.Usage(e.ctx)
	e.must(err)
	if u.Bytes != sum.Bytes || u.Messages != sum.Messages {
		e.t.Fatalf("usage is %+v, the mailboxes hold %d octets in %d messages", u, sum.Bytes, sum.Messages)
	}
}

// recount compares the counts of a mailbox with its entries.
func (e *env) recount(x store.Index) {
	e.t.Helper()
	b, last := x.Mailbox, store.UID(0)
	var c store.Mailbox
	for _, m := range x.Entries {
		if m.UID <= last || m.UID >= b.UIDNext {
			e.t.Fatalf("%s: UID %d after %d, UIDNEXT is %d", b.Name, m.UID, last, b.UIDNext)
		}
		if m.ModSeq > b.HighestModSeq || m.ModSeq == 0 {
			e.t.Fatalf("%s: UID %d has modseq %d, the highest is %d", b.Name, m.UID, m.ModSeq, b.HighestModSeq)
		}
		if m.Flags>>store.FirstKeyword>>len(b.Keywords) != 0 || m.Flags&(1<<store.FirstKeyword-1)&^store.SystemFlags != 0 {
			e.t.Fatalf("%s: UID %d has flags %b with %d keywords", b.Name, m.UID, m.Flags, len(b.Keywords))
		}
		last = m.UID
		c.Messages++
		c.Size += m.Size
		if m.Flags&store.FlagSeen == 0 {
			c.Unseen++
		}
		if m.Flags&store.FlagDeleted != 0 {
			c.Deleted++
		}
	}
	if b.Messages != c.Messages || b.Unseen != c.Unseen || b.Deleted != c.Deleted || b.Size != c.Size {
		e.t.Fatalf("%s: counts %d/%d/%d/%d, recounted %d/%d/%d/%d (messages, unseen, deleted, size)",
			b.Name, b.Messages, b.Unseen, b.Deleted, b.Size, c.Messages, c.Unseen, c.Deleted, c.Size)
	}
	if x.Cursor != (store.Cursor{UIDNext: b.UIDNext, ModSeq: b.HighestModSeq}) {
		e.t.Fatalf("%s: cursor %+v of a mailbox at %d/%d", b.Name, x.Cursor, b.UIDNext, b.HighestModSeq)
	}
}

// trim makes no keywords the same as an empty list.
func trim(b store.Mailbox) store.Mailbox {
	if len(b.Keywords) == 0 {
		b.Keywords = nil
	}
	return b
}

// flagNames reads flags as names, keywords included.
func flagNames(f store.Flags, keywords []string) []string {
	var names []string
	for i, name := range []string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	for i, name := range keywords {
		if f&(1<<(store.FirstKeyword+i)) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// mirror is a mailbox as a client knows it that asks only for changes.
type mirror struct {
	entries  []store.Entry
	keywords []string
	cursor   store.Cursor
}

func mirrorOf(x store.Index) *mirror {
	return &mirror{slices.Clone(x.Entries), x.Mailbox.Keywords, x.Cursor}
}

// follow applies what happened since; it reports false when the mailbox is
// gone or the whole index has to be read again.
func (m *mirror) follow(e *env, a store.Account, id store.MailboxID) bool {
	e.t.Helper()
	c, err := a.ChangesSince(e.ctx, id, m.cursor)
	e.must(err)
	if c.Gone || !c.Complete {
		return false
	}
	m.apply(e, c)
	return true
}

func (m *mirror) apply(e *env, c store.Changes) {
	e.t.Helper()
	if c.Cursor.UIDNext < m.cursor.UIDNext || c.Cursor.ModSeq < m.cursor.ModSeq {
		e.t.Fatalf("the cursor went from %+v back to %+v", m.cursor, c.Cursor)
	}
	for _, x := range c.Changed {
		if x.UID >= m.cursor.UIDNext {
			e.t.Fatalf("UID %d changed, but the cursor is %+v", x.UID, m.cursor)
		}
		i, found := m.find(x.UID)
		if !found {
			e.t.Fatalf("UID %d changed, but it is not in the mailbox", x.UID)
		}
		m.entries[i] = x
	}
	for i, uid := range c.Expunged {
		if i > 0 && uid <= c.Expunged[i-1] {
			e.t.Fatalf("expunged UIDs out of order: %v", c.Expunged)
		}
		at, found := m.find(uid)
		if !found {
			e.t.Fatalf("UID %d expunged, but it is not in the mailbox", uid)
		}
		m.entries = slices.Delete(m.entries, at, at+1)
	}
	last := m.cursor.UIDNext - 1
	for _, x := range c.Arrived {
		if x.UID <= last || x.UID >= c.Cursor.UIDNext {
			e.t.Fatalf("UID %d arrived after %d, before UIDNEXT %d", x.UID, last, c.Cursor.UIDNext)
		}
		last = x.UID
		m.entries = append(m.entries, x)
	}
	m.cursor, m.keywords = c.Cursor, c.Keywords
}

func (m *mirror) find(uid store.UID) (int, bool) {
	return slices.BinarySearchFunc(m.entries, uid, func(x store.Entry, uid store.UID) int { return int(x.UID) - int(uid) })
}

// same fails unless the mirror equals the index.
func (m *mirror) same(e *env, x store.Index) {
	e.t.Helper()
	if m.cursor != x.Cursor || !slices.Equal(m.entries, x.Entries) || !slices.Equal(m.keywords, x.Mailbox.Keywords) {
		e.t.Fatalf("%s: changes lead to %+v %v at %+v,\nthe index is %+v %v at %+v",
			x.Mailbox.Name, m.entries, m.keywords, m.cursor, x.Entries, x.Mailbox.Keywords, x.Cursor)
	}
}
