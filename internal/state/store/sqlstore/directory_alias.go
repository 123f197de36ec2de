package sqlstore

import (
	"context"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

const aliasColumns = `address_key, address, is_group, title, send_as, created`

// scanAlias returns the row without its targets, and its key.
func scanAlias(r row) (store.AliasRow, string, error) {
	a := store.AliasRow{Group: boolAt(r, 2), Title: r.text(3), SendAs: boolAt(r, 4), Created: timeAt(r, 5)}
	var err error
	a.Address, err = parseStored(r.text(1))
	return a, r.text(0), err
}

func readTargets(t tx, a *store.AliasRow, key string) error {
	return t.query(`SELECT target FROM alias_target WHERE alias_key = ? ORDER BY position`, []any{key}, func(r row) error {
		addr, err := parseStored(r.text(0))
		a.Targets = append(a.Targets, addr)
		return err
	})
}

func readAlias(t tx, key string) (*store.AliasRow, error) {
	var a store.AliasRow
	found, err := one(t, `SELECT `+aliasColumns+` FROM alias WHERE address_key = ?`, []any{key}, func(r row) (err error) {
		a, _, err = scanAlias(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("alias %s: %w", key, store.ErrNotFound)
	}
	return &a, readTargets(t, &a, key)
}

// PutAlias implements store.Directory: it inserts or replaces; ErrExists when
// the address belongs to an account.
func (d *directory) PutAlias(ctx context.Context, base int64, a store.AliasRow) error {
	return d.change(ctx, d.s.write, "put alias "+a.Address.String(), func(t *txn) error {
		if err := changeOf(t, base); err != nil {
			return err
		}
		key := a.Address.Key()
		if err := t.put(`DELETE FROM address WHERE address_key = ? AND account_id = 0`, key); err != nil {
			return err
		}
		if err := putAddresses(t, 0, []mail.Address{a.Address}); err != nil {
			return err
		}
		err := t.put(`INSERT INTO alias (address_key, address, domain, is_group, title, send_as, created) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (address_key) DO UPDATE SET address = excluded.address, is_group = excluded.is_group, title = excluded.title,
			send_as = excluded.send_as, created = excluded.created`,
			key, a.Address.String(), a.Address.Domain, a.Group, a.Title, a.SendAs, a.Created)
		if err != nil {
			return err
		}
		if err := t.put(`DELETE FROM alias_target WHERE alias_key = ?`, key); err != nil {
			return err
		}
		for i, target := range a.Targets {
			err := t.put(`INSERT INTO alias_target (alias_key, position, target_key, target) VALUES (?, ?, ?, ?)`, key, i, target.Key(), target.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveAlias implements store.Directory.
func (d *directory) RemoveAlias(ctx context.Context, addr mail.Address) error {
	return d.change(ctx, d.s.remove, "remove alias "+addr.String(), func(t *txn) error {
		key := addr.Key()
		n, err := t.exec(`DELETE FROM alias WHERE address_key = ?`, key)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		if err := t.put(`DELETE FROM alias_target WHERE alias_key = ?`, key); err != nil {
			return err
		}
		return t.put(`DELETE FROM address WHERE address_key = ? AND account_id = 0`, key)
	})
}

// ListAliases implements store.Directory.
func (d *directory) ListAliases(ctx context.Context, domain, after string, limit int) ([]store.AliasRow, error) {
	if domain == "" {
		return d.aliases(ctx, `SELECT `+aliasColumns+` FROM alias WHERE address_key > ? ORDER BY address_key LIMIT ?`,
			keyOf(after), pageSize(limit))
	}
	return d.aliases(ctx, `SELECT `+aliasColumns+` FROM alias WHERE domain = ? AND address_key > ? ORDER BY address_key LIMIT ?`,
		domain, keyOf(after), pageSize(limit))
}

// GroupsOf implements store.Directory.
func (d *directory) GroupsOf(ctx context.Context, addr mail.Address) ([]store.AliasRow, error) {
	return d.aliases(ctx, `SELECT `+aliasColumns+` FROM alias WHERE address_key IN
		(SELECT alias_key FROM alias_target WHERE target_key = ?) ORDER BY address_key`, addr.Key())
}

// aliases runs a query for aliases and reads their targets.
func (d *directory) aliases(ctx context.Context, query string, args ...any) (out []store.AliasRow, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		var keys []string
		err := t.query(query, args, func(r row) error {
			a, key, err := scanAlias(r)
			out, keys = append(out, a), append(keys, key)
			return err
		})
		for i := range out {
			if err == nil {
				err = readTargets(t, &out[i], keys[i])
			}
		}
		return err
	})
	return out, err
}
