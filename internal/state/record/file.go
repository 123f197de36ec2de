package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// file is the database of segments. All access goes through one connection
// and one lock; nobody whose time matters waits for it.
type file struct {
	path   string
	failed func(error)
	mu     sync.Mutex
	conn   *sqlite.Conn
	next   int64 // number of the next segment
	octets int64 // of all rows
	packed []byte
}

const schema = `
CREATE TABLE IF NOT EXISTS segment (
	n       INTEGER PRIMARY KEY,
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	records INTEGER NOT NULL,
	filter  BLOB NOT NULL,
	data    BLOB NOT NULL
) STRICT;
PRAGMA user_version = 1;`

// openFile opens the file, or a new one in its place when it is damaged
// or somebody else's.
func openFile(path string, failed func(error)) (*file, error) {
	f := &file{path: path, failed: failed}
	err := f.connect()
	if damaged(err) || foreign(err) {
		failed(fmt.Errorf("record: %s cannot be used and is set aside: %w", path, err))
		err = f.setAside()
	}
	if err != nil {
		return nil, fmt.Errorf("record: open %s: %w", path, err)
	}
	return f, nil
}

func (f *file) connect() error {
	// SQLite would let everybody read it; its companions take the same mode.
	private, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := private.Close(); err != nil {
		return err
	}
	conn, err := sqlite.OpenConn(f.path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return err
	}
	for _, pragma := range []string{
		"PRAGMA auto_vacuum = INCREMENTAL", // before anything is written, journal mode included
		"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL",
		"PRAGMA cache_size = -512", "PRAGMA journal_size_limit = 4194304",
	} {
		if err == nil {
			err = sqlitex.ExecuteTransient(conn, pragma, nil)
		}
	}
	if err == nil {
		err = sqlitex.ExecuteScript(conn, schema, nil)
	}
	if err == nil {
		err = sqlitex.ExecuteTransient(conn, "SELECT coalesce(max(n), 0) + 1, coalesce(sum(length(filter) + length(data)), 0) FROM segment",
			&sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
				f.next, f.octets = s.ColumnInt64(0), s.ColumnInt64(1)
				return nil
			}})
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	f.conn = conn
	return nil
}

// damaged reports an error that no repetition mends.
func damaged(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB
}

// foreign reports that the file, or one beside it, is such as this user may not
// open: it is not worth a server that does not start.
func foreign(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return errors.Is(err, fs.ErrPermission) || code == sqlite.ResultCantOpen || code == sqlite.ResultReadOnly || code == sqlite.ResultPerm
}

// setAside renames the damaged file, in place of one set aside earlier, and
// begins a new one.
func (f *file) setAside() error {
	if f.conn != nil {
		_ = f.conn.Close() // it is given up
		f.conn = nil
	}
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

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return nil
	}
	err := f.conn.Close()
	f.conn = nil
	return err
}

// use runs fn with the connection. A file that turns out damaged is set aside
// and fn runs once more, on the new one.
func (f *file) use(fn func(*sqlite.Conn) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return ErrClosed
	}
	err := fn(f.conn)
	if !damaged(err) {
		return err
	}
	f.failed(fmt.Errorf("record: %s is damaged and is set aside: %w", f.path, err))
	if err := f.setAside(); err != nil {
		return err
	}
	return fn(f.conn)
}

// write stores the segments in one transaction.
func (f *file) write(list []*segment) error {
	return f.use(func(conn *sqlite.Conn) (err error) {
		next, octets := f.next, f.octets
		before := make([]segment, len(list))
		for i, s := range list {
			before[i] = *s
		}
		end, err := sqlitex.ImmediateTransaction(conn)
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.n == 0 || s.n >= f.next { // new, or numbered in a file that was set aside
				s.n, s.stored = next, 0
				next++
			}
			if err = f.put(conn, s, &octets); err != nil {
				break
			}
		}
		end(&err)
		if err != nil {
			for i, s := range list {
				*s = before[i]
			}
			return err
		}
		f.next, f.octets = next, octets
		for _, s := range list {
			s.dirty = false
		}
		return nil
	})
}

func (f *file) put(conn *sqlite.Conn, s *segment, octets *int64) error {
	stmt, err := conn.Prepare("INSERT OR REPLACE INTO segment (n, first, last, records, filter, data) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	filter, data := makeFilter(s.keys), s.pack(f.packed)
	f.packed = data
	stmt.BindInt64(1, s.n)
	stmt.BindInt64(2, s.first)
	stmt.BindInt64(3, s.last)
	stmt.BindInt64(4, int64(s.records))
	stmt.BindBytes(5, filter)
	stmt.BindBytes(6, data)
	_, err = stmt.Step()
	if rerr := stmt.Reset(); err == nil {
		err = rerr
	}
	*octets += int64(len(filter)+len(data)) - int64(s.stored)
	s.stored = len(filter) + len(data)
	return err
}

// prune removes segments whose newest record is older than the time, and the
// oldest while all are larger than the size.
func (f *file) prune(before time.Time, size int64) error {
	return f.use(func(conn *sqlite.Conn) error {
		through := int64(0)
		left := f.octets
		err := sqlitex.Execute(conn, "SELECT n, last, length(filter) + length(data) FROM segment ORDER BY n", &sqlitex.ExecOptions{
			ResultFunc: func(s *sqlite.Stmt) error {
				if s.ColumnInt64(1) >= before.UnixMicro() && left <= size {
					return errStop
				}
				through = s.ColumnInt64(0)
				left -= s.ColumnInt64(2)
				return nil
			}})
		if err != nil && !errors.Is(err, errStop) {
			return err
		}
		if through == 0 {
			return nil
		}
		if err := sqlitex.Execute(conn, "DELETE FROM segment WHERE n <= ?", &sqlitex.ExecOptions{Args: []any{through}}); err != nil {
			return err
		}
		f.octets = left
		return sqlitex.ExecuteTransient(conn, "PRAGMA incremental_vacuum", nil)
	})
}

// errStop ends a reading early.
var errStop = errors.New("enough")

// chunk is how many segments are read before the lock is given back.
const chunk = 64

// scan calls fn with segments, newest first, of numbers below one, whose newest
// record is not older than since and whose filter fn's caller wants, until fn
// says stop. raw is valid during the call. Damaged segments are reported and
// left out.
func (f *file) scan(ctx context.Context, since time.Time, below int64, want func(filter) bool, fn func(n int64, raw []byte) (more bool)) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		type packed struct {
			n    int64
			data []byte
		}
		var list []packed
		var last int64
		seen := 0
		err := f.use(func(conn *sqlite.Conn) error {
			list, seen = nil, 0
			return sqlitex.Execute(conn, "SELECT n, filter, data FROM segment WHERE n < ?1 AND last >= ?2 ORDER BY n DESC LIMIT ?3", &sqlitex.ExecOptions{
				Args: []any{below, since.UnixMicro(), chunk},
				ResultFunc: func(s *sqlite.Stmt) error {
					last = s.ColumnInt64(0)
					seen++
					if want(filter(column(s, 1))) {
						list = append(list, packed{last, column(s, 2)})
					}
					return nil
				}})
		})
		if err != nil {
			return fmt.Errorf("record: read: %w", err)
		}
		for _, p := range list {
			raw, err := unpack(p.data)
			if err != nil {
				f.failed(err)
				continue
			}
			if more = fn(p.n, raw); !more {
				return nil
			}
		}
		more, below = seen == chunk, last
	}
	return nil
}

func column(s *sqlite.Stmt, i int) []byte {
	b := make([]byte, s.ColumnLen(i))
	s.ColumnBytes(i, b)
	return b
}
