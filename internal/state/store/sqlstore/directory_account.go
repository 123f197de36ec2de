package sqlstore

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

const (
	accountColumns = `a.id, a.full_name, a.password, a.scram256, a.scram1, a.admin, a.disabled, a.quota_bytes, a.quota_messages, a.created, a.version,
		a.forward, a.forward_only, a.forwarding`
	// listMostAccounts bounds a page of ListAccounts and ListAliases.
	listMostAccounts = 1000
)

func scanAccount(r row) (store.AccountRow, error) {
	a := store.AccountRow{
		ID: store.AccountID(r.int(0)), FullName: r.text(1), Password: r.text(2), Scram256: r.text(3), Scram1: r.text(4),
		Admin: boolAt(r, 5), Disabled: boolAt(r, 6), QuotaBytes: r.int(7), QuotaMessages: r.int(8), Created: timeAt(r, 9), Version: r.int(10),
		ForwardOnly: boolAt(r, 12), Forwarding: store.Choice(r.int(13)),
	}
	for text := range lines(r.text(11)) {
		addr, err := parseStored(text)
		if err != nil {
			return a, err
		}
		a.Forward = append(a.Forward, addr)
	}
	return a, nil
}

// lines are the items of a list stored as text.
func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			item, rest, _ := strings.Cut(text, "\n")
			if !yield(item) {
				return
			}
			text = rest
		}
	}
}

// listed is a list as text.
func listed[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, "\n")
}

