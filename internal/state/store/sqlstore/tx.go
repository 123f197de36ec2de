package sqlstore

import (
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

// tx runs statements inside one transaction. They are written in the subset
// both engines understand, with ? for parameters; each is prepared once per
// connection, so the text must be constant.
//
// Arguments are integers of any kind, bool (0 or 1), time.Time (microseconds,
// 0 for the zero time), string, []byte and nil.
type tx interface {
	// exec returns the number of rows changed.
	exec(query string, args ...any) (int64, error)
	// put is exec for callers that need no count: it may be sent later,
	// together with what follows, and then fails there.
	put(query string, args ...any) error
	// query calls scan for each row. Rows are valid during the call, and scan
	// must not use the tx.
	query(query string, args []any, scan func(r row) error) error
}

// row is one row of a result. Columns count from 0.
type row interface {
	int(i int) int64
	text(i int) string
	bytes(i int) []byte // a copy
	null(i int) bool
}

// txn is what operations work with: statements, the state of the accounts they
// touch, and what has to happen once the transaction is durable.
type txn struct {
	tx
	s        *Store
	ids      idSource
	accounts map[store.AccountID]*accountState
	touched  []*accountState // by the running operation
	after    []func()
	// lone is set when few operations share the commit, so that a body may lie
	// inline to save a second sync.
	lone bool
	// lock asks account rows to be locked (engines with several writers).
	lock bool
}

// idSource hands out identifiers that are never used again, by counter name:
// "account", "mailbox", "message" (also body), "blob", "recipient".
type idSource interface {
	next(t *txn, name string) (int64, error)
}

// newID takes the next identifier of a counter.
func (t *txn) newID(name string) (int64, error) { return t.ids.next(t, name) }

// onCommit runs fn after the transaction became durable, not at all when it
// fails. fn must not block.
func (t *txn) onCommit(fn func()) { t.after = append(t.after, fn) }

// boolAt reads a truth value.
func boolAt(r row, i int) bool { return r.int(i) != 0 }

// timeAt reads a time; 0 is the zero time.
func timeAt(r row, i int) time.Time { return fromMicro(r.int(i)) }

func toMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// plain turns an argument into one of int64, string, []byte and nil.
func plain(arg any) any {
	switch v := arg.(type) {
	case int64, string, []byte, nil:
		return v
	}
	return integer(arg)
}

// integer is the value of an argument of the kinds that are stored as integers.
func integer(arg any) int64 {
	switch v := arg.(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	case time.Time:
		return toMicro(v)
	case store.AccountID:
		return int64(v)
	case store.MailboxID:
		return int64(v)
	case store.MessageID:
		return int64(v)
	case store.UID:
		return int64(v)
	case store.ModSeq:
		return int64(v)
	case store.Flags:
		return int64(v)
	case store.Role:
		return int64(v)
	case store.QueueState:
		return int64(v)
	case store.Notify:
		return int64(v)
	case uint32:
		return int64(v)
	case uint8:
		return int64(v)
	}
	panic(fmt.Sprintf("sqlstore: argument of type %T", arg))
}

// one runs a query that has at most one row and reports whether it had.
func one(t tx, query string, args []any, scan func(r row) error) (bool, error) {
	found := false
	err := t.query(query, args, func(r row) error {
		found = true
		return scan(r)
	})
	return found, err
}

// reading is a query whose answer nothing waits for but the end of readAll.
type reading struct {
	query string
	args  []any
	scan  func(r row) error
}

// readAll runs queries in order. An engine that is far away answers many of
// them in one round trip.
func readAll(t tx, list []reading) error {
	x, pipelined := t.(*pgTx)
	for i, q := range list {
		if pipelined && i < len(list)-1 && i%pipeline != pipeline-1 {
			x.later(q.query, q.args, q.scan)
			continue
		}
		if err := t.query(q.query, q.args, q.scan); err != nil {
			return err
		}
	}
	return nil
}

// walk is query for one that is bounded by walking in the order it asks for
// until there is enough. PostgreSQL would rather sort everything there is when it
// knows little of a table, as of a queue that grew a minute ago.
func walk(t tx, query string, args []any, scan func(r row) error) error {
	x, sorts := t.(*pgTx)
	if !sorts {
		return t.query(query, args, scan)
	}
	x.later(`SET LOCAL enable_sort = off`, nil, nil)
	err := x.query(query, args, scan)
	x.later(`RESET enable_sort`, nil, nil)
	return err
}

// pipeline bounds the queries of one round trip.
const pipeline = 100
