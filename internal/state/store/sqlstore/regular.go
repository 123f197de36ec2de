package sqlstore

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"

	"posthorn/internal/state/store"
)

// regulars implements store.Regulars.
type regulars struct{ s *Store }

// regularCounter is raised by every note; notes follow each other by it.
const regularCounter = "regular"

// regularTally is the counter of a kind's hosts.
func regularTally(kind store.RegularKind) string { return regularCounter + "." + kind.String() }

// Note implements store.Regulars.
func (s *regulars) Note(ctx context.Context, kind store.RegularKind, rows []store.RegularRow, most int) error {
	if len(rows) == 0 {
		return nil
	}
	err := s.s.write(ctx, func(t *txn) error {
		version, err := tally(t, regularCounter, 1)
		if err != nil {
			return err
		}
		added := int64(0)
		for i := range rows {
			fresh, err := noteRegular(t, kind, &rows[i], version)
			if err != nil {
				return err
			}
			added += fresh
		}
		have, err := tally(t, regularTally(kind), added)
		if err != nil || most <= 0 || have <= int64(most) {
			return err
		}
		_, err = dropRegulars(t, kind, math.MaxInt64, min(have-int64(most), sweepStep))
		return err
	})
	if err != nil {
		return fmt.Errorf("regulars: %w", err)
	}
	return nil
}

// noteRegular returns 1 for a host that is new.
func noteRegular(t *txn, kind store.RegularKind, r *store.RegularRow, version int64) (fresh int64, err error) {
	if !r.Host.IsValid() || r.Kind != kind {
		return 0, fmt.Errorf("host %v of kind %v: %w", r.Host, r.Kind, store.ErrInvalid)
	}
	host := r.Host.Masked().String()
	known, err := t.exec(`UPDATE regular SET last = ?, version = ? WHERE kind = ? AND host = ?`, r.Last, version, uint8(kind), host)
	if err != nil || known > 0 {
		return 0, err
	}
	return 1, t.put(`INSERT INTO regular (kind, host, last, version) VALUES (?, ?, ?, ?)`, uint8(kind), host, r.Last, version)
}

// dropRegulars removes hosts that did well before a time, at most so many, those
// first that did so longest ago.
func dropRegulars(t *txn, kind store.RegularKind, before, most int64) (int64, error) {
	n, err := t.exec(`DELETE FROM regular WHERE kind = ? AND host IN
		(SELECT host FROM regular WHERE kind = ? AND last < ? ORDER BY last, host LIMIT ?)`, uint8(kind), uint8(kind), before, most)
	if err == nil && n > 0 {
		_, err = tally(t, regularTally(kind), -n)
	}
	return n, err
}

// Since implements store.Regulars.
func (s *regulars) Since(ctx context.Context, version int64, limit int) (rows []store.RegularRow, now int64, err error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	err = s.s.read(ctx, func(t tx) error {
		rows = nil
		if now, err = counterValue(t, regularCounter); err != nil || now == version {
			return err
		}
		add := func(r row) error {
			host, err := netip.ParsePrefix(r.text(1))
			rows = append(rows, store.RegularRow{Kind: store.RegularKind(r.int(0)), Host: host, Last: timeAt(r, 2)})
			return err
		}
		if version > 0 {
			return t.query(`SELECT kind, host, last FROM regular WHERE version > ? ORDER BY last DESC, host`, []any{version}, add)
		}
		for _, kind := range []store.RegularKind{store.RegularMail, store.RegularAdministrator} {
			err := t.query(`SELECT kind, host, last FROM regular WHERE kind = ? ORDER BY last DESC, host LIMIT ?`, []any{uint8(kind), limit}, add)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("regulars: %w", err)
	}
	return rows, now, nil
}

// Sweep implements store.Regulars.
func (s *regulars) Sweep(ctx context.Context, kind store.RegularKind, before time.Time) (int, error) {
	due, err := s.s.get(ctx, `SELECT 1 FROM regular WHERE kind = ? AND last < ? LIMIT 1`, []any{uint8(kind), before}, func(row) error { return nil })
	if err != nil || !due {
		return 0, err
	}
	var removed int64
	err = s.s.remove(ctx, func(t *txn) error {
		if err := raiseCounter(t, regularCounter); err != nil { // the order in which notes lock
			return err
		}
		removed, err = dropRegulars(t, kind, toMicro(before), sweepStep)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("regulars: %w", err)
	}
	return int(removed), nil
}
