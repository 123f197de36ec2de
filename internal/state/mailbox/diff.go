package mailbox

import "posthorn/internal/state/store"

// Delta is what happened to a mailbox between two snapshots.
type Delta struct {
	// Expunged are indexes in the older snapshot, ascending.
	Expunged []int
	// Changed are entries of messages in both whose modseq is greater in the
	// later one.
	Changed []store.Entry
	// Arrived are the messages only the later snapshot has, in UID order.
	Arrived []store.Entry
}

// IsEmpty reports that nothing happened.
func (d *Delta) IsEmpty() bool {
	return len(d.Expunged) == 0 && len(d.Changed) == 0 && len(d.Arrived) == 0
}

// Since tells what happened between old and s. It looks only at the chunks
// that the two do not share, so that it costs what changed.
func (s *Snapshot) Since(old *Snapshot) Delta {
	var d Delta
	if s == old {
		return d
	}
	a, b := reader{s: old}, reader{s: s}
	for {
		if skipped := a.skipShared(&b); skipped {
			continue
		}
		x, y := a.entry(), b.entry()
		switch {
		case x == nil && y == nil:
			return d
		case x != nil && (y == nil || x.UID < y.UID):
			d.Expunged = append(d.Expunged, a.index())
			a.next()
		case x == nil || y.UID < x.UID:
			d.Arrived = append(d.Arrived, *y)
			b.next()
		default:
			if y.ModSeq > x.ModSeq {
				d.Changed = append(d.Changed, *y)
			}
			a.next()
			b.next()
		}
	}
}

// reader walks over a snapshot.
type reader struct {
	s    *Snapshot
	k, j int // chunk, entry in it
}

func (r *reader) entry() *store.Entry {
	if r.k == len(r.s.chunks) {
		return nil
	}
	return &r.s.chunks[r.k].entries[r.j]
}

func (r *reader) index() int { return r.s.chunks[r.k].start + r.j }

func (r *reader) next() { r.advance(1) }

func (r *reader) advance(n int) {
	if r.j += n; r.j == len(r.s.chunks[r.k].entries) {
		r.k, r.j = r.k+1, 0
	}
}

// skipShared passes over entries that both snapshots have in the same memory.
func (r *reader) skipShared(o *reader) bool {
	x, y := r.entry(), o.entry()
	if x == nil || x != y {
		return false
	}
	n := min(len(r.s.chunks[r.k].entries)-r.j, len(o.s.chunks[o.k].entries)-o.j)
	r.advance(n)
	o.advance(n)
	return true
}

// UIDs returns the UIDs at ascending indexes of s. Neighbours in s become one
// range: a UID between them is never used again.
func (s *Snapshot) UIDs(indexes []int) []store.UIDRange {
	var out []store.UIDRange
	for n, i := range indexes {
		uid := s.At(i).UID
		if n > 0 && indexes[n-1]+1 == i {
			out[len(out)-1].Last = uid
			continue
		}
		out = append(out, store.UIDRange{First: uid, Last: uid})
	}
	return out
}
