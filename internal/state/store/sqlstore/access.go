package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

// access implements store.Access.
type access struct{ versioned }

const (
	accessCounter = "access"
	accessIDs     = "access_rule"
	accessColumns = `id, name, block, kind, value, discard, from_field, authenticated, disabled, owner, reason, author, created, expires, hits, last_hit, version`
)

func scanAccess(r row) store.AccessRow {
	return store.AccessRow{ID: r.int(0), Name: r.text(1), Block: boolAt(r, 2), Kind: r.text(3), Value: r.text(4),
		Discard: boolAt(r, 5), FromField: boolAt(r, 6), Authenticated: boolAt(r, 7), Disabled: boolAt(r, 8),
		Owner: r.text(9), Reason: r.text(10), Author: r.text(11), Created: timeAt(r, 12), Expires: timeAt(r, 13),
		Hits: r.int(14), LastHit: timeAt(r, 15), Version: r.int(16)}
}

func readAccess(t tx, query string, args ...any) (out []store.AccessRow, err error) {
	err = t.query(query, args, func(r row) error {
		out = append(out, scanAccess(r))
		return nil
	})
	return out, err
}

// folded is the text that searches look at.
func folded(r store.AccessRow) string {
	return strings.ToLower(strings.Join([]string{r.Name, r.Value, r.Owner, r.Reason}, "\n"))
}

// freeName refuses a name that a rule other than id has. Changes follow each
// other, so nobody takes it meanwhile.
func freeName(t *txn, name string, id int64) error {
	taken, err := one(t, `SELECT 1 FROM access_rule WHERE name_key = ? AND id <> ?`, []any{strings.ToLower(name), id}, func(row) error { return nil })
	if err == nil && taken {
		err = store.ErrExists
	}
	return err
}

