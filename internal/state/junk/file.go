package junk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// file is the database: a connection for the writer and one for readers, who
// do not wait for a commit. What is damaged is set aside, and a new file takes
// its place.
type file struct {
	path   string
	mark   int64 // of the key the hashes were made with
	failed func(error)
	// renewed is called when a new file has taken the place.
	renewed     func()
	write, read *handle
	generation  atomic.Int64
	closed      bool         // changed under both handles
	setAsides   atomic.Int64 // files given up
}

// handle is a connection and the right to use it.
type handle struct {
	slot chan struct{}
	conn *sqlite.Conn
}

func newHandle() *handle { return &handle{slot: make(chan struct{}, 1)} }

func (h *handle) lock(ctx context.Context) error {
	select {
	case h.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *handle) unlock() { <-h.slot }

// learnedSize is about what one remembered message takes with its index.
const learnedSize = 48

const schema = `
CREATE TABLE IF NOT EXISTS mark (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	mark INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS account (
	id         INTEGER PRIMARY KEY, -- 0 is everybody
	spam       INTEGER NOT NULL,
	ham        INTEGER NOT NULL,
	given_spam INTEGER NOT NULL,
	given_ham  INTEGER NOT NULL,
	remembered INTEGER NOT NULL,
	octets     INTEGER NOT NULL,
	day        INTEGER NOT NULL     -- of the last lesson
) STRICT;
CREATE TABLE IF NOT EXISTS run (
	account INTEGER NOT NULL,
	level   INTEGER NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (account, level)
) STRICT;
CREATE TABLE IF NOT EXISTS learned (
	n       INTEGER PRIMARY KEY,
	account INTEGER NOT NULL,
	key     INTEGER NOT NULL,
	class   INTEGER NOT NULL,
	given   INTEGER NOT NULL,
	UNIQUE (account, key)
) STRICT;
PRAGMA user_version = 1;`

// errDamaged is a fault in what the file says rather than in its form.
var errDamaged = errors.New("contents are damaged")

// errKey says that another key made the hashes: they are of no use.
var errKey = errors.New("made with another key")

// damaged reports an error that no repetition mends.
func damaged(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB || errors.Is(err, errDamaged) || errors.Is(err, errKey)
}

// openFile opens the file, or a new one in its place when it is of no use.
func openFile(path string, mark uint64, failed func(error), renewed func()) (*file, error) {
	f := &file{path: path, mark: int64(mark), failed: failed, renewed: renewed, write: newHandle(), read: newHandle()}
	err := f.connect()
	if damaged(err) || foreign(err) {
		f.complain(err)
		err = f.setAside()
	}
	if err != nil {
		return nil, fmt.Errorf("junk: open %s: %w", path, err)
	}
	return f, nil
}

func (f *file) complain(err error) {
	f.setAsides.Add(1)
	f.failed(fmt.Errorf("junk: %s is set aside, learning begins anew: %w", f.path, err))
}

// connect opens both connections.
func (f *file) connect() (err error) {
	// SQLite would let everybody read it; its companions take the same mode.
	private, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := private.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.disconnect())
		}
	}()
	if f.write.conn, err = openConn(f.path, "PRAGMA cache_size = -1024", "PRAGMA journal_size_limit = 16777216"); err != nil {
		return err
	}
	if err = sqlitex.ExecuteScript(f.write.conn, schema, nil); err != nil {
		return err
	}
	if err = f.checkMark(); err != nil {
		return err
	}
	f.read.conn, err = openConn(f.path, "PRAGMA cache_size = -512", "PRAGMA query_only = ON")
	return err
}

func openConn(path string, pragmas ...string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	// auto_vacuum comes before anything is written, journal mode included.
	// A lesson lost with the power is learned again or not missed.
	always := []string{"PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA busy_timeout = 10000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"}
	for _, pragma := range append(always, pragmas...) {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// checkMark sees that the hashes in the file were made with this key.
func (f *file) checkMark() error {
	conn := f.write.conn
	if err := sqlitex.Execute(conn, "INSERT OR IGNORE INTO mark (id, mark) VALUES (1, ?)", &sqlitex.ExecOptions{Args: []any{f.mark}}); err != nil {
		return err
	}
	return sqlitex.Execute(conn, "SELECT mark FROM mark", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		if s.ColumnInt64(0) != f.mark {
			return errKey
		}
		return nil
	}})
}

func (f *file) disconnect() (err error) {
	for _, h := range []*handle{f.read, f.write} {
		if h.conn != nil {
			err = errors.Join(err, h.conn.Close())
			h.conn = nil
		}
	}
	return err
}

// foreign reports that the file, or one beside it, is such as this user may not
// open: it is not worth a server that does not start.
func foreign(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return errors.Is(err, fs.ErrPermission) || code == sqlite.ResultCantOpen || code == sqlite.ResultReadOnly || code == sqlite.ResultPerm
}

// setAside renames the file, in place of one set aside earlier, and begins a
// new one.
func (f *file) setAside() error {
	_ = f.disconnect() // it is given up
	if err := os.Rename(f.path, f.path+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, tail := range []string{"-wal", "-shm"} {
		if err := os.Remove(f.path + tail); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return f.connect()
}

// use runs fn with a connection. If the file turns out damaged, fn runs once
// more, on the new one.
func (f *file) use(ctx context.Context, h *handle, fn func(*sqlite.Conn) error) error {
	generation, err := f.once(ctx, h, fn)
	if !damaged(err) {
		return err
	}
	if err := f.renew(generation, err); err != nil {
		return err
	}
	_, err = f.once(ctx, h, fn)
	return err
}

// once also returns the generation of the file that fn saw.
func (f *file) once(ctx context.Context, h *handle, fn func(*sqlite.Conn) error) (int64, error) {
	if err := h.lock(ctx); err != nil {
		return 0, err
	}
	defer h.unlock()
	if h.conn == nil {
		if f.closed {
			return 0, ErrClosed
		}
		// A new file could not be made; perhaps there is room now.
		return f.generation.Load(), errDamaged
	}
	return f.generation.Load(), fn(h.conn)
}

// renew sets the file aside unless that was done since the generation.
func (f *file) renew(generation int64, cause error) error {
	f.lockBoth()
	defer f.unlockBoth()
	if f.closed {
		return ErrClosed
	}
	if f.generation.Load() != generation {
		return nil
	}
	f.complain(cause)
	if err := f.setAside(); err != nil {
		return fmt.Errorf("junk: begin %s anew: %w", f.path, err)
	}
	f.generation.Add(1)
	f.renewed()
	return nil
}

// within runs fn in a transaction. The library's own helpers panic when a
// damaged file refuses even the rollback.
func within(conn *sqlite.Conn, begin string, fn func() error) error {
	if !conn.AutocommitEnabled() { // an earlier rollback failed
		if err := sqlitex.Execute(conn, "ROLLBACK", nil); err != nil {
			return err
		}
	}
	err := sqlitex.Execute(conn, begin, nil)
	if err != nil {
		return err
	}
	if err = fn(); err == nil {
		err = sqlitex.Execute(conn, "COMMIT", nil)
	}
	if err != nil && !conn.AutocommitEnabled() {
		err = errors.Join(err, sqlitex.Execute(conn, "ROLLBACK", nil))
	}
	return err
}

func (f *file) lockBoth() {
	f.write.slot <- struct{}{}
	f.read.slot <- struct{}{}
}

func (f *file) unlockBoth() {
	f.read.unlock()
	f.write.unlock()
}

func (f *file) close() error {
	f.lockBoth()
	defer f.unlockBoth()
	f.closed = true
	return f.disconnect()
}
