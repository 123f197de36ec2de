package sqlstore

import (
	"fmt"
	"io"

	"posthorn/internal/state/blob"
)

// Bounds of one step of compaction.
const (
	compactBlobs  = 32
	compactOctets = 4 << 20
)

// sparse is the part of a segment that must be in use, else the rest moves. It
// is measured by the file: on a nearly full disk segments are small.
const sparse = 4

// tidy implements bodies: it gives freed room back, removes segments that hold
// nothing, and moves what is left in mostly empty ones.
func (b *segmentBodies) tidy() (more bool, err error) {
	if more, err := b.segments.Reclaim(); more || err != nil {
		return more, b.noticed(err)
	}
	id, err := b.sparsest()
	if err != nil || id == 0 {
		return false, err
	}
	moved, err := b.move(id)
	if err != nil || moved {
		return moved, err
	}
	return true, b.removeSegment(id)
}

// sparsest returns a segment that is mostly empty, of those that nobody uses the
// one with the least in use; 0 for none. The active one is left out.
func (b *segmentBodies) sparsest() (id int64, err error) {
	active := b.segments.Active()
	var ids, live []int64
	err = b.s.read(b.s.sweeper.ctx, func(t tx) error {
		ids, live = ids[:0], live[:0]
		return t.query(`SELECT id, live FROM segment WHERE id <> ? AND live <= ? ORDER BY live, id`, []any{active, b.s.o.SegmentSize / sparse}, func(r row) error {
			ids, live = append(ids, r.int(0)), append(live, r.int(1))
			return nil
		})
	})
	for i, id := range ids {
		if err != nil {
			return 0, err
		}
		if b.segments.Held(id) {
			continue
		}
		var size int64
		if size, err = b.segments.Size(id); err == nil && live[i]*sparse <= size {
			return id, nil
		}
	}
	return 0, err
}

func (b *segmentBodies) removeSegment(id int64) error {
	return b.s.remove(b.s.sweeper.ctx, func(t *txn) error {
		n, err := t.exec(`DELETE FROM segment WHERE id = ? AND NOT EXISTS (SELECT 1 FROM blob WHERE segment = ?)
			AND NOT EXISTS (SELECT 1 FROM blob_part WHERE segment = ?)`, id, id, id)
		if err == nil && n == 0 {
			err = fmt.Errorf("segment %d is still in use", id)
		}
		t.onCommit(func() { b.segments.Remove(id) })
		return err
	})
}

// stretch is a place with the row that names it; part 0 is the blob row.
type stretch struct {
	blob, part int64
	from       blob.Place
	to         *blob.Stream
}

// move copies some of a segment's bodies to the active segment and reports
// whether there were any.
func (b *segmentBodies) move(segment int64) (bool, error) {
	list, err := b.stretches(segment)
	if err != nil || len(list) == 0 {
		return false, err
	}
	err = b.noticed(b.copyAll(list))
	var moved []bool
	if err == nil {
		err = b.s.remove(b.s.sweeper.ctx, func(t *txn) error {
			moved = make([]bool, len(list))
			for i, x := range list {
				var err error
				if moved[i], err = b.rename(t, x); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i, x := range list {
		switch {
		case x.to == nil:
		case err == nil && moved[i]:
			x.to.Settle()
			b.segments.Free(x.from)
		default:
			x.to.Discard()
		}
	}
	return true, err
}

// stretches reads the first bodies of a segment, up to the bounds of a step.
func (b *segmentBodies) stretches(segment int64) ([]stretch, error) {
	var list []stretch
	err := b.s.read(b.s.sweeper.ctx, func(t tx) error {
		list = list[:0]
		octets := int64(0)
		return t.query(`SELECT id, 0, start, length FROM blob WHERE segment = ?
			UNION ALL SELECT blob_id, part, start, length FROM blob_part WHERE segment = ? LIMIT ?`,
			[]any{segment, segment, compactBlobs}, func(r row) error {
				if len(list) > 0 && octets+r.int(3) > compactOctets {
					return nil
				}
				octets += r.int(3)
				list = append(list, stretch{blob: r.int(0), part: r.int(1), from: blob.Place{Segment: segment, Start: r.int(2), Length: r.int(3)}})
				return nil
			})
	})
	return list, err
}

// copyAll writes the stretches anew and makes them durable.
func (b *segmentBodies) copyAll(list []stretch) error {
	for i := range list {
		x := &list[i]
		spill, err := b.segments.NewStream(x.from.Length)
		if err != nil {
			return err
		}
		x.to = spill.(*blob.Stream)
		old, err := b.segments.Open(b.segments.Pin(), []blob.Place{x.from})
		if err != nil {
			return err
		}
		_, err = io.Copy(x.to, io.NewSectionReader(old, 0, old.Size()))
		if e := old.Close(); err == nil {
			err = e
		}
		if err == nil {
			err = x.to.Finish()
		}
		if err == nil && len(x.to.Places()) != 1 {
			err = fmt.Errorf("blob %d did not fit one stretch", x.blob)
		}
		if err != nil {
			return err
		}
	}
	for _, x := range list {
		if err := b.segments.Sync(x.to.Places()[0].Segment); err != nil {
			return err
		}
	}
	return nil
}

// rename makes the row name the copy; false when the body went meanwhile.
func (b *segmentBodies) rename(t *txn, x stretch) (bool, error) {
	to := x.to.Places()[0]
	var n int64
	var err error
	if x.part == 0 {
		n, err = t.exec(`UPDATE blob SET segment = ?, start = ? WHERE id = ? AND segment = ? AND start = ?`,
			to.Segment, to.Start, x.blob, x.from.Segment, x.from.Start)
	} else {
		n, err = t.exec(`UPDATE blob_part SET segment = ?, start = ? WHERE blob_id = ? AND part = ? AND segment = ? AND start = ?`,
			to.Segment, to.Start, x.blob, x.part, x.from.Segment, x.from.Start)
	}
	if err != nil || n == 0 {
		return false, err
	}
	b.live[to.Segment] += to.Length
	b.live[x.from.Segment] -= x.from.Length
	return true, nil
}
