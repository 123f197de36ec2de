package sqlstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgTx runs statements on one connection. What is only put waits and goes out
// together with the next statement that is asked for an answer, in one round
// trip (a pipeline).
type pgTx struct {
	ctx     context.Context
	conn    *pgx.Conn
	texts   *texts
	pending []pgStatement
	// bulk gathers rows of the tables every delivery writes to; each becomes
	// one statement of arrays.
	bulk []pgBulk
	// most is how long the answer to one round trip may take, 0 for ever.
	most time.Duration
}

type pgStatement struct {
	text string
	args []any
	scan func(r row) error
	n    int64
	tag  pgconn.CommandTag
}

// texts translates placeholders, each statement once.
type texts struct{ known sync.Map }

// dollars writes ? as $1, $2, … No statement has a ? in a literal.
func (x *texts) dollars(query string) string {
	if text, ok := x.known.Load(query); ok {
		return text.(string)
	}
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	x.known.Store(query, b.String())
	return b.String()
}

func (x *pgTx) add(query string, args []any, scan func(r row) error) {
	for i, arg := range args {
		args[i] = plainArray(arg)
	}
	x.pending = append(x.pending, pgStatement{text: x.texts.dollars(query), args: args, scan: scan})
}

// plainArray is plain, and lets arrays pass, which only this engine has.
func plainArray(arg any) any {
	switch v := arg.(type) {
	case []int64, [][]byte:
		return v
	case string:
		return packText(v)
	}
	return plain(arg)
}

// armour begins a text that PostgreSQL could not hold as it is.
const armour = "\x01base64:"

// packText lets any octets pass through a text column, which holds only UTF-8
// without NUL. Equal texts stay equal.
func packText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 && !strings.HasPrefix(s, armour) {
		return s
	}
	return armour + base64.StdEncoding.EncodeToString([]byte(s))
}

func unpackText(s string) (string, error) {
	packed, ok := strings.CutPrefix(s, armour)
	if !ok {
		return s, nil
	}
	b, err := base64.StdEncoding.DecodeString(packed)
	return string(b), err
}

func (x *pgTx) put(query string, args ...any) error {
	if x.gather(query, args) {
		return nil
	}
	x.add(query, args, nil)
	return nil
}

func (x *pgTx) exec(query string, args ...any) (int64, error) {
	x.add(query, args, nil)
	last, err := x.flush()
	return last.n, err
}

func (x *pgTx) query(query string, args []any, scan func(r row) error) error {
	x.add(query, args, scan)
	_, err := x.flush()
	return err
}

// later is query for answers that are not needed before the next flush.
func (x *pgTx) later(query string, args []any, scan func(r row) error) { x.add(query, args, scan) }

// flush sends what waits and returns the last statement with its outcome.
func (x *pgTx) flush() (pgStatement, error) {
	statements := x.pending
	x.pending = nil
	if rows := x.takeBulk(); len(rows) > 0 {
		// Before the statement that asks, after what was put before it.
		last := statements[len(statements)-1]
		statements = append(append(statements[:len(statements)-1:len(statements)-1], rows...), last)
	}
	var batch pgx.Batch
	for i := range statements {
		batch.Queue(statements[i].text, statements[i].args...)
	}
	ctx, end := x.within()
	defer end()
	results := x.conn.SendBatch(ctx, &batch)
	var err error
	for i := range statements {
		if err = statements[i].read(results); err != nil {
			break
		}
	}
	if e := results.Close(); err == nil {
		err = e
	}
	if err != nil {
		if ctx.Err() != nil && x.ctx.Err() == nil {
			err = overdue(err)
		}
		return pgStatement{}, err
	}
	return statements[len(statements)-1], nil
}

// within is the context of one round trip.
func (x *pgTx) within() (context.Context, context.CancelFunc) {
	if x.most == 0 {
		return x.ctx, func() {}
	}
	return context.WithTimeout(x.ctx, x.most)
}

// read takes the answer to one statement.
func (q *pgStatement) read(results pgx.BatchResults) error {
	if q.scan == nil {
		tag, err := results.Exec()
		q.n, q.tag = tag.RowsAffected(), tag
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	r := pgRow{rows: rows}
	for rows.Next() {
		r.values = rows.RawValues()
		if err := q.scan(&r); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
	}
	return rows.Err()
}

// pgRow decodes the few types of the schema: bigint, text, bytea, and the int
// of constants.
type pgRow struct {
	rows   pgx.Rows
	values [][]byte
	err    error
}

func (r *pgRow) int(i int) int64 {
	v := r.values[i]
	if r.rows.FieldDescriptions()[i].Format == pgx.TextFormatCode {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			r.err = err
		}
		return n
	}
	switch len(v) {
	case 8:
		return int64(binary.BigEndian.Uint64(v))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v)))
	case 1:
		return int64(v[0])
	}
	r.err = fmt.Errorf("column %d is no integer", i)
	return 0
}

func (r *pgRow) text(i int) string {
	s, err := unpackText(string(r.values[i]))
	if err != nil {
		r.err = err
	}
	return s
}

func (r *pgRow) bytes(i int) []byte { return append([]byte{}, r.values[i]...) }
func (r *pgRow) null(i int) bool    { return r.values[i] == nil }

// The rows every delivery writes. columns says which kind each is: i bigint,
// b bytea.
var bulkInserts = map[string]struct{ table, columns, kinds string }{
	insertAccepted: {"accepted", "accept_key, filed", "bb"},
	insertMessage:  {"message", "id, account_id, refs, size, uneven, meta", "iiiiib"},
	insertBody:     {"body", "id, blob_id, head, content", "iiib"},
	insertEntry:    {"entry", "account_id, mailbox_id, uid, mod_seq, flags, size, internal, saved, message_id", "iiiiiiiii"},
}

// pgBulk is the rows of one table that wait, by column.
type pgBulk struct {
	insert string
	ints   [][]int64
	octets [][][]byte
}

// gather keeps the row of a known insert for its table's statement.
func (x *pgTx) gather(query string, args []any) bool {
	def, ok := bulkInserts[query]
	if !ok {
		return false
	}
	var b *pgBulk
	for i := range x.bulk {
		if x.bulk[i].insert == query {
			b = &x.bulk[i]
		}
	}
	if b == nil {
		x.bulk = append(x.bulk, pgBulk{insert: query, ints: make([][]int64, len(def.kinds)), octets: make([][][]byte, len(def.kinds))})
		b = &x.bulk[len(x.bulk)-1]
	}
	for i, arg := range args {
		switch v := plain(arg).(type) {
		case int64:
			b.ints[i] = append(b.ints[i], v)
		case []byte:
			b.octets[i] = append(b.octets[i], v)
		}
	}
	return true
}

// takeBulk turns what was gathered into statements.
func (x *pgTx) takeBulk() []pgStatement {
	var list []pgStatement
	for _, b := range x.bulk {
		def := bulkInserts[b.insert]
		var params []string
		var args []any
		for i, kind := range def.kinds {
			if kind == 'i' {
				params, args = append(params, fmt.Sprintf("$%d::bigint[]", i+1)), append(args, b.ints[i])
			} else {
				params, args = append(params, fmt.Sprintf("$%d::bytea[]", i+1)), append(args, b.octets[i])
			}
		}
		list = append(list, pgStatement{args: args, text: fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s)",
			def.table, def.columns, strings.Join(params, ", "))})
	}
	x.bulk = nil
	return list
}
