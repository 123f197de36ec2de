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

// Put implements store.Bans.
func (s *bans) Put(ctx context.Context, b store.BanRow, most int) error {
	if !b.Host.IsValid() {
		return fmt.Errorf("ban: host: %w", store.ErrInvalid)
	}
	host := b.Host.Masked().String()
	return s.change(ctx, s.s.write, "ban "+host, func(t *txn) error {
		err := t.put(`INSERT INTO ban (host, kind, reason, first, last, failures, until, author) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (host, kind) DO UPDATE SET reason = excluded.reason, first = excluded.first, last = excluded.last,
			failures = excluded.failures, until = excluded.until, author = excluded.author`,
			host, uint8(b.Kind), b.Reason, b.First, b.Last, b.Failures, b.Until, b.Author)
		if err != nil || most <= 0 {
			return err
		}
		return keepMost(t, b.Kind, host, int64(most))
	})
}

// keepMost removes bans of a kind beyond so many, those for ever last.
func keepMost(t *txn, kind store.BanKind, but string, most int64) error {
	var have int64
	_, err := one(t, `SELECT COUNT(*) FROM ban WHERE kind = ?`, []any{uint8(kind)}, func(r row) error { have = r.int(0); return nil })
	if err != nil || have <= most {
		return err
	}
	n, err := t.exec(`DELETE FROM ban WHERE kind = ? AND host IN
		(SELECT host FROM ban WHERE kind = ? AND until > 0 AND host <> ? ORDER BY until, host LIMIT ?)`, uint8(kind), uint8(kind), but, have-most)
	if err != nil || have-n <= most {
		return err
	}
	return t.put(`DELETE FROM ban WHERE kind = ? AND host IN
		(SELECT host FROM ban WHERE kind = ? AND until = 0 AND host <> ? ORDER BY last, host LIMIT ?)`, uint8(kind), uint8(kind), but, have-n-most)
}

// Lift implements store.Bans.
func (s *bans) Lift(ctx context.Context, host netip.Prefix) error {
	name := host.Masked().String()
	return s.change(ctx, s.s.remove, "lift the ban of "+name, func(t *txn) error {
		n, err := t.exec(`DELETE FROM ban WHERE host = ?`, name)
		if err == nil && n == 0 {
			err = store.ErrNotFound
		}
		return err
	})
}

// LiftAll implements store.Bans.
func (s *bans) LiftAll(ctx context.Context, kind *store.BanKind) (int, error) {
	if kind == nil {
		return s.delete(ctx, "lift all bans", `DELETE FROM ban`)
	}
	return s.delete(ctx, "lift all bans of the kind "+kind.String(), `DELETE FROM ban WHERE kind = ?`, uint8(*kind))
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
	return s.delete(ctx, "sweep bans", `DELETE FROM ban WHERE until > 0 AND until < ? AND (host, kind) IN
		(SELECT host, kind FROM ban WHERE `+ended+` LIMIT ?)`, before, before, sweepStep)
}
