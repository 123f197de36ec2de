package sqlstore

import (
	"fmt"

	"zombiezen.com/go/sqlite"
)

// sqliteTx runs statements on one connection. It belongs to one goroutine.
type sqliteTx struct {
	c *sqlite.Conn
	r sqliteRow
	// broken is the first error of a statement; the transaction or savepoint
	// it happened in is rolled back.
	broken error
}

// bind prepares a statement, once per connection, and gives it its arguments.
func (x *sqliteTx) bind(query string, args []any) (*sqlite.Stmt, error) {
	st, err := x.c.Prepare(query)
	if err != nil {
		return nil, x.fail(err)
	}
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			st.BindText(i+1, v)
		case []byte:
			if v == nil {
				st.BindNull(i + 1)
			} else {
				st.BindBytes(i+1, v)
			}
		case nil:
			st.BindNull(i + 1)
		default:
			st.BindInt64(i+1, integer(arg))
		}
	}
	return st, nil
}

func (x *sqliteTx) fail(err error) error {
	if x.broken == nil {
		x.broken = err
	}
	return err
}

func (x *sqliteTx) put(query string, args ...any) error {
	st, err := x.bind(query, args)
	if err != nil {
		return err
	}
	if _, err = st.Step(); err != nil {
		return x.fail(err)
	}
	return nil
}

func (x *sqliteTx) exec(query string, args ...any) (int64, error) {
	if err := x.put(query, args...); err != nil {
		return 0, err
	}
	return int64(x.c.Changes()), nil
}

func (x *sqliteTx) query(query string, args []any, scan func(r row) error) error {
	st, err := x.bind(query, args)
	if err != nil {
		return err
	}
	x.r.st = st
	for {
		more, err := st.Step()
		if err != nil {
			return x.fail(err)
		}
		if !more {
			return nil
		}
		if err := scan(&x.r); err != nil {
			if e := st.Reset(); e != nil {
				return x.fail(fmt.Errorf("%w (and %w)", err, e))
			}
			return err
		}
	}
}

// script runs statements that are used once.
func (x *sqliteTx) script(statements ...string) error {
	for _, s := range statements {
		st, _, err := x.c.PrepareTransient(s)
		if err != nil {
			return err
		}
		_, err = st.Step()
		if e := st.Finalize(); err == nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

type sqliteRow struct{ st *sqlite.Stmt }

func (r *sqliteRow) int(i int) int64   { return r.st.ColumnInt64(i) }
func (r *sqliteRow) text(i int) string { return r.st.ColumnText(i) }
func (r *sqliteRow) null(i int) bool   { return r.st.ColumnIsNull(i) }

func (r *sqliteRow) bytes(i int) []byte {
	b := make([]byte, r.st.ColumnLen(i))
	r.st.ColumnBytes(i, b)
	return b
}
