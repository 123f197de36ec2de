package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// maxCached bounds the account states kept over commits.
const maxCached = 10_000

// sqliteWriter is the one goroutine that writes. Whatever waits when it
// becomes free goes into its next commit; waiters hear of it afterwards.
type sqliteWriter struct {
	e    *sqliteEngine
	c    *sqlite.Conn
	x    sqliteTx
	t    txn
	spot idBlocks
	disk disk
	wal  walKeeper

	line *waitingLine

	failed atomic.Pointer[error] // why the store is read-only
	ended  chan struct{}
}

func newWriter(e *sqliteEngine, c *sqlite.Conn) *sqliteWriter {
	w := &sqliteWriter{e: e, c: c, x: sqliteTx{c: c}, line: newLine()}
	w.t = txn{tx: &w.x, s: e.s, ids: &w.spot, accounts: map[store.AccountID]*accountState{}}
	w.disk = disk{dir: e.dir, reserve: e.s.o.Reserve, log: e.s.o.Log}
	return w
}

func (w *sqliteWriter) start() error {
	if err := w.wal.open(w); err != nil {
		return err
	}
	w.disk.open()
	w.ended = make(chan struct{})
	go w.run()
	return nil
}

// stop lets what waits be written and ends the goroutine.
func (w *sqliteWriter) stop() {
	w.line.close()
	if w.ended == nil {
		return
	}
	<-w.ended
	w.wal.stop()
}

func (w *sqliteWriter) close() error {
	return errors.Join(w.wal.closeConn(), w.c.Close(), w.wal.closeIndex(), w.disk.close())
}

func (e *sqliteEngine) write(ctx context.Context, removes bool, fn func(t *txn) error) error {
	return e.writer.line.do(ctx, operation{fn: fn, removes: removes})
}

func (e *sqliteEngine) deliver(ctx context.Context, d *delivery) error {
	return e.writer.line.do(ctx, operation{delivery: d})
}

func (w *sqliteWriter) run() {
	defer close(w.ended)
	for batch := w.line.next(nil); batch != nil; batch = w.line.next(batch) {
		began := time.Now()
		w.commit(batch)
		w.e.meter.commit(len(batch), began)
		answer(batch)
		w.wal.between()
	}
}

// commit makes a batch durable, in one transaction unless one of its
// operations breaks it for the others.
func (w *sqliteWriter) commit(batch []*operation) {
	if p := w.failed.Load(); p != nil {
		finish(batch, *p)
		return
	}
	low := w.disk.low()
	if low {
		batch = w.refuseGrowth(batch)
	}
	err := w.try(batch)
	w.disk.tell(low || errors.Is(err, store.ErrFull))
	if errors.Is(err, store.ErrFull) && w.disk.release() {
		batch = w.refuseGrowth(batch)
		err = w.try(batch)
	}
	switch {
	case err == nil:
		w.account(batch)
	case errors.Is(err, store.ErrReadOnly):
		w.fail(err)
		finish(batch, err)
	case len(batch) > 1 && !errors.Is(err, store.ErrFull):
		for i := range batch {
			w.commit(batch[i : i+1])
		}
	default:
		finish(batch, err)
	}
}

// fail ends writing for good. What reached the disk of the last commit is
// unknown, so body files are left as they are, too.
func (w *sqliteWriter) fail(err error) {
	if !w.failed.CompareAndSwap(nil, &err) {
		return
	}
	w.e.bodies.segments.Fail(err)
	w.e.s.o.Log.Log(event.StoreReadOnly, event.Err(err))
}

func finish(batch []*operation, err error) {
	for _, op := range batch {
		op.err = err
	}
}

// refuseGrowth leaves the operations that give room back.
func (w *sqliteWriter) refuseGrowth(batch []*operation) []*operation {
	var keep []*operation
	for _, op := range batch {
		if op.removes {
			keep = append(keep, op)
		} else {
			op.err = store.ErrFull
		}
	}
	return keep
}

func (w *sqliteWriter) account(batch []*operation) {
	n := int64(len(batch))
	w.e.commits.Add(1)
	w.e.writes.Add(n)
	w.e.syncs.Add(1)
	w.e.lastBatch.Store(n)
	w.e.maxBatch.Store(max(n, w.e.maxBatch.Load()))
}

// try runs a batch in one transaction. An error means that nothing of it
// happened.
func (w *sqliteWriter) try(batch []*operation) error {
	if len(batch) == 0 {
		return nil
	}
	w.x.broken = nil
	w.t.after, w.t.lone = w.t.after[:0], len(batch) <= 2
	err := w.x.put("BEGIN IMMEDIATE")
	if err == nil {
		err = w.attempt(batch)
	}
	touched := w.t.untouch()
	if err != nil {
		w.rollback()
		return classifySQLite(err)
	}
	for _, fn := range w.t.after {
		fn()
	}
	for _, st := range touched {
		w.e.s.hub.Wake(st.id)
	}
	if len(w.t.accounts) > maxCached {
		clear(w.t.accounts)
	}
	return nil
}

