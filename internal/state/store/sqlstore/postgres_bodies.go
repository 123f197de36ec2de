package sqlstore

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"posthorn/internal/base/event"
	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// chunkSize is the size of a row of blob_chunk.
const chunkSize = 256 << 10

// pendingFor is how long a body may be arriving before it counts as abandoned.
const pendingFor = 24 * time.Hour

// chunkBodies keeps large bodies in rows. What a draft holds in memory goes
// into the body table; PostgreSQL stores it out of line by itself.
type chunkBodies struct {
	e      *pgEngine
	octets atomic.Int64
}

// NewStream implements blob.Spiller.
func (b *chunkBodies) NewStream(int64) (blob.Spill, error) {
	id, err := b.e.ids.next(nil, "blob")
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithTimeout(context.Background(), b.e.s.o.answer)
	defer end()
	_, err = b.e.pool.Exec(ctx, `INSERT INTO blob_pending (blob_id, created) VALUES ($1, $2)`, id, time.Now().UnixMicro())
	if err != nil {
		if ctx.Err() != nil {
			err = overdue(err)
		}
		return nil, classifyPG(err)
	}
	return &chunkStream{b: b, id: id, buf: make([]byte, 0, chunkSize)}, nil
}

func (b *chunkBodies) inline(bool) int64 { return 1 << 20 }

// add implements bodies: it adopts the chunks that were written on the way in,
// if they are all there. They did not wait for the disk, so a crash of the
// database in the meantime may have taken some.
func (b *chunkBodies) add(t *txn, d *draft, refs int) (int64, error) {
	w, ok := d.Spilled().(*chunkStream)
	if !ok {
		return b.adopt(t, d, refs)
	}
	var pending, have int64
	_, err := one(t, `WITH gone AS (DELETE FROM blob_pending WHERE blob_id = ? RETURNING 1)
		SELECT (SELECT COUNT(*) FROM gone), (SELECT COALESCE(SUM(octet_length(data)), 0) FROM blob_chunk WHERE blob_id = ?)`,
		[]any{w.id, w.id}, func(r row) error {
			pending, have = r.int(0), r.int(1)
			return nil
		})
	switch {
	case err != nil:
		return 0, err
	case pending == 0:
		return 0, fmt.Errorf("blob %d was given up as abandoned", w.id)
	case have != d.Size():
		return 0, fmt.Errorf("blob %d: %d of %d octets are there, the others were lost in a crash of the database", w.id, have, d.Size())
	}
	return w.id, t.put(insertBlob, w.id, refs, d.Size(), d.Uneven(), 0, 0, d.Size())
}

// adopt stores a draft from memory whose heads are too large to go inline.
func (b *chunkBodies) adopt(t *txn, d *draft, refs int) (int64, error) {
	id, err := t.newID("blob")
	if err != nil {
		return 0, err
	}
	mem, _ := d.Memory()
	if err := t.put(`INSERT INTO blob_chunk (blob_id, chunk, data) VALUES (?, 0, ?)`, id, mem); err != nil {
		return 0, err
	}
	return id, t.put(insertBlob, id, refs, d.Size(), d.Uneven(), 0, 0, d.Size())
}

func (b *chunkBodies) free(t *txn, id int64) error {
	if err := t.put(`DELETE FROM blob WHERE id = ?`, id); err != nil {
		return err
	}
	return t.put(`DELETE FROM blob_chunk WHERE blob_id = ?`, id)
}

// pin implements bodies. A body deleted while it is read ends with an error.
func (b *chunkBodies) pin() pin { return noPin{} }

type noPin struct{}

func (noPin) Release() {}

func (b *chunkBodies) open(_ context.Context, _ pin, f blobRow) (store.Body, error) {
	return &chunkBody{b: b, id: f.id, size: f.size, have: -1}, nil
}

// tidy removes bodies that never arrived.
func (b *chunkBodies) tidy() (more bool, err error) {
	ctx := b.e.s.sweeper.ctx
	var id int64
	err = b.e.read(ctx, func(t tx) error {
		_, err := one(t, `SELECT blob_id FROM blob_pending WHERE created < ? LIMIT 1`,
			[]any{time.Now().Add(-pendingFor)}, func(r row) error {
				id = r.int(0)
				return nil
			})
		return err
	})
	if err != nil || id == 0 {
		return false, err
	}
	return true, b.giveUp(ctx, id)
}

