package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// SweepReports implements store.Reports. A report goes at once, its rows in
// steps of sweepStep together with whatever else a step removes.
func (s *reports) SweepReports(ctx context.Context, received, days time.Time, mostRows int) (removed int, more bool, err error) {
	err = s.s.remove(ctx, func(t *txn) error {
		w := reportSweep{t: t, left: sweepStep, received: received, most: int64(mostRows)}
		if err := w.reports(); err != nil {
			return err
		}
		if w.left > 0 {
			if err := w.seen(days.Add(-24 * time.Hour)); err != nil {
				return err
			}
		}
		removed, more = w.removed, w.left <= 0
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("sweep reports: %w", err)
	}
	return removed, more, nil
}

// reportSweep is one step.
type reportSweep struct {
	t        *txn
	left     int64 // how many rows may still be removed
	removed  int   // reports and combinations
	received time.Time
	most     int64
	none     bool // there is no report, nor a row of one
}

// reports removes rows of reports that are gone, then the oldest reports while
// they are too old or have too many rows together.
func (w *reportSweep) reports() error {
	all, err := tally(w.t, reportRows, 0)
	before := all
	for again := true; err == nil && again && w.left > 0; {
		var n int64
		if n, again, err = w.rows(); err == nil && !again {
			again, err = w.report(w.most > 0 && all > w.most)
		}
		all -= n
	}
	if w.none {
		all = 0 // whatever a process of an older version left out
	}
	if err == nil && all != before {
		_, err = tally(w.t, reportRows, all-before)
	}
	return err
}

// rows removes rows of a report that is gone, if there is one.
func (w *reportSweep) rows() (n int64, found bool, err error) {
	var report int64
	found, err = one(w.t, `SELECT report FROM dmarc_gone ORDER BY report LIMIT 1`, nil, func(r row) error { report = r.int(0); return nil })
	if err != nil || !found {
		return 0, false, err
	}
	n, err = w.t.exec(`DELETE FROM dmarc_report_row WHERE report = ? AND position IN
		(SELECT position FROM dmarc_report_row WHERE report = ? ORDER BY position LIMIT ?)`, report, report, w.left)
	if err == nil && n < w.left {
		err = w.t.put(`DELETE FROM dmarc_gone WHERE report = ?`, report)
	}
	w.left -= n
	return n, true, err
}

// report removes the oldest report if there is a reason, but for its rows.
func (w *reportSweep) report(crowded bool) (removed bool, err error) {
	var id, received int64
	found, err := one(w.t, `SELECT id, received FROM dmarc_report ORDER BY received, id LIMIT 1`, nil, func(r row) error {
		id, received = r.int(0), r.int(1)
		return nil
	})
	w.none = err == nil && !found
	if err != nil || !found || !crowded && received >= toMicro(w.received) {
		return false, err
	}
	w.left--
	w.removed++
	if err := w.t.put(`DELETE FROM dmarc_report WHERE id = ?`, id); err != nil {
		return false, err
	}
	return true, w.t.put(`INSERT INTO dmarc_gone (report) VALUES (?)`, id)
}

// seen removes combinations of the days up to one. They lie in the order of the
// key, so the first ones end at the last that is read.
func (w *reportSweep) seen(day time.Time) error {
	var last []any
	days := map[int64]int64{}
	err := w.t.query(`SELECT day, domain, hash FROM dmarc_seen WHERE day <= ? ORDER BY day, domain, hash LIMIT ?`, []any{day, w.left}, func(r row) error {
		last = []any{r.int(0), r.text(1), r.text(2)}
		return nil
	})
	if err != nil {
		return err
	}
	if last == nil { // nothing is left, whatever was counted
		return w.t.put(`DELETE FROM dmarc_day WHERE day <= ?`, day)
	}
	if err := raiseCounter(w.t, seenCounter); err != nil {
		return err
	}
	err = w.t.query(`DELETE FROM dmarc_seen WHERE (day, domain, hash) <= (?, ?, ?) RETURNING day`, last, func(r row) error {
		days[r.int(0)]++
		return nil
	})
	for day, n := range days {
		w.left -= n
		w.removed += int(n)
		if err == nil {
			err = w.t.put(`UPDATE dmarc_day SET combinations = combinations - ? WHERE day = ?`, n, day)
		}
	}
	if err != nil {
		return err
	}
	return w.t.put(`DELETE FROM dmarc_day WHERE day <= ? AND combinations <= 0`, day)
}
