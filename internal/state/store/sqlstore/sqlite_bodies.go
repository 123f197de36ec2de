package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// segmentBodies keeps large bodies in segment files (state/blob).
type segmentBodies struct {
	s        *Store
	segments *blob.Segments
	failed   func(error) // ends writing to the store
	// The rest belongs to the writer. early gathers what deliveries bring, so
	// that it is synced while their rows are written; late what functions add.
	early, late *blob.Batch
	attempt     int64
	live        map[int64]int64 // octets in use, per segment, not written yet
}

func (e *sqliteEngine) openBodies(ctx context.Context) error {
	files := e.s.o.files
	if files == nil {
		var err error
		if files, err = blob.Dir(filepath.Join(e.dir, "bodies")); err != nil {
			return err
		}
	}
	var tails []blob.Tail
	if err := e.read(ctx, func(t tx) error { return readTails(t, &tails) }); err != nil {
		return err
	}
	segments, err := blob.Open(files, e.s.o.SegmentSize, tails, e.s.o.Log)
	if err != nil {
		return err
	}
	e.bodies = &segmentBodies{s: e.s, failed: e.writer.fail, segments: segments, early: segments.NewBatch(), late: segments.NewBatch(), live: map[int64]int64{}}
	e.s.bodies = e.bodies
	return nil
}

// readTails finds how far each segment is in use.
func readTails(t tx, tails *[]blob.Tail) error {
	err := t.query(`SELECT id FROM segment ORDER BY id`, nil, func(r row) error {
		*tails = append(*tails, blob.Tail{Segment: r.int(0)})
		return nil
	})
	for i := range *tails {
		tail := &(*tails)[i]
		for _, query := range []string{
			`SELECT start + length FROM blob WHERE segment = ? ORDER BY start DESC LIMIT 1`,
			`SELECT start + length FROM blob_part WHERE segment = ? ORDER BY start DESC LIMIT 1`,
		} {
			if err != nil {
				return err
			}
			_, err = one(t, query, []any{tail.Segment}, func(r row) error {
				tail.End = max(tail.End, r.int(0))
				return nil
			})
		}
	}
	return err
}

// NewStream implements blob.Spiller.
func (b *segmentBodies) NewStream(size int64) (blob.Spill, error) {
	w, err := b.segments.NewStream(size)
	return w, b.noticed(err)
}

// noticed classifies an error of body files met outside the writer. After a
// failed sync nothing is accepted any more, not even what needs no body file.
func (b *segmentBodies) noticed(err error) error {
	err = classifySQLite(err)
	if errors.Is(err, blob.ErrFailed) {
		b.failed(err)
	}
	return err
}

func (b *segmentBodies) inline(lone bool) int64 {
	if lone {
		return inlineLimitLone
	}
	return inlineLimit
}

// placeAll writes the bodies of a batch's deliveries and begins to sync them.
// The function returned waits for that; the commit must not come before.
func (b *segmentBodies) placeAll(batch []*operation, lone bool) (wait func() error, err error) {
	b.attempt++
	for _, op := range batch {
		if d := op.delivery; d != nil {
			if mem, ok := d.body.Memory(); ok && int64(len(mem)+longestHead(d.a)) <= b.inline(lone) {
				continue
			}
			if err := b.place(b.early, d.body); err != nil {
				return noWait, err
			}
		}
	}
	if b.early.Empty() {
		return noWait, nil
	}
	done := make(chan error, 1)
	go func() { done <- b.early.Sync() }()
	return func() error { return <-done }, nil
}

func noWait() error { return nil }

// place makes a draft part of what a batch syncs.
func (b *segmentBodies) place(batch *blob.Batch, d *draft) error {
	if stream, ok := d.Spilled().(*blob.Stream); ok {
		d.places = stream.Places()
		for _, p := range d.places {
			batch.Include(p.Segment)
		}
	} else {
		mem, _ := d.Memory()
		p, err := batch.Add(mem)
		if err != nil {
			return err
		}
		d.places = append(d.room[:0], p)
	}
	d.attempt = b.attempt
	return nil
}

