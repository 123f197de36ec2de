package sqlstore

import (
	"context"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// directory implements store.Directory. Its version is a row of counter that
// every change raises, which also makes changes of several nodes follow each
// other.
type directory struct {
	s       *Store
	changed chan struct{}
}

func newDirectory(s *Store) *directory { return &directory{s: s, changed: make(chan struct{}, 1)} }

const directoryCounter = "directory"

// Changed implements store.Directory.
func (d *directory) Changed() <-chan struct{} { return d.changed }

// Version implements store.Directory.
func (d *directory) Version(ctx context.Context) (v int64, err error) {
	err = d.s.read(ctx, func(t tx) error {
		v, err = counterValue(t, directoryCounter)
		return err
	})
	return v, err
}

// change runs fn in a transaction that raises the version.
func (d *directory) change(ctx context.Context, write func(context.Context, func(*txn) error) error, what string, fn func(t *txn) error) error {
	err := write(ctx, func(t *txn) error {
		if err := t.put(`INSERT INTO counter (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1`, directoryCounter); err != nil {
			return err
		}
		t.onCommit(func() { hint(d.changed) })
		return fn(t)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

const domainColumns = `name, catch_all, separator, disabled, created, forwarding`

func scanDomain(r row) (store.DomainRow, error) {
	d := store.DomainRow{Name: r.text(0), Separator: r.text(2), Disabled: boolAt(r, 3), Created: timeAt(r, 4), Forwarding: store.Choice(r.int(5))}
	var err error
	d.CatchAll, err = parseStored(r.text(1))
	return d, err
}

// Domains implements store.Directory.
func (d *directory) Domains(ctx context.Context) (out []store.DomainRow, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT `+domainColumns+` FROM domain ORDER BY name`, nil, func(r row) error {
			dom, err := scanDomain(r)
			out = append(out, dom)
			return err
		})
	})
	return out, err
}

// Domain implements store.Directory.
func (d *directory) Domain(ctx context.Context, name string) (dom store.DomainRow, err error) {
	err = d.s.read(ctx, func(t tx) error {
		found, err := one(t, `SELECT `+domainColumns+` FROM domain WHERE name = ?`, []any{name}, func(r row) (err error) {
			dom, err = scanDomain(r)
			return err
		})
		if err == nil && !found {
			err = fmt.Errorf("domain %s: %w", name, store.ErrNotFound)
		}
		return err
	})
	return dom, err
}

// PutDomain implements store.Directory.
func (d *directory) PutDomain(ctx context.Context, base int64, dom store.DomainRow) error {
	return d.change(ctx, d.s.write, "put domain "+dom.Name, func(t *txn) error {
		if err := changeOf(t, base); err != nil {
			return err
		}
		if err := notRelayed(t, dom.Name); err != nil {
			return err
		}
		return keepAdministrator(t, func() error {
			return t.put(`INSERT INTO domain (name, catch_all, separator, disabled, created, forwarding) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET catch_all = excluded.catch_all, separator = excluded.separator,
				disabled = excluded.disabled, created = excluded.created, forwarding = excluded.forwarding`,
				dom.Name, dom.CatchAll.String(), dom.Separator, dom.Disabled, dom.Created, uint8(dom.Forwarding))
		})
	})
}

// RemoveDomain implements store.Directory.
func (d *directory) RemoveDomain(ctx context.Context, name string) error {
	return d.change(ctx, d.s.remove, "remove domain "+name, func(t *txn) error {
		used, err := one(t, `SELECT 1 FROM address WHERE domain = ? LIMIT 1`, []any{name}, func(row) error { return nil })
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("addresses exist in it: %w", store.ErrInvalid)
		}
		n, err := t.exec(`DELETE FROM domain WHERE name = ?`, name)
		if err == nil && n == 0 {
			err = store.ErrNotFound
		}
		return err
	})
}

// Owner implements store.Directory.
func (d *directory) Owner(ctx context.Context, addr mail.Address) (o store.AddressOwner, err error) {
	key := addr.Key()
	err = d.s.read(ctx, func(t tx) error {
		o = store.AddressOwner{}
		found, err := one(t, `SELECT a.account_id, c.disabled, c.quota_bytes + c.quota_messages, c.forward FROM address a LEFT JOIN account c ON c.id = a.account_id WHERE a.address_key = ?`,
			[]any{key}, func(r row) error {
				o.Account = store.AccountID(r.int(0))
				o.Disabled = !r.null(1) && boolAt(r, 1)
				o.Unlimited = !r.null(2) && r.int(2) == 0
				o.Forwards = !r.null(3) && r.text(3) != ""
				return nil
			})
		if err != nil || found && o.Account != 0 {
			return err
		}
		if found {
			o.Alias, err = readAlias(t, key)
			return err
		}
		return fmt.Errorf("address %s: %w", addr, store.ErrNotFound)
	})
	return o, err
}
