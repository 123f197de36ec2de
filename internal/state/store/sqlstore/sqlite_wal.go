package sqlstore

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// When the log is moved into the database, in pages of 4 KB. The checkpointer
// begins at checkpointPages, beside the writer; the writer then moves the
// short rest itself, so that the log can begin anew. At hardPages it waits
// for readers to make that happen.
const (
	checkpointPages = 16_000
	hardPages       = 64_000
	// retryPages is how much the log grows before a step that did not finish
	// is tried again.
	retryPages = 2_000
)

// walKeeper keeps the write-ahead log short. Its own goroutine does the long
// part of the work on its own connection.
type walKeeper struct {
	w     *sqliteWriter
	c     *sqlite.Conn
	shm   *os.File // see frames
	start chan struct{}
	ended chan struct{}
	done  atomic.Bool // the checkpointer finished a run
	busy  atomic.Bool
	again uint32 // pages before which nothing is tried
}

func (k *walKeeper) open(w *sqliteWriter) error {
	k.w = w
	c, err := openConn(w.e.path(), w.e.s.o.readerPages())
	if err != nil {
		return err
	}
	k.c = c
	w.c.SetBusyTimeout(100 * time.Millisecond)
	k.shm, err = os.Open(w.e.path() + "-shm")
	if err != nil {
		return err
	}
	k.start, k.ended = make(chan struct{}, 1), make(chan struct{})
	go k.run()
	return nil
}

func (k *walKeeper) stop() {
	if k.ended == nil {
		return
	}
	close(k.start)
	<-k.ended
}

// closeConn and closeIndex end the keeper: the index comes after the last
// connection, because closing it drops this process's locks on that file.
func (k *walKeeper) closeConn() error {
	if k.c == nil {
		return nil
	}
	return k.c.Close()
}

func (k *walKeeper) closeIndex() error {
	if k.shm == nil {
		return nil
	}
	return k.shm.Close()
}

func (k *walKeeper) run() {
	defer close(k.ended)
	for range k.start {
		k.checkpoint(k.c, "PASSIVE")
		k.done.Store(true)
		k.busy.Store(false)
	}
}

// frames reads from the log's index how many pages the log holds. The index
// is shared memory in a file, laid out as SQLite's "WAL-Index Format" says;
// the page count is the 32-bit word at offset 16.
func (k *walKeeper) frames() uint32 {
	var b [4]byte
	if _, err := k.shm.ReadAt(b[:], 16); err != nil {
		return 0
	}
	return binary.NativeEndian.Uint32(b[:])
}

// between is called by the writer after each commit.
func (k *walKeeper) between() {
	n := k.frames()
	switch {
	case n < checkpointPages:
		k.again = 0
	case k.busy.Load() && n < hardPages:
	case n < k.again:
	case k.done.Swap(false):
		k.checkpoint(k.w.c, "PASSIVE")
		k.again = n + retryPages
	case n >= hardPages && !k.busy.Load():
		k.checkpoint(k.w.c, "RESTART")
		k.again = n + retryPages
	case !k.busy.Swap(true):
		k.start <- struct{}{}
	}
}

// checkpoint runs one. A full disk or a busy reader is tried again later; a
// failed sync ends writing, because what reached the disk is unknown.
func (k *walKeeper) checkpoint(c *sqlite.Conn, mode string) {
	x := sqliteTx{c: c}
	err := x.query("PRAGMA wal_checkpoint("+mode+")", nil, func(row) error { return nil })
	k.w.e.syncs.Add(2)
	if err = classifySQLite(err); err == nil {
		return
	}
	k.w.e.s.o.Log.Log(event.StoreTrouble, slog.String("what", "moving the log into the database"), event.Err(err))
	if errors.Is(err, store.ErrReadOnly) {
		k.w.fail(err)
	}
}