func (b *segmentBodies) add(t *txn, d *draft, refs int) (int64, error) {
	if d.attempt != b.attempt {
		if err := b.place(b.late, d); err != nil {
			return 0, err
		}
	}
	id, err := t.newID("blob")
	if err != nil {
		return 0, err
	}
	first := d.places[0]
	err = t.put(insertBlob, id, refs, d.Size(), d.Uneven(), first.Segment, first.Start, first.Length)
	for i, p := range d.places {
		b.live[p.Segment] += p.Length
		if err == nil && i > 0 {
			err = t.put(`INSERT INTO blob_part (blob_id, part, segment, start, length) VALUES (?, ?, ?, ?, ?)`,
				id, i, p.Segment, p.Start, p.Length)
		}
	}
	return id, err
}

// sync makes durable what functions added.
func (b *segmentBodies) sync() error {
	if b.late.Empty() {
		return nil
	}
	return b.late.Sync()
}

// reset forgets an attempt that failed. What it wrote is dead room.
func (b *segmentBodies) reset() {
	b.late.Abandon()
	b.early.Abandon()
	b.forgetLive()
}

func (b *segmentBodies) forgetLive() { clear(b.live) }

// flushLive writes how much of each segment is in use.
func (b *segmentBodies) flushLive(t *txn) error {
	for id, n := range b.live {
		err := t.put(`INSERT INTO segment (id, live) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET live = segment.live + excluded.live`, id, n)
		if err != nil {
			return err
		}
	}
	clear(b.live)
	return nil
}

// free implements bodies.
func (b *segmentBodies) free(t *txn, id int64) error {
	var places []blob.Place
	keep := func(r row) error {
		places = append(places, blob.Place{Segment: r.int(0), Start: r.int(1), Length: r.int(2)})
		return nil
	}
	err := t.query(`DELETE FROM blob WHERE id = ? RETURNING segment, start, length`, []any{id}, keep)
	if err == nil {
		err = t.query(`DELETE FROM blob_part WHERE blob_id = ? RETURNING segment, start, length`, []any{id}, keep)
	}
	for _, p := range places {
		b.live[p.Segment] -= p.Length
	}
	t.onCommit(func() {
		b.segments.Free(places...)
		b.s.sweeper.kick()
	})
	return err
}

func (b *segmentBodies) pin() pin { return b.segments.Pin() }

// open implements bodies.
func (b *segmentBodies) open(ctx context.Context, p pin, f blobRow) (store.Body, error) {
	places, err := []blob.Place{f.first}, error(nil)
	if f.first.Length < f.size {
		places, err = b.parts(ctx, f.id)
	}
	if err != nil {
		p.Release()
		return nil, err
	}
	body, err := b.segments.Open(p.(*blob.Pin), places)
	if err != nil {
		return nil, fmt.Errorf("blob %d: %w", f.id, classifyRead(err))
	}
	return body, nil
}

// parts reads where a blob lies that has more than one place; ErrNotFound.
func (b *segmentBodies) parts(ctx context.Context, id int64) ([]blob.Place, error) {
	var places []blob.Place
	err := b.s.read(ctx, func(t tx) error {
		var err error
		places, err = placesOf(t, id)
		return err
	})
	if err == nil && len(places) == 0 {
		err = fmt.Errorf("blob %d: %w", id, store.ErrNotFound)
	}
	return places, err
}

// placesOf reads where a blob lies.
func placesOf(t tx, id int64) ([]blob.Place, error) {
	var places []blob.Place
	err := t.query(`SELECT 0 AS part, segment, start, length FROM blob WHERE id = ?
		UNION ALL SELECT part, segment, start, length FROM blob_part WHERE blob_id = ? ORDER BY part`,
		[]any{id, id}, func(r row) error {
			places = append(places, blob.Place{Segment: r.int(1), Start: r.int(2), Length: r.int(3)})
			return nil
		})
	return places, err
}

func (b *segmentBodies) written() int64 {
	n, _ := b.segments.Counts()
	return n
}

func (b *segmentBodies) close() error { return b.segments.Close() }
