package sqlstore

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"posthorn/internal/state/store"
)

// bans implements store.Bans.
type bans struct{ versioned }

const (
	banCounter = "ban"
	banColumns = `host, kind, reason, first, last, failures, until, author`
)

func scanBan(r row) (store.BanRow, error) {
	b := store.BanRow{Kind: store.BanKind(r.int(1)), Reason: r.text(2), First: timeAt(r, 3), Last: timeAt(r, 4),
		Failures: r.int(5), Until: timeAt(r, 6), Author: r.text(7)}
	var err error
	if b.Host, err = netip.ParsePrefix(r.text(0)); err != nil {
		err = fmt.Errorf("ban: %w", err)
	}
	return b, err
}

// Put implements store.Bans. Changes follow each other (versioned), so what is
// counted along is exact.
func (s *bans) Put(ctx context.Context, b store.BanRow, most int) error {
	if !b.Host.IsValid() {
		return fmt.Errorf("ban: host: %w", store.ErrInvalid)
	}
	host := b.Host.Masked().String()
	return s.change(ctx, s.s.write, "ban "+host, func(t *txn) error {
		known, err := t.exec(`UPDATE ban SET reason = ?, first = ?, last = ?, failures = ?, until = ?, author = ? WHERE host = ? AND kind = ?`,
			b.Reason, b.First, b.Last, b.Failures, b.Until, b.Author, host, uint8(b.Kind))
		if err == nil && known == 0 {
			err = t.put(`INSERT INTO ban (host, kind, reason, first, last, failures, until, author) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				host, uint8(b.Kind), b.Reason, b.First, b.Last, b.Failures, b.Until, b.Author)
		}
		if err != nil {
			return err
		}
		have, err := tally(t, banTally(b.Kind), 1-known)
		if err != nil || most <= 0 || have <= int64(most) {
			return err
		}
		return keepMost(t, b.Kind, host, min(have-int64(most), sweepStep))
	})
}

// banTally is the counter of a kind's bans.
func banTally(kind store.BanKind) string { return "ban." + kind.String() }

// keepMost removes so many bans of a kind, those for ever last. Where a bound
// was lowered by much, each new ban removes some.
func keepMost(t *txn, kind store.BanKind, but string, excess int64) error {
	n, err := t.exec(`DELETE FROM ban WHERE kind = ? AND host IN
		(SELECT host FROM ban WHERE kind = ? AND until > 0 AND host <> ? ORDER BY until, host LIMIT ?)`, uint8(kind), uint8(kind), but, excess)
	if err == nil && n < excess {
		var more int64
		more, err = t.exec(`DELETE FROM ban WHERE kind = ? AND host IN
			(SELECT host FROM ban WHERE kind = ? AND until = 0 AND host <> ? ORDER BY last, host LIMIT ?)`, uint8(kind), uint8(kind), but, excess-n)
		n += more
	}
	if err != nil {
		return err
	}
	if n < excess { // all others are gone, so counting is cheap
		return recount(t, kind)
	}
	_, err = tally(t, banTally(kind), -n)
	return err
}

// recount counts the bans of a kind that are there: a process of a version
// before 7 that ran beside this one left some out.
func recount(t *txn, kind store.BanKind) error {
	return t.put(`UPDATE counter SET value = (SELECT COUNT(*) FROM ban WHERE kind = ?) WHERE name = ?`, uint8(kind), banTally(kind))
}

// unban runs a DELETE, which removes what the kinds say it returns.
func unban(t *txn, query string, args ...any) (removed int, err error) {
	var gone [3]int64
	err = t.query(query, args, func(r row) error {
		gone[min(int(r.int(0)), len(gone)-1)]++
		return nil
	})
	for kind, n := range gone {
		removed += int(n)
		if err == nil && n > 0 {
			_, err = tally(t, banTally(store.BanKind(kind)), -n)
		}
	}
	return removed, err
}

// Lift implements store.Bans.
func (s *bans) Lift(ctx context.Context, host netip.Prefix) error {
	name := host.Masked().String()
	return s.change(ctx, s.s.remove, "lift the ban of "+name, func(t *txn) error {
		n, err := unban(t, `DELETE FROM ban WHERE host = ? RETURNING kind`, name)
		if err == nil && n == 0 {
			err = store.ErrNotFound
		}
		return err
	})
}

// LiftAll implements store.Bans.
func (s *bans) LiftAll(ctx context.Context, kind *store.BanKind) (removed int, err error) {
	err = s.change(ctx, s.s.remove, "lift all bans", func(t *txn) error {
		if kind == nil {
			removed, err = unban(t, `DELETE FROM ban RETURNING kind`)
		} else {
			removed, err = unban(t, `DELETE FROM ban WHERE kind = ? RETURNING kind`, uint8(*kind))
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// All implements store.Bans.
func (s *bans) All(ctx context.Context, now time.Time) (rows []store.BanRow, version int64, err error) {
	err = s.s.read(ctx, func(t tx) error {
		if version, err = counterValue(t, banCounter); err != nil {
			return err
		}
		rows, err = readBans(t, `SELECT `+banColumns+` FROM ban WHERE until = 0 OR until > ? ORDER BY host, kind`, now)
		return err
	})
	return rows, version, err
}

func readBans(t tx, query string, args ...any) (out []store.BanRow, err error) {
	err = t.query(query, args, func(r row) error {
		b, err := scanBan(r)
		out = append(out, b)
		return err
	})
	return out, err
}

// List implements store.Bans.
func (s *bans) List(ctx context.Context, search, after string, limit int) (out []store.BanRow, err error) {
	const found = `(host LIKE ? ESCAPE '!' OR LOWER(reason) LIKE ? ESCAPE '!' OR LOWER(author) LIKE ? ESCAPE '!')`
	err = s.s.read(ctx, func(t tx) error {
		if search == "" {
			out, err = readBans(t, `SELECT `+banColumns+` FROM ban WHERE host IN
				(SELECT DISTINCT host FROM ban WHERE host > ? ORDER BY host LIMIT ?) ORDER BY host, kind`, after, pageOf(limit))
			return err
		}
		p := containing(search)
		out, err = readBans(t, `SELECT `+banColumns+` FROM ban WHERE host IN
			(SELECT DISTINCT host FROM ban WHERE host > ? AND `+found+` ORDER BY host LIMIT ?) AND `+found+` ORDER BY host, kind`,
			after, p, p, p, pageOf(limit), p, p, p)
		return err
	})
	return out, err
}

// Sweep implements store.Bans.
func (s *bans) Sweep(ctx context.Context, before time.Time) (int, error) {
	const ended = `kind IN (0, 1, 2) AND until > 0 AND until < ?` // the kinds let the index serve
	due, err := s.s.get(ctx, `SELECT 1 FROM ban WHERE `+ended+` LIMIT 1`, []any{before}, func(row) error { return nil })
	if err != nil || !due {
		return 0, err
	}
	removed := 0
	err = s.change(ctx, s.s.remove, "sweep bans", func(t *txn) error {
		removed, err = unban(t, `DELETE FROM ban WHERE until > 0 AND until < ? AND (host, kind) IN
			(SELECT host, kind FROM ban WHERE `+ended+` LIMIT ?) RETURNING kind`, before, before, sweepStep)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
