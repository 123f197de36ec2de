package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"posthorn/internal/state/store"
)

// greylist implements store.Greylist.
type greylist struct {
	s *Store
	// entries is about how many there are, below 0 when that is not known yet:
	// what this node counted last and added since.
	entries  atomic.Int64
	counting sync.Mutex
	// counted: the sweep under way counted already.
	counted atomic.Bool
}

func newGreylist(s *Store) *greylist {
	g := &greylist{s: s}
	g.entries.Store(-1)
	return g
}

const greylistColumns = `client, first, confirmed, last, deferred, passed, sender, recipient, helo`

func scanGreylist(r row) store.GreylistRow {
	return store.GreylistRow{Key: r.text(0), First: timeAt(r, 1), Confirmed: timeAt(r, 2), Last: timeAt(r, 3),
		Deferred: r.int(4), Passed: r.int(5), Sender: r.text(6), Recipient: r.text(7), Helo: r.text(8)}
}

// greylistText is how many octets of a text are kept.
const greylistText = 64

// shorten keeps the beginning of a text, in whole characters.
func shorten(text string) string {
	if len(text) <= greylistText {
		return text
	}
	n := greylistText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// Attempt implements store.Greylist.
func (g *greylist) Attempt(ctx context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (row store.GreylistRow, wait time.Duration, err error) {
	if a.Key == "" {
		return row, 0, fmt.Errorf("greylist: no client: %w", store.ErrInvalid)
	}
	if err := g.countOnce(ctx); err != nil {
		return row, 0, err
	}
	now = fromMicro(toMicro(now))
	err = g.s.write(ctx, func(t *txn) error {
		row, wait, err = g.attempt(t, g.abridged(a, r), now, r)
		return err
	})
	if err != nil {
		return store.GreylistRow{}, 0, fmt.Errorf("greylist %s: %w", a.Key, err)
	}
	return row, wait, nil
}

// attempt judges until the entry is the one it judged: another node may make it
// meanwhile.
func (g *greylist) attempt(t *txn, a store.GreylistRow, now time.Time, r store.GreylistRules) (row store.GreylistRow, wait time.Duration, err error) {
	for range attempts {
		have, known, err := g.find(t, a.Key)
		if err != nil {
			return row, 0, err
		}
		row, wait = r.Judge(have, known, now)
		row.Key, row.Sender, row.Recipient, row.Helo = a.Key, a.Sender, a.Recipient, a.Helo
		if known {
			return row, wait, update(t, row)
		}
		if mine, err := g.add(t, row, r); err != nil || mine {
			return row, wait, err
		}
	}
	return row, 0, store.ErrUnavailable
}

// find reads an entry and holds it until the end of the transaction.
func (g *greylist) find(t *txn, key string) (have store.GreylistRow, known bool, err error) {
	query := `SELECT ` + greylistColumns + ` FROM greylist WHERE client = ?`
	if t.lock {
		query += ` FOR UPDATE`
	}
	known, err = one(t, query, []any{key}, func(r row) error {
		have = scanGreylist(r)
		return nil
	})
	return have, known, err
}

func update(t *txn, row store.GreylistRow) error {
	return t.put(`UPDATE greylist SET first = ?, confirmed = ?, last = ?, deferred = ?, passed = ?, sender = ?, recipient = ?, helo = ? WHERE client = ?`,
		row.First, row.Confirmed, row.Last, row.Deferred, row.Passed, row.Sender, row.Recipient, row.Helo, row.Key)
}

// add keeps a new entry, in place of an old one when there are too many. It
// reports whether the client was unknown until now.
func (g *greylist) add(t *txn, row store.GreylistRow, r store.GreylistRules) (bool, error) {
	if r.Most > 0 && g.entries.Load() >= int64(r.Most) {
		if _, err := g.evict(t, 1); err != nil {
			return false, err
		}
	}
	n, err := t.exec(`INSERT INTO greylist (client, first, confirmed, last, deferred, passed, sender, recipient, helo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (client) DO NOTHING`,
		row.Key, row.First, row.Confirmed, row.Last, row.Deferred, row.Passed, row.Sender, row.Recipient, row.Helo)
	if err != nil || n == 0 {
		return false, err
	}
	g.changed(t, 1)
	return true, nil
}

// count sets entries to what a reader sees.
func (g *greylist) count(ctx context.Context) error {
	_, err := g.s.get(ctx, `SELECT COUNT(*) FROM greylist`, nil, func(r row) error {
		g.entries.Store(r.int(0))
		return nil
	})
	return err
}

// countOnce is count where nobody has counted yet.
func (g *greylist) countOnce(ctx context.Context) error {
	if g.entries.Load() >= 0 {
		return nil
	}
	g.counting.Lock()
	defer g.counting.Unlock()
	if g.entries.Load() >= 0 {
		return nil
	}
	return g.count(ctx)
}

// changed books n entries more, once the transaction is durable.
func (g *greylist) changed(t *txn, n int64) {
	t.onCommit(func() {
		for {
			old := g.entries.Load()
			if old < 0 || g.entries.CompareAndSwap(old, max(0, old+n)) {
				return
			}
		}
	})
}

// abridged is an attempt with what is kept of it for people.
func (g *greylist) abridged(a store.GreylistRow, r store.GreylistRules) store.GreylistRow {
	if r.Most > 0 && g.entries.Load() >= int64(r.Most+3)/4 {
		return store.GreylistRow{Key: a.Key}
	}
	return store.GreylistRow{Key: a.Key, Sender: shorten(a.Sender), Recipient: shorten(a.Recipient), Helo: shorten(a.Helo)}
}

// Get implements store.Greylist.
func (g *greylist) Get(ctx context.Context, key string) (out store.GreylistRow, err error) {
	found, err := g.s.get(ctx, `SELECT `+greylistColumns+` FROM greylist WHERE client = ?`, []any{key}, func(r row) error {
		out = scanGreylist(r)
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("greylist %s: %w", key, store.ErrNotFound)
	}
	return out, err
}

// Confirm implements store.Greylist.
func (g *greylist) Confirm(ctx context.Context, key string, now time.Time) error {
	if key == "" {
		return fmt.Errorf("greylist: no client: %w", store.ErrInvalid)
	}
	return g.s.write(ctx, func(t *txn) error {
		n, err := t.exec(`UPDATE greylist SET first = ?, confirmed = ? WHERE client = ?`, now, now, key)
		if err != nil || n > 0 {
			return err
		}
		g.changed(t, 1)
		return t.put(`INSERT INTO greylist (client, first, confirmed, last, deferred, passed, sender, recipient, helo) VALUES (?, ?, ?, 0, 0, 0, '', '', '')
			ON CONFLICT (client) DO UPDATE SET first = excluded.first, confirmed = excluded.confirmed`, key, now, now)
	})
}

// Remove implements store.Greylist.
func (g *greylist) Remove(ctx context.Context, key string) error {
	return g.s.remove(ctx, func(t *txn) error {
		n, err := t.exec(`DELETE FROM greylist WHERE client = ?`, key)
		if err == nil && n == 0 {
			err = fmt.Errorf("greylist %s: %w", key, store.ErrNotFound)
		}
		g.changed(t, -n)
		return err
	})
}

// Reset implements store.Greylist.
func (g *greylist) Reset(ctx context.Context) (n int, err error) {
	err = g.s.remove(ctx, func(t *txn) error {
		removed, err := t.exec(`DELETE FROM greylist`)
		n = int(removed)
		g.changed(t, -removed)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Count implements store.Greylist.
func (g *greylist) Count(ctx context.Context) (total, confirmed int64, err error) {
	_, err = g.s.get(ctx, `SELECT COUNT(*), COUNT(CASE WHEN confirmed > 0 THEN 1 END) FROM greylist`, nil, func(r row) error {
		total, confirmed = r.int(0), r.int(1)
		return nil
	})
	return total, confirmed, err
}