// giveUp removes the chunks of a body unless it was adopted.
func (b *chunkBodies) giveUp(ctx context.Context, id int64) error {
	return b.e.write(ctx, true, func(t *txn) error {
		n, err := t.exec(`DELETE FROM blob_pending WHERE blob_id = ?`, id)
		if err != nil || n == 0 {
			return err
		}
		return t.put(`DELETE FROM blob_chunk WHERE blob_id = ?`, id)
	})
}

func (b *chunkBodies) written() int64 { return b.octets.Load() }
func (b *chunkBodies) close() error   { return nil }

// chunkStream writes one body, chunk by chunk. It need not wait for the disk:
// the commit that adopts the body does.
type chunkStream struct {
	b     *chunkBodies
	id    int64
	buf   []byte
	chunk int64
	size  int64
}

func (w *chunkStream) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), chunkSize-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == chunkSize {
			if err := w.flush(); err != nil {
				return total - len(p), err
			}
		}
	}
	w.size += int64(total)
	return total, nil
}

func (w *chunkStream) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	var batch pgx.Batch
	batch.Queue(`BEGIN`)
	batch.Queue(`SET LOCAL synchronous_commit = off`)
	batch.Queue(`INSERT INTO blob_chunk (blob_id, chunk, data) VALUES ($1, $2, $3)`, w.id, w.chunk, w.buf)
	batch.Queue(`COMMIT`)
	ctx, end := context.WithTimeout(context.Background(), w.b.e.s.o.answer)
	defer end()
	if err := w.b.e.pool.SendBatch(ctx, &batch).Close(); err != nil {
		if ctx.Err() != nil {
			err = overdue(err)
		}
		return classifyPG(err)
	}
	w.b.octets.Add(int64(len(w.buf)))
	w.chunk++
	w.buf = w.buf[:0]
	return nil
}

// Finish implements blob.Spill.
func (w *chunkStream) Finish() error {
	err := w.flush()
	w.buf = nil
	return err
}

// ReadAt implements io.ReaderAt on a finished stream.
func (w *chunkStream) ReadAt(p []byte, off int64) (int, error) {
	body := chunkBody{b: w.b, id: w.id, size: w.size, have: -1}
	return body.ReadAt(p, off)
}

// Settle implements blob.Spill.
func (w *chunkStream) Settle() {}

// Discard implements blob.Spill.
func (w *chunkStream) Discard() {
	if err := w.b.giveUp(context.Background(), w.id); err != nil {
		w.b.e.s.o.Log.Log(event.StoreTrouble, slog.String("what", "removing an abandoned body, which the sweeper does later"), slog.Int64("blob", int64(w.id)), event.Err(err))
	}
}

// chunkBody reads chunk rows and keeps the last one.
type chunkBody struct {
	b    *chunkBodies
	id   int64
	size int64

	mu   sync.Mutex
	have int64
	data []byte
}

func (c *chunkBody) Size() int64  { return c.size }
func (c *chunkBody) Close() error { return nil }

func (c *chunkBody) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(p) && off < c.size {
		if err := c.load(off / chunkSize); err != nil {
			return n, err
		}
		k := copy(p[n:], c.data[off%chunkSize:])
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (c *chunkBody) load(chunk int64) error {
	if c.have == chunk {
		return nil
	}
	found := false
	err := c.b.e.read(context.Background(), func(t tx) error {
		var err error
		found, err = one(t, `SELECT data FROM blob_chunk WHERE blob_id = ? AND chunk = ?`, []any{c.id, chunk}, func(r row) error {
			c.data = r.bytes(0)
			return nil
		})
		return err
	})
	want := min(chunkSize, c.size-chunk*chunkSize)
	if err == nil && (!found || int64(len(c.data)) != want) {
		err = fmt.Errorf("blob %d chunk %d: %w", c.id, chunk, store.ErrNotFound)
	}
	c.have = -1
	if err == nil {
		c.have = chunk
	}
	return err
}