// Add implements store.Access.
func (a *access) Add(ctx context.Context, r store.AccessRow) (id int64, err error) {
	err = a.change(ctx, a.s.write, "add rule "+r.Name, func(t *txn) error {
		id, err = addRule(t, r)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

func addRule(t *txn, r store.AccessRow) (id int64, err error) {
	if r.Name == "" {
		return 0, fmt.Errorf("no name: %w", store.ErrInvalid)
	}
	if err := freeName(t, r.Name, 0); err != nil {
		return 0, err
	}
	if id, err = t.newID(accessIDs); err != nil {
		return 0, err
	}
	return id, t.put(`INSERT INTO access_rule (id, name_key, name, folded, block, kind, value, discard, from_field, authenticated,
		disabled, owner, reason, author, created, expires, hits, last_hit, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 1)`,
		id, strings.ToLower(r.Name), r.Name, folded(r), r.Block, r.Kind, r.Value, r.Discard, r.FromField, r.Authenticated,
		r.Disabled, r.Owner, r.Reason, r.Author, r.Created, r.Expires)
}

// Set implements store.Access.
func (a *access) Set(ctx context.Context, r store.AccessRow) error {
	return a.change(ctx, a.s.write, "set rule "+r.Name, func(t *txn) error { return setRule(t, r) })
}

func setRule(t *txn, r store.AccessRow) error {
	var stored int64
	found, err := one(t, `SELECT version FROM access_rule WHERE id = ?`, []any{r.ID}, func(row row) error { stored = row.int(0); return nil })
	switch {
	case err != nil:
		return err
	case r.Name == "":
		return fmt.Errorf("no name: %w", store.ErrInvalid)
	case !found:
		return store.ErrNotFound
	case stored != r.Version:
		return store.ErrConflict
	}
	if err := freeName(t, r.Name, r.ID); err != nil {
		return err
	}
	return t.put(`UPDATE access_rule SET name_key = ?, name = ?, folded = ?, block = ?, kind = ?, value = ?, discard = ?, from_field = ?,
		authenticated = ?, disabled = ?, owner = ?, reason = ?, author = ?, created = ?, expires = ?, version = version + 1 WHERE id = ?`,
		strings.ToLower(r.Name), r.Name, folded(r), r.Block, r.Kind, r.Value, r.Discard, r.FromField,
		r.Authenticated, r.Disabled, r.Owner, r.Reason, r.Author, r.Created, r.Expires, r.ID)
}

// Remove implements store.Access.
func (a *access) Remove(ctx context.Context, id int64) error {
	return a.change(ctx, a.s.remove, fmt.Sprintf("remove rule %d", id), func(t *txn) error { return removeRule(t, id) })
}

func removeRule(t *txn, id int64) error {
	n, err := t.exec(`DELETE FROM access_rule WHERE id = ?`, id)
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}

// Apply implements store.Access.
func (a *access) Apply(ctx context.Context, c store.AccessChange) error {
	return a.change(ctx, a.s.write, "change rules", func(t *txn) error {
		for _, id := range c.Remove {
			if err := removeRule(t, id); err != nil {
				return fmt.Errorf("remove rule %d: %w", id, err)
			}
		}
		for _, r := range c.Set {
			if err := setRule(t, r); err != nil {
				return fmt.Errorf("set rule %s: %w", r.Name, err)
			}
		}
		for _, r := range c.Add {
			if _, err := addRule(t, r); err != nil {
				return fmt.Errorf("add rule %s: %w", r.Name, err)
			}
		}
		return nil
	})
}

// Get implements store.Access.
func (a *access) Get(ctx context.Context, name string) (out store.AccessRow, err error) {
	found, err := a.s.get(ctx, `SELECT `+accessColumns+` FROM access_rule WHERE name_key = ?`, []any{strings.ToLower(name)}, func(r row) error {
		out = scanAccess(r)
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("rule %s: %w", name, store.ErrNotFound)
	}
	return out, err
}

// List implements store.Access.
func (a *access) List(ctx context.Context, f store.AccessFilter) (out []store.AccessRow, err error) {
	err = a.s.read(ctx, func(t tx) error {
		query, args := `SELECT `+accessColumns+` FROM access_rule WHERE name_key > ?`, []any{strings.ToLower(f.After)}
		if f.Block != nil {
			query, args = query+` AND block = ?`, append(args, *f.Block)
		}
		if f.Kind != "" {
			query, args = query+` AND kind = ?`, append(args, f.Kind)
		}
		if f.Search != "" {
			query, args = query+` AND folded LIKE ? ESCAPE '!'`, append(args, containing(strings.ToLower(f.Search)))
		}
		out, err = readAccess(t, query+` ORDER BY name_key LIMIT ?`, append(args, pageOf(f.Limit))...)
		return err
	})
	return out, err
}

// All implements store.Access.
func (a *access) All(ctx context.Context, now time.Time) (rows []store.AccessRow, version int64, err error) {
	err = a.s.read(ctx, func(t tx) error {
		if version, err = counterValue(t, accessCounter); err != nil {
			return err
		}
		rows, err = readAccess(t, `SELECT `+accessColumns+` FROM access_rule WHERE disabled = 0 AND (expires = 0 OR expires > ?) ORDER BY name_key`, now)
		return err
	})
	return rows, version, err
}

// Hit implements store.Access. Rules come in order of their ids, so that two
// nodes never wait for each other.
func (a *access) Hit(ctx context.Context, hits map[int64]int64, last time.Time) error {
	if len(hits) == 0 {
		return nil
	}
	return a.s.write(ctx, func(t *txn) error {
		for _, id := range slices.Sorted(maps.Keys(hits)) {
			err := t.put(`UPDATE access_rule SET hits = hits + ?, last_hit = CASE WHEN last_hit < ? THEN ? ELSE last_hit END WHERE id = ?`,
				hits[id], last, last, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Sweep implements store.Access.
func (a *access) Sweep(ctx context.Context, before time.Time) (int, error) {
	const over = `expires > 0 AND expires < ?`
	due, err := a.s.get(ctx, `SELECT 1 FROM access_rule WHERE `+over+` LIMIT 1`, []any{before}, func(row) error { return nil })
	if err != nil || !due {
		return 0, err
	}
	return a.delete(ctx, "sweep rules", `DELETE FROM access_rule WHERE `+over+` AND id IN
		(SELECT id FROM access_rule WHERE `+over+` ORDER BY expires LIMIT ?)`, before, before, sweepStep)
}