// rollback ends a failed transaction and everything known from it.
func (w *sqliteWriter) rollback() {
	if !w.c.AutocommitEnabled() {
		if err := w.x.put("ROLLBACK"); err != nil {
			w.e.s.o.Log.Log(event.StoreTrouble, slog.String("what", "rollback"), event.Err(err))
		}
	}
	clear(w.t.accounts)
	w.spot.clear()
	w.e.bodies.reset()
}

// attempt runs deliveries, which check before they write, and then the other
// operations, each under a savepoint.
func (w *sqliteWriter) attempt(batch []*operation) error {
	sync, err := w.e.bodies.placeAll(batch, w.t.lone)
	if err != nil {
		return errors.Join(err, sync())
	}
	err = w.attemptRows(batch)
	if e := sync(); err == nil {
		err = e
	}
	if err == nil {
		err = w.e.bodies.sync() // what functions added
	}
	if err == nil && w.e.s.o.beforeCommit != nil {
		err = w.e.s.o.beforeCommit()
	}
	if err == nil {
		err = w.x.put("COMMIT")
	}
	return err
}

func (w *sqliteWriter) attemptRows(batch []*operation) error {
	for _, op := range batch {
		if op.delivery == nil {
			continue
		}
		op.err = w.t.deliver(op.delivery)
		if w.x.broken != nil {
			return w.x.broken
		}
	}
	if err := w.finishRows(); err != nil {
		return err
	}
	for _, op := range batch {
		if op.fn == nil {
			continue
		}
		if err := w.separately(op); err != nil {
			return err
		}
	}
	return nil
}

// finishRows writes what was counted in memory.
func (w *sqliteWriter) finishRows() error {
	if err := w.t.flush(); err != nil {
		return err
	}
	return w.e.bodies.flushLive(&w.t)
}

// separately runs a function so that its failure leaves the others alone.
func (w *sqliteWriter) separately(op *operation) error {
	before, hooks := w.t.untouch(), len(w.t.after)
	w.spot.mark()
	if err := w.x.put("SAVEPOINT operation"); err != nil {
		return err
	}
	err := op.fn(&w.t)
	if err == nil {
		err = w.finishRows()
	}
	op.err = classifySQLite(err)
	touched := w.t.untouch()
	if err != nil {
		w.t.after = w.t.after[:hooks]
		for _, st := range touched {
			w.t.forget(st.id)
		}
		w.spot.undo()
		w.e.bodies.forgetLive()
		if w.c.AutocommitEnabled() || fatal(op.err) {
			return err // the whole transaction is gone or must not go on
		}
		w.x.broken = nil
		if err := w.x.put("ROLLBACK TO operation"); err != nil {
			return err
		}
		touched = nil
	}
	w.t.touched = append(before, touched...)
	return w.x.put("RELEASE operation")
}

// fatal errors end the whole batch.
func fatal(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrReadOnly)
}

// idBlocks is the idSource of the SQLite writer. A block is taken from the
// counter's row in the running transaction and used up in memory.
type idBlocks struct {
	blocks map[string]*idBlock
	opened []string // since mark
}

type idBlock struct{ next, end int64 }

// blockSize keeps identifiers people see dense and makes the others cheap.
func blockSize(name string) int64 {
	if name == "account" || name == "mailbox" {
		return 1
	}
	return 1000
}

func (b *idBlocks) next(t *txn, name string) (int64, error) {
	k := b.blocks[name]
	if k == nil || k.next == k.end {
		end, err := takeBlock(t, name)
		if err != nil {
			return 0, err
		}
		if b.blocks == nil {
			b.blocks = map[string]*idBlock{}
		}
		k = &idBlock{end - blockSize(name), end}
		b.blocks[name] = k
		b.opened = append(b.opened, name)
	}
	k.next++
	return k.next, nil
}

// takeBlock moves a counter on and returns its last value.
func takeBlock(t tx, name string) (int64, error) {
	var end int64
	_, err := one(t, `INSERT INTO counter (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value`,
		[]any{name, blockSize(name)}, func(r row) error {
			end = r.int(0)
			return nil
		})
	if err != nil {
		return 0, fmt.Errorf("next %s id: %w", name, err)
	}
	return end, nil
}

func (b *idBlocks) mark() { b.opened = b.opened[:0] }

// undo forgets blocks whose transaction did not happen.
func (b *idBlocks) undo() {
	for _, name := range b.opened {
		delete(b.blocks, name)
	}
}

func (b *idBlocks) clear() { clear(b.blocks) }
