package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"posthorn/internal/base/ident"
)

// Place is where a record lies: what was handed in before it comes after it in
// an answer. Attempts have no better order: those of one session began at the
// same time, and one that began early may have been handed in late.
type Place struct {
	segment int64
	record  int // in the segment, from 0
	// id is the attempt's, to know the place again.
	id ident.ID
}

// ErrPlace is returned for a place that is of another file: another node's, or
// one that was set aside as damaged.
var ErrPlace = errors.New("record: the place is not in these records")

// String returns the text ParsePlace reads.
func (p Place) String() string { return fmt.Sprintf("%d.%d.%s", p.segment, p.record, p.id) }

// ParsePlace reads what String wrote.
func ParsePlace(s string) (p Place, err error) {
	segment, rest, _ := strings.Cut(s, ".")
	record, id, _ := strings.Cut(rest, ".")
	if p.segment, err = strconv.ParseInt(segment, 10, 64); err != nil {
		return Place{}, err
	}
	if p.record, err = strconv.Atoi(record); err != nil {
		return Place{}, err
	}
	if p.id, err = ident.Parse(id); err != nil {
		return Place{}, err
	}
	if p.segment < 1 || p.segment >= newest || p.record < 0 {
		return Place{}, fmt.Errorf("%q is out of range", s)
	}
	return p, nil
}

// older reports whether a record comes after the place in an answer.
func (p Place) older(segment int64, record int) bool {
	return p == Place{} || segment < p.segment || segment == p.segment && record < p.record
}

// newest is above the numbers of all segments.
const newest = int64(1) << 62

// from is the number that the segments to be read are below.
func (p Place) from() int64 {
	if p == (Place{}) {
		return newest
	}
	return p.segment + 1
}

// check returns ErrPlace unless the record of the place is there or was pruned.
func (r *Recorder) check(p Place) error {
	if p == (Place{}) {
		return nil
	}
	raw, pruned, err := r.file.read(p.segment)
	switch {
	case errors.Is(err, errDamaged):
		r.o.Failed(err) // what comes after it may be sound
		return nil
	case err != nil || pruned:
		return err
	}
	records, err := split(raw)
	if err != nil {
		r.o.Failed(err)
		return nil
	}
	if p.record < len(records) {
		if a, ok := (&Query{}).match(records[p.record], words{}); ok && a.ID == p.id {
			return nil
		}
	}
	return ErrPlace
}

// read returns a segment; pruned: it is older than all there are.
func (f *file) read(n int64) (raw []byte, pruned bool, err error) {
	var data []byte
	err = f.use(func(conn *sqlite.Conn) error {
		data, pruned = nil, false
		return sqlitex.Execute(conn, "SELECT n, data FROM segment WHERE n >= ? ORDER BY n LIMIT 1", &sqlitex.ExecOptions{
			Args: []any{n},
			ResultFunc: func(s *sqlite.Stmt) error {
				if pruned = s.ColumnInt64(0) != n; !pruned {
					data = column(s, 1)
				}
				return nil
			}})
	})
	if err != nil {
		return nil, false, fmt.Errorf("record: read: %w", err)
	}
	if data == nil {
		return nil, pruned, nil
	}
	raw, err = unpack(data)
	return raw, false, err
}
