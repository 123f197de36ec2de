package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// Bodies up to inlineLimit octets with their head lie in the body table. When
// few operations share a commit a larger one may, to save a second sync.
const (
	inlineLimit     = 4000
	inlineLimitLone = 16 << 10
)

// bodies keeps what is too large for the body table.
type bodies interface {
	blob.Spiller
	// add stores a sealed draft as a blob that has refs users. It becomes
	// durable before the transaction does.
	add(t *txn, d *draft, refs int) (int64, error)
	// inline says up to which size a body may lie in the body table.
	inline(lone bool) int64
	// free is called when the last user of a blob is gone.
	free(t *txn, id int64) error
	// pin keeps deleted blobs readable until the pin is released.
	pin() pin
	// open opens a blob; the body owns the pin then, also on error.
	open(ctx context.Context, p pin, f blobRow) (store.Body, error)
	// tidy gives back freed room, one step; it reports whether there is more.
	tidy() (more bool, err error)
	written() int64
	close() error
}

type pin interface{ Release() }

// blobRow is what bodyColumns say of a blob; the zero value is none. A blob
// longer than its first place has parts.
type blobRow struct {
	id, size int64
	first    blob.Place
}

// bodyColumns and bodyTables are what opening scans.
const (
	bodyColumns = `b.content, b.blob_id, COALESCE(l.size, 0), COALESCE(l.segment, 0), COALESCE(l.start, 0), COALESCE(l.length, 0)`
	bodyTables  = `body b LEFT JOIN blob l ON l.id = b.blob_id`
)

// draft implements store.Draft.
type draft struct {
	blob.Draft
	s *Store
	// places is where the writer put the content in its attempt to commit.
	places  []blob.Place
	room    [1]blob.Place
	attempt int64
}

// NewDraft implements store.Store. A draft costs nothing on disk until it
// outgrows memory.
func (s *Store) NewDraft(_ context.Context, size int64) (store.Draft, error) {
	d := &draft{s: s}
	d.Init(size, s.bodies)
	return d, nil
}

// Write implements store.Draft.
func (d *draft) Write(p []byte) (int, error) {
	n, err := d.Draft.Write(p)
	return n, classifySQLite(err)
}

// Open implements store.Draft.
func (d *draft) Open() (store.Body, error) {
	if err := d.Seal(); err != nil {
		return nil, err
	}
	return openDraft{d}, nil
}

type openDraft struct{ *draft }

func (openDraft) Close() error { return nil }

// sealDraft returns the draft behind the interface, ready to be stored.
func (s *Store) sealDraft(body store.Draft) (*draft, error) {
	d, ok := body.(*draft)
	if !ok || d.s != s {
		return nil, fmt.Errorf("draft of another store: %w", store.ErrInvalid)
	}
	if err := d.Seal(); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	return d, nil
}

// content is the body of a message on its way into rows: inline, or a blob.
type content struct {
	inline []byte
	blob   int64
	size   int64
	uneven int64 // blob.Uneven
	// counted: the blob counts this use already.
	counted bool
}

const insertBlob = `INSERT INTO blob (id, refs, size, uneven, segment, start, length) VALUES (?, ?, ?, ?, ?, ?, ?)`

// place makes a sealed draft the content of several uses, each with a head of
// at most the given length.
func (t *txn) place(d *draft, head, uses int) (content, error) {
	c := content{size: d.Size(), uneven: d.Uneven(), counted: true}
	mem, ok := d.Memory()
	if ok && int64(head)+c.size <= t.s.bodies.inline(t.lone) {
		c.inline = mem
		return c, nil
	}
	var err error
	c.blob, err = t.s.bodies.add(t, d, uses)
	return c, err
}

// addBody stores the octets of one use under id.
func (t *txn) addBody(id int64, head []byte, c content) error {
	octets := head
	if c.blob == 0 {
		octets = make([]byte, 0, len(head)+len(c.inline))
		octets = append(append(octets, head...), c.inline...)
	} else if !c.counted {
		if err := t.put(`UPDATE blob SET refs = refs + 1 WHERE id = ?`, c.blob); err != nil {
			return err
		}
	}
	if octets == nil {
		octets = []byte{}
	}
	return t.put(insertBody, id, c.blob, len(head), octets)
}

