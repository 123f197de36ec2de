package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"posthorn/internal/base/durable"
	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// sqliteEngine is the embedded engine: one writer goroutine, a few readers, a
// checkpointer, one database file.
type sqliteEngine struct {
	s       *Store
	dir     string
	lock    *os.File
	readers chan *sqlite.Conn
	writer  *sqliteWriter
	bodies  *segmentBodies
	opened  int // reader connections made

	commits, writes, syncs atomic.Int64
	lastBatch, maxBatch    atomic.Int64
	meter                  meter
}

// pageMemory is what a page of 4 KB takes with its header: the allocator's next
// class of sizes.
const pageMemory = 8 << 10

// writerPages and readerPages are the sizes of page caches. SQLite keeps all in
// one pool of their sum, from which each takes what it uses.
func (o Options) writerPages() int64 { return o.Cache / pageMemory * 3 / 4 }

func (o Options) readerPages() int64 {
	return max(o.Cache/pageMemory/4/int64(o.Readers+1), 16) // and the keeper of the log
}

// OpenSQLite opens the store in a folder, which is created when missing. Only
// one process can have it open. Close ends everything it started.
func OpenSQLite(ctx context.Context, dir string, o Options) (store.Store, error) {
	s, err := openSQLite(ctx, dir, o)
	if err != nil && noRoom(dir) { // starting takes a few pages, as deleting does
		if e := os.Remove(filepath.Join(dir, reserveName)); e == nil {
			s, err = openSQLite(ctx, dir, o)
		}
		if err != nil {
			err = fmt.Errorf("%w: make some room, a megabyte at least, and start again: %w", store.ErrFull, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open store in %s: %w", dir, err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, dir string, o Options) (*Store, error) {
	if err := durable.MakeDir(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := LockFolder(dir)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	s := newStore(o.withDefaults())
	e := &sqliteEngine{s: s, dir: dir, lock: lock}
	s.engine = e
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	s.opened("SQLite", began)
	return s, nil
}

// start opens the parts in order of need.
func (e *sqliteEngine) start(ctx context.Context) error {
	conn, err := openConn(e.path(), e.s.o.writerPages())
	if err != nil {
		return err
	}
	e.writer = newWriter(e, conn)
	if err := migrateSQLite(conn, e.s.o); err != nil {
		return err
	}
	if err := e.openReaders(); err != nil {
		return err
	}
	if err := e.openBodies(ctx); err != nil {
		return err
	}
	return e.writer.start()
}

func (e *sqliteEngine) path() string { return filepath.Join(e.dir, "posthorn.db") }

// openConn opens a connection for a cache of so many pages.
func openConn(path string, pages int64) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	synchronous := "FULL"
	if !blob.SyncsLog {
		synchronous = "OFF"
	}
	x := sqliteTx{c: c}
	err = x.script(
		"PRAGMA synchronous="+synchronous,
		"PRAGMA wal_autocheckpoint=0",
		"PRAGMA temp_store=MEMORY",
		fmt.Sprintf("PRAGMA cache_size=%d", pages),
	)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// migrateSQLite brings the schema up to date, one transaction a step.
func migrateSQLite(c *sqlite.Conn, o Options) error {
	x := sqliteTx{c: c}
	version := 0
	if err := x.query("PRAGMA user_version", nil, func(r row) error {
		version = int(r.int(0))
		return nil
	}); err != nil {
		return err
	}
	steps, err := o.pending(version)
	if err != nil {
		return err
	}
	for _, m := range steps {
		script := append([]string{"BEGIN IMMEDIATE"}, statements(m.script)...)
		script = append(script, fmt.Sprintf("PRAGMA user_version=%d", m.version), "COMMIT")
		if err := x.script(script...); err != nil {
			return fmt.Errorf("schema version %d: %w", m.version, err)
		}
	}
	o.migrated(version, len(steps))
	return nil
}

func (e *sqliteEngine) openReaders() error {
	e.readers = make(chan *sqlite.Conn, e.s.o.Readers)
	for range e.s.o.Readers {
		c, err := openConn(e.path(), e.s.o.readerPages())
		if err != nil {
			return err
		}
		if err := (&sqliteTx{c: c}).script("PRAGMA query_only=1"); err != nil {
			return errors.Join(err, c.Close())
		}
		e.opened++
		e.readers <- c
	}
	return nil
}

// reader waits for one of the few reader connections. It goes back into
// readers.
func (e *sqliteEngine) reader(ctx context.Context) (*sqlite.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-e.readers:
		if c == nil {
			return nil, errClosed
		}
		return c, nil
	}
}

// get implements engine. SQLite makes a transaction around the statement, for
// less than BEGIN and ROLLBACK cost.
func (e *sqliteEngine) get(ctx context.Context, query string, args []any, scan func(r row) error) (bool, error) {
	c, err := e.reader(ctx)
	if err != nil {
		return false, err
	}
	defer func() { e.readers <- c }()
	x := sqliteTx{c: c}
	found, err := one(&x, query, args, scan)
	if x.broken != nil {
		return false, classifyRead(err)
	}
	return found, err
}

// read runs fn on one of the reader connections.
func (e *sqliteEngine) read(ctx context.Context, fn func(t tx) error) error {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { e.readers <- c }()
	x := sqliteTx{c: c}
	if err := x.put("BEGIN"); err != nil {
		return classifyRead(err)
	}
	err = fn(&x)
	if e := x.put("ROLLBACK"); err == nil {
		err = e
	}
	if x.broken != nil {
		return classifyRead(err)
	}
	return err
}

// classifyRead is classifySQLite for readers, whose errors leave the store as
// it is: what cannot be read now is unavailable.
func classifyRead(err error) error {
	err = classifySQLite(err)
	if errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: read: %v", store.ErrUnavailable, err)
	}
	return err
}

func (e *sqliteEngine) stats() store.Stats {
	_, bodySyncs := e.bodies.segments.Counts()
	return e.meter.fill(store.Stats{
		Commits: e.commits.Load(), Writes: e.writes.Load(), Syncs: e.syncs.Load() + bodySyncs,
		LastBatch: int(e.lastBatch.Load()), MaxBatch: int(e.maxBatch.Load()),
	})
}

// close ends the goroutines and then the connections. It is called on an
// engine that started only partly, too.
func (e *sqliteEngine) close() error {
	var errs []error
	if e.writer != nil {
		e.writer.stop()
	}
	for range e.opened {
		errs = append(errs, (<-e.readers).Close())
	}
	if e.readers != nil {
		close(e.readers)
	}
	if e.writer != nil {
		errs = append(errs, e.writer.close())
	}
	errs = append(errs, e.lock.Close())
	return errors.Join(errs...)
}