// AddAccount implements store.Directory.
func (d *directory) AddAccount(ctx context.Context, a store.AccountRow) (id store.AccountID, err error) {
	if len(a.Addresses) == 0 {
		return 0, fmt.Errorf("add account: no address: %w", store.ErrInvalid)
	}
	err = d.change(ctx, d.s.write, "add account "+a.Addresses[0].String(), func(t *txn) error {
		n, err := t.newID("account")
		if err != nil {
			return err
		}
		id = store.AccountID(n)
		err = t.put(`INSERT INTO account (id, full_name, password, scram256, scram1, admin, disabled, quota_bytes, quota_messages, created, version,
			forward, forward_only, forwarding) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
			id, a.FullName, a.Password, a.Scram256, a.Scram1, a.Admin, a.Disabled, a.QuotaBytes, a.QuotaMessages, a.Created,
			listed(a.Forward), a.ForwardOnly, uint8(a.Forwarding))
		if err != nil {
			return err
		}
		if err := putAddresses(t, id, a.Addresses); err != nil {
			return err
		}
		return t.openMail(id)
	})
	return id, err
}

// putAddresses gives addresses to an account (id 0: to an alias).
func putAddresses(t *txn, id store.AccountID, addresses []mail.Address) error {
	for i, a := range addresses {
		n, err := t.exec(`INSERT INTO address (address_key, address, domain, account_id, position) VALUES (?, ?, ?, ?, ?) ON CONFLICT (address_key) DO NOTHING`,
			a.Key(), a.String(), a.Domain, id, i)
		if err == nil && n == 0 {
			err = fmt.Errorf("address %s: %w", a, store.ErrExists)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SetAccount implements store.Directory.
func (d *directory) SetAccount(ctx context.Context, a store.AccountRow) error {
	if len(a.Addresses) == 0 {
		return fmt.Errorf("set account %d: no address: %w", a.ID, store.ErrInvalid)
	}
	return d.change(ctx, d.s.write, fmt.Sprintf("set account %d", a.ID), func(t *txn) error {
		return keepAdministrator(t, func() error { return setAccount(t, a) })
	})
}

func setAccount(t *txn, a store.AccountRow) error {
	n, err := t.exec(`UPDATE account SET full_name = ?, password = ?, scram256 = ?, scram1 = ?, admin = ?, disabled = ?,
		quota_bytes = ?, quota_messages = ?, created = ?, forward = ?, forward_only = ?, forwarding = ?, version = version + 1 WHERE id = ? AND version = ?`,
		a.FullName, a.Password, a.Scram256, a.Scram1, a.Admin, a.Disabled, a.QuotaBytes, a.QuotaMessages, a.Created,
		listed(a.Forward), a.ForwardOnly, uint8(a.Forwarding), a.ID, a.Version)
	if err != nil {
		return err
	}
	if n == 0 {
		return missingOrChanged(t, a.ID)
	}
	if err := t.put(`DELETE FROM address WHERE account_id = ?`, a.ID); err != nil {
		return err
	}
	if err := putAddresses(t, a.ID, a.Addresses); err != nil {
		return err
	}
	t.forget(a.ID)
	return nil
}

// keepAdministrator refuses a change that leaves no administrator who can log
// in, if there was one. Changes of the directory follow each other, so two of
// them cannot take each other's.
func keepAdministrator(t *txn, change func() error) error {
	was, err := administered(t)
	if err == nil {
		err = change()
	}
	if err != nil || !was {
		return err
	}
	is, err := administered(t)
	if err == nil && !is {
		err = store.ErrLastAdministrator
	}
	return err
}

// administered reports an administrator who is not disabled, and has an address
// in a domain that is not.
func administered(t *txn) (bool, error) {
	return one(t, `SELECT 1 FROM account a WHERE a.admin = 1 AND a.disabled = 0 AND EXISTS (SELECT 1 FROM address o WHERE o.account_id = a.id
		AND NOT EXISTS (SELECT 1 FROM domain d WHERE d.name = o.domain AND d.disabled = 1)) LIMIT 1`, nil, func(row) error { return nil })
}

func missingOrChanged(t *txn, id store.AccountID) error {
	found, err := one(t, `SELECT 1 FROM account WHERE id = ?`, []any{id}, func(row) error { return nil })
	if err != nil {
		return err
	}
	if found {
		return store.ErrConflict
	}
	return store.ErrNotFound
}

// RemoveAccount implements store.Directory. Targets of aliases that name it
// stay; nobody has the address then.
func (d *directory) RemoveAccount(ctx context.Context, id store.AccountID) error {
	return d.change(ctx, d.s.remove, fmt.Sprintf("remove account %d", id), func(t *txn) error {
		return keepAdministrator(t, func() error {
			n, err := t.exec(`DELETE FROM account WHERE id = ?`, id)
			if err != nil {
				return err
			}
			if n == 0 {
				return store.ErrNotFound
			}
			if err := t.put(`DELETE FROM address WHERE account_id = ?`, id); err != nil {
				return err
			}
			return t.closeMail(id)
		})
	})
}

// GetAccount implements store.Directory.
func (d *directory) GetAccount(ctx context.Context, id store.AccountID) (a store.AccountRow, err error) {
	err = d.s.read(ctx, func(t tx) error {
		found, err := one(t, `SELECT `+accountColumns+` FROM account a WHERE a.id = ?`, []any{id}, func(r row) (err error) { a, err = scanAccount(r); return err })
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("account %d: %w", id, store.ErrNotFound)
		}
		return readAddresses(t, &a)
	})
	return a, err
}

func readAddresses(t tx, a *store.AccountRow) error {
	return t.query(`SELECT address FROM address WHERE account_id = ? ORDER BY position`, []any{a.ID}, func(r row) error {
		addr, err := parseStored(r.text(0))
		a.Addresses = append(a.Addresses, addr)
		return err
	})
}

// Administrators implements store.Directory.
func (d *directory) Administrators(ctx context.Context) (out []store.AccountID, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT id FROM account WHERE admin = 1 AND disabled = 0 ORDER BY id`, nil, func(r row) error {
			out = append(out, store.AccountID(r.int(0)))
			return nil
		})
	})
	return out, err
}

// ListAccounts implements store.Directory.
func (d *directory) ListAccounts(ctx context.Context, domain, after string, limit int) (out []store.AccountRow, err error) {
	const (
		from = `SELECT ` + accountColumns + ` FROM address p JOIN account a ON a.id = p.account_id WHERE p.position = 0 AND p.address_key > ? `
		page = `ORDER BY p.address_key LIMIT ?`
	)
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		add := func(r row) error {
			a, err := scanAccount(r)
			out = append(out, a)
			return err
		}
		if domain == "" {
			err = t.query(from+page, []any{keyOf(after), pageSize(limit)}, add)
		} else {
			err = t.query(from+`AND p.domain = ? `+page, []any{keyOf(after), domain, pageSize(limit)}, add)
		}
		for i := range out {
			if err == nil {
				err = readAddresses(t, &out[i])
			}
		}
		return err
	})
	return out, err
}

func pageSize(limit int) int {
	if limit <= 0 || limit > listMostAccounts {
		return listMostAccounts
	}
	return limit
}

// keyOf is the key of an address in text form, or the text itself.
func keyOf(text string) string {
	if a, err := parseStored(text); err == nil {
		return a.Key()
	}
	return text
}