// loadContent returns the content behind a body row, without its head, to use
// it once more; ErrNotFound.
func (t *txn) loadContent(bodyID int64) (content, error) {
	var c content
	found, err := one(t, `SELECT b.blob_id, b.head, b.content, COALESCE(l.size, 0), COALESCE(l.uneven, 0) FROM body b LEFT JOIN blob l ON l.id = b.blob_id WHERE b.id = ?`,
		[]any{bodyID}, func(r row) error {
			c.blob, c.size, c.uneven = r.int(0), r.int(3), r.int(4)
			if c.blob == 0 {
				c.inline = r.bytes(2)[r.int(1):]
				c.size, c.uneven = int64(len(c.inline)), blob.Uneven(c.inline)
			}
			return nil
		})
	if err == nil && !found {
		err = fmt.Errorf("body %d: %w", bodyID, store.ErrNotFound)
	}
	return c, err
}

// dropBody removes a body row, and its blob when nothing else uses it.
func (t *txn) dropBody(bodyID int64) error {
	var blobID int64
	found, err := one(t, `DELETE FROM body WHERE id = ? RETURNING blob_id`, []any{bodyID}, func(r row) error {
		blobID = r.int(0)
		return nil
	})
	if err != nil || !found || blobID == 0 {
		return err
	}
	refs := int64(-1)
	_, err = one(t, `UPDATE blob SET refs = refs - 1 WHERE id = ? RETURNING refs`, []any{blobID}, func(r row) error {
		refs = r.int(0)
		return nil
	})
	if err != nil || refs != 0 {
		return err
	}
	return t.s.bodies.free(t, blobID)
}

// openBody opens the octets of a body row; ErrNotFound.
func (s *Store) openBody(ctx context.Context, bodyID int64) (store.Body, error) {
	return s.openWhere(ctx, `SELECT `+bodyColumns+` FROM `+bodyTables+` WHERE b.id = ?`, bodyID)
}

// openWhere opens what a query for bodyColumns finds.
func (s *Store) openWhere(ctx context.Context, query string, args ...any) (store.Body, error) {
	o := opening{pin: s.bodies.pin()}
	var err error
	if o.found, err = s.get(ctx, query, args, o.scan); err == nil && !o.found {
		err = store.ErrNotFound
	}
	if err != nil {
		o.pin.Release()
		return nil, err
	}
	return o.body(ctx, s)
}

// opening is a body about to be opened.
type opening struct {
	pin   pin
	found bool
	head  []byte
	blob  blobRow
}

func (o *opening) scan(r row) error {
	o.head, o.blob.id = r.bytes(0), r.int(1)
	if o.blob.id != 0 {
		o.blob.size, o.blob.first = r.int(2), blob.Place{Segment: r.int(3), Start: r.int(4), Length: r.int(5)}
	}
	return nil
}

// body opens what was found; it owns the pin, also on error.
func (o *opening) body(ctx context.Context, s *Store) (store.Body, error) {
	if o.blob.id == 0 {
		o.pin.Release()
		return memoryBody{bytes.NewReader(o.head)}, nil
	}
	rest, err := s.bodies.open(ctx, o.pin, o.blob)
	if err != nil {
		return nil, err
	}
	return joinedBody{o.head, rest}, nil
}

// small is body, but reads a small one whole; nil if it went away meanwhile.
func (o *opening) small(ctx context.Context, s *Store) (store.Body, error) {
	b, err := o.body(ctx, s)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case o.blob.id == 0 || b.Size() > store.SmallBody:
		return b, nil
	}
	text := make([]byte, b.Size())
	n, err := b.ReadAt(text, 0)
	if n == len(text) {
		err = nil
	}
	if e := b.Close(); err == nil {
		err = e
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return memoryBody{bytes.NewReader(text)}, nil
}

// memoryBody is a body that was read whole.
type memoryBody struct{ *bytes.Reader }

func (memoryBody) Close() error { return nil }

// joinedBody is a head in memory before the rest of a body.
type joinedBody struct {
	head []byte
	rest store.Body
}

func (b joinedBody) Size() int64  { return int64(len(b.head)) + b.rest.Size() }
func (b joinedBody) Close() error { return b.rest.Close() }

func (b joinedBody) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("body: offset %d: %w", off, store.ErrInvalid)
	}
	n := 0
	if off < int64(len(b.head)) {
		n = copy(p, b.head[off:])
	}
	if n == len(p) {
		return n, nil
	}
	if off+int64(n) >= b.Size() {
		return n, io.EOF
	}
	m, err := b.rest.ReadAt(p[n:], off+int64(n)-int64(len(b.head)))
	return n + m, err
}
