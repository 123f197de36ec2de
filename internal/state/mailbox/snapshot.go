package mailbox

import (
	"cmp"
	"slices"

	"posthorn/internal/state/store"
)

// chunkSize is how many entries share one piece of memory (12 KB): the cost
// of a change in a mailbox of any size.
const chunkSize = 256

// Snapshot is a mailbox at one moment. It never changes, so that any number
// of readers may keep it, and later ones share what did not change with it.
// An entry is 48 octets.
type Snapshot struct {
	ID          store.MailboxID
	UIDValidity uint32
	// Keywords are the names behind the flag bits from store.FirstKeyword on.
	// Later snapshots only add to them.
	Keywords []string
	// Cursor is how far the snapshot knows the mailbox's changes.
	Cursor store.Cursor
	// Gone says that the mailbox was deleted; the entries are those before.
	Gone bool

	chunks []chunk
	n      int
}

// chunk is a run of entries and the index of its first.
type chunk struct {
	start   int
	entries []store.Entry // never empty
}

// newSnapshot makes the first snapshot of what the store read.
func newSnapshot(x store.Index) *Snapshot {
	s := &Snapshot{
		ID: x.Mailbox.ID, UIDValidity: x.Mailbox.UIDValidity,
		Keywords: slices.Clip(x.Mailbox.Keywords), Cursor: x.Cursor,
	}
	for part := range slices.Chunk(x.Entries, chunkSize) {
		s.chunks = append(s.chunks, chunk{s.n, part})
		s.n += len(part)
	}
	return s
}

// Len returns the number of messages.
func (s *Snapshot) Len() int { return s.n }

// At returns the entry at index i, which must be in 0..Len-1. The caller must
// not change it.
func (s *Snapshot) At(i int) *store.Entry {
	c := &s.chunks[s.chunkOf(i)]
	return &c.entries[i-c.start]
}

func (s *Snapshot) chunkOf(i int) int {
	k, found := slices.BinarySearchFunc(s.chunks, i, func(c chunk, i int) int { return cmp.Compare(c.start, i) })
	if !found {
		k--
	}
	return k
}

// Lower returns the index of the first message whose UID is at least uid.
func (s *Snapshot) Lower(uid store.UID) int {
	k, found := slices.BinarySearchFunc(s.chunks, uid, func(c chunk, uid store.UID) int { return cmp.Compare(c.entries[0].UID, uid) })
	switch {
	case found:
		return s.chunks[k].start
	case k == 0:
		return 0
	}
	c := &s.chunks[k-1]
	i, _ := find(c.entries, uid)
	return c.start + i
}

// Find returns the index of the message with the UID.
func (s *Snapshot) Find(uid store.UID) (int, bool) {
	i := s.Lower(uid)
	return i, i < s.n && s.At(i).UID == uid
}

func find(entries []store.Entry, uid store.UID) (int, bool) {
	return slices.BinarySearchFunc(entries, uid, func(e store.Entry, uid store.UID) int { return cmp.Compare(e.UID, uid) })
}

// Last returns the greatest UID, 0 in an empty mailbox.
func (s *Snapshot) Last() store.UID {
	if s.n == 0 {
		return 0
	}
	return s.At(s.n - 1).UID
}

// Range calls fn for the entries from index lo to hi-1 until it returns false.
func (s *Snapshot) Range(lo, hi int, fn func(i int, e *store.Entry) bool) {
	if lo >= hi {
		return
	}
	for k := s.chunkOf(lo); k < len(s.chunks) && s.chunks[k].start < hi; k++ {
		c := &s.chunks[k]
		for j := max(0, lo-c.start); j < len(c.entries) && c.start+j < hi; j++ {
			if !fn(c.start+j, &c.entries[j]) {
				return
			}
		}
	}
}

// With returns a snapshot in which the changed entries replace those of the
// same UID and the arrived ones, in UID order, follow. s stays as it is.
func (s *Snapshot) With(changed, arrived []store.Entry) *Snapshot {
	next := s.branch()
	for i := range next.chunks {
		next.chunks[i].entries = slices.Clip(next.chunks[i].entries) // grow nothing that s shares
	}
	next.replace(changed)
	next.arrive(arrived)
	return next
}

// branch copies the table of chunks, not the entries.
func (s *Snapshot) branch() *Snapshot {
	next := *s
	next.chunks = slices.Clone(s.chunks)
	return &next
}

// replace puts changed entries, in UID order or not, into copies of their chunks.
func (s *Snapshot) replace(changed []store.Entry) {
	copied := -1
	for _, e := range changed {
		i, ok := s.Find(e.UID)
		if !ok || s.At(i).ModSeq >= e.ModSeq {
			continue
		}
		k := s.chunkOf(i)
		c := &s.chunks[k]
		if k != copied {
			c.entries = slices.Clone(c.entries)
			copied = k
		}
		c.entries[i-c.start] = e
	}
}

// arrive adds entries behind the last. It may grow the last chunk in place:
// older snapshots do not see beyond their own end of it.
func (s *Snapshot) arrive(arrived []store.Entry) {
	last := s.Last()
	for _, e := range arrived {
		if e.UID <= last {
			continue
		}
		last = e.UID
		k := len(s.chunks) - 1
		if k < 0 || len(s.chunks[k].entries) >= chunkSize {
			s.chunks = append(s.chunks, chunk{start: s.n})
			k++
		}
		c := &s.chunks[k]
		c.entries = append(c.entries, e)
		s.n++
	}
}

// expunge takes messages out.
func (s *Snapshot) expunge(uids []store.UID) {
	if len(uids) == 0 {
		return
	}
	gone := make(map[int][]store.UID)
	for _, uid := range uids {
		if i, ok := s.Find(uid); ok {
			k := s.chunkOf(i)
			gone[k] = append(gone[k], uid)
		}
	}
	kept := s.chunks[:0]
	s.n = 0
	for k, c := range s.chunks {
		if g := gone[k]; g != nil {
			c.entries = without(c.entries, g)
		}
		if len(c.entries) == 0 {
			continue
		}
		c.start = s.n
		s.n += len(c.entries)
		kept = append(kept, c)
	}
	s.chunks = kept
}

// without copies the entries whose UIDs are not listed.
func without(entries []store.Entry, uids []store.UID) []store.Entry {
	slices.Sort(uids)
	out := make([]store.Entry, 0, len(entries))
	for _, e := range entries {
		if _, gone := slices.BinarySearch(uids, e.UID); !gone {
			out = append(out, e)
		}
	}
	return out
}

// messages are those of the UIDs that are in the snapshot.
func (s *Snapshot) messages(uids []store.UID) []store.MessageID {
	var ids []store.MessageID
	for _, uid := range uids {
		if i := s.Lower(uid); i < s.Len() && s.At(i).UID == uid {
			ids = append(ids, s.At(i).Message)
		}
	}
	return ids
}

// apply returns the snapshot after the changes the store told.
func (s *Snapshot) apply(c store.Changes) *Snapshot {
	next := s.branch()
	next.replace(c.Changed)
	next.expunge(c.Expunged)
	next.arrive(c.Arrived)
	next.Cursor, next.Gone = c.Cursor, c.Gone
	if len(c.Keywords) > len(next.Keywords) {
		next.Keywords = slices.Clip(c.Keywords)
	}
	if c.Gone {
		next.Cursor = s.Cursor
	}
	return next
}
