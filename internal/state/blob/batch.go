package blob

// batchBuffer is how much of a batch is put together for one write.
const batchBuffer = 1 << 20

// Batch gathers small bodies that one commit will refer to, so that they are
// written together and synced once. It belongs to one goroutine.
type Batch struct {
	s       *Segments
	buf     []byte
	at      Place // the reserved stretch the buffer belongs to
	seg     *segment
	touched []int64
}

// NewBatch returns an empty batch, to be used again after each Sync.
func (s *Segments) NewBatch() *Batch { return &Batch{s: s} }

// Add takes a copy of p and says where it will lie.
func (b *Batch) Add(p []byte) (Place, error) {
	n := int64(len(p))
	if b.seg != nil && int64(len(b.buf))+n > batchBuffer {
		if err := b.flush(); err != nil {
			return Place{}, err
		}
	}
	if b.seg == nil || !b.extend(n) {
		if err := b.flush(); err != nil {
			return Place{}, err
		}
		g, at, err := b.s.reserve(n)
		if err != nil {
			return Place{}, err
		}
		b.seg, b.at = g, at
		b.Include(g.id)
	}
	place := Place{b.at.Segment, b.at.Start + int64(len(b.buf)), n}
	b.buf = append(b.buf, p...)
	return place, nil
}

// extend lengthens the stretch in place if nothing was put behind it.
func (b *Batch) extend(n int64) bool {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	g := b.seg
	if g.next != b.at.Start+b.at.Length || g.next+n > g.limit {
		return false
	}
	g.next += n
	b.at.Length += n
	return true
}

// Include makes Sync cover a segment a stream wrote to.
func (b *Batch) Include(id int64) {
	for _, have := range b.touched {
		if have == id {
			return
		}
	}
	b.touched = append(b.touched, id)
}

func (b *Batch) flush() error {
	if b.seg == nil {
		return nil
	}
	err := b.s.write(b.seg, b.at.Start, b.buf)
	b.s.mu.Lock()
	b.s.release(b.seg)
	b.s.mu.Unlock()
	b.seg, b.buf = nil, b.buf[:0]
	return err
}

// Sync writes and syncs everything added or included, and empties the batch.
func (b *Batch) Sync() error {
	if err := b.flush(); err != nil {
		b.touched = b.touched[:0]
		return err
	}
	err := b.s.Sync(b.touched...)
	b.touched = b.touched[:0]
	return err
}

// Empty reports that Sync has nothing to do.
func (b *Batch) Empty() bool { return b.seg == nil && len(b.touched) == 0 }

// Abandon empties a batch that will not be referred to. The octets stay as
// dead room.
func (b *Batch) Abandon() {
	if b.seg != nil {
		b.s.mu.Lock()
		b.s.release(b.seg)
		b.s.mu.Unlock()
	}
	b.seg, b.buf, b.touched = nil, b.buf[:0], b.touched[:0]
}
