package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// nameKey is the form relay domains are stored by.
func nameKey(name string) string { return mail.FoldLocal(name) }

const relayDomainColumns = `name, domain, listed, hosts, port, secure, any_certificate, fingerprint, disabled, created`

func scanRelayDomain(r row) store.RelayDomain {
	return store.RelayDomain{
		Name: r.text(0), Domain: r.text(1), Listed: boolAt(r, 2), Disabled: boolAt(r, 8), Created: timeAt(r, 9),
		Next: store.RelayHost{Hosts: slices.Collect(lines(r.text(3))), Port: uint16(r.int(4)), Secure: boolAt(r, 5), AnyCertificate: boolAt(r, 6), Fingerprint: r.text(7)},
	}
}

// RelayDomains implements store.Relays.
func (d *directory) RelayDomains(ctx context.Context) (out []store.RelayDomain, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT `+relayDomainColumns+` FROM relay_domain ORDER BY domain`, nil, func(r row) error {
			out = append(out, scanRelayDomain(r))
			return nil
		})
	})
	return out, err
}

// notRelayed refuses to host a relay domain.
func notRelayed(t tx, domain string) error {
	var rule string
	found, err := one(t, `SELECT name FROM relay_domain WHERE domain = ?`, []any{domain}, func(r row) error { rule = r.text(0); return nil })
	if err == nil && found {
		err = fmt.Errorf("%s is a relay domain (rule %q); remove the rule first: %w", domain, rule, store.ErrInvalid)
	}
	return err
}

// changeOf refuses a change that was made from another version of the directory
// than the one it meets.
func changeOf(t *txn, base int64) error {
	if base == store.AnyVersion {
		return nil
	}
	now, err := counterValue(t, directoryCounter)
	if err == nil && now != base+1 { // the change has raised it already
		err = store.ErrConflict
	}
	return err
}

// PutRelayDomain implements store.Relays.
func (d *directory) PutRelayDomain(ctx context.Context, base int64, dom store.RelayDomain) error {
	return d.change(ctx, d.s.write, "put relay domain "+dom.Name, func(t *txn) error {
		if err := changeOf(t, base); err != nil {
			return err
		}
		hosted, err := one(t, `SELECT 1 FROM domain WHERE name = ?`, []any{dom.Domain}, func(row) error { return nil })
		if err == nil && hosted {
			err = fmt.Errorf("%s is hosted here; remove the domain first: %w", dom.Domain, store.ErrInvalid)
		}
		if err != nil {
			return err
		}
		key, other := nameKey(dom.Name), ""
		taken, err := one(t, `SELECT name FROM relay_domain WHERE domain = ? AND name_key <> ?`, []any{dom.Domain, key}, func(r row) error { other = r.text(0); return nil })
		if err == nil && taken {
			err = fmt.Errorf("domain %s has the rule %q: %w", dom.Domain, other, store.ErrExists)
		}
		if err != nil {
			return err
		}
		return t.put(`INSERT INTO relay_domain (name_key, `+relayDomainColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name_key) DO UPDATE SET name = excluded.name, domain = excluded.domain, listed = excluded.listed,
			hosts = excluded.hosts, port = excluded.port, secure = excluded.secure, any_certificate = excluded.any_certificate,
			fingerprint = excluded.fingerprint, disabled = excluded.disabled, created = excluded.created`,
			key, dom.Name, dom.Domain, dom.Listed, strings.Join(dom.Next.Hosts, "\n"), int(dom.Next.Port), dom.Next.Secure,
			dom.Next.AnyCertificate, dom.Next.Fingerprint, dom.Disabled, dom.Created)
	})
}

// RemoveRelayDomain implements store.Relays.
func (d *directory) RemoveRelayDomain(ctx context.Context, name string) error {
	return d.change(ctx, d.s.remove, "remove relay domain "+name, func(t *txn) error {
		n, err := t.exec(`DELETE FROM relay_domain WHERE name_key = ?`, nameKey(name))
		if err == nil && n == 0 {
			err = store.ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.put(`DELETE FROM relay_recipient WHERE name_key = ?`, nameKey(name))
	})
}

// AddRelayRecipients implements store.Relays.
func (d *directory) AddRelayRecipients(ctx context.Context, name string, addrs []mail.Address) error {
	return d.changeRecipients(ctx, d.s.write, "add recipients of "+name, name, addrs, func(t *txn, key string, a mail.Address) error {
		return t.put(`INSERT INTO relay_recipient (name_key, address_key, address) VALUES (?, ?, ?) ON CONFLICT (name_key, address_key) DO NOTHING`,
			key, a.Key(), a.String())
	})
}

// DropRelayRecipients implements store.Relays.
func (d *directory) DropRelayRecipients(ctx context.Context, name string, addrs []mail.Address) error {
	return d.changeRecipients(ctx, d.s.remove, "drop recipients of "+name, name, addrs, func(t *txn, key string, a mail.Address) error {
		return t.put(`DELETE FROM relay_recipient WHERE name_key = ? AND address_key = ?`, key, a.Key())
	})
}

func (d *directory) changeRecipients(ctx context.Context, write func(context.Context, func(*txn) error) error, what, name string, addrs []mail.Address, each func(*txn, string, mail.Address) error) error {
	key := nameKey(name)
	return d.change(ctx, write, what, func(t *txn) error {
		found, err := one(t, `SELECT 1 FROM relay_domain WHERE name_key = ?`, []any{key}, func(row) error { return nil })
		if err == nil && !found {
			err = store.ErrNotFound
		}
		for _, a := range addrs {
			if err == nil {
				err = each(t, key, a)
			}
		}
		return err
	})
}

// RelayRecipients implements store.Relays.
func (d *directory) RelayRecipients(ctx context.Context, name, after string, limit int) (out []mail.Address, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT address FROM relay_recipient WHERE name_key = ? AND address_key > ? ORDER BY address_key LIMIT ?`,
			[]any{nameKey(name), keyOf(after), pageSize(limit)}, func(r row) error {
				a, err := parseStored(r.text(0))
				out = append(out, a)
				return err
			})
	})
	return out, err
}

// HasRelayRecipient implements store.Relays.
func (d *directory) HasRelayRecipient(ctx context.Context, name string, addr mail.Address) (has bool, err error) {
	err = d.s.read(ctx, func(t tx) error {
		has, err = one(t, `SELECT 1 FROM relay_recipient WHERE name_key = ? AND address_key = ?`, []any{nameKey(name), addr.Key()}, func(row) error { return nil })
		return err
	})
	return has, err
}

const relayRuleColumns = `name, by_sender, targets, hosts, port, secure, any_certificate, fingerprint, login, password, clear_login, disabled, created`

func scanRelayRule(r row) store.RelayRule {
	return store.RelayRule{
		Name: r.text(0), BySender: boolAt(r, 1), Targets: slices.Collect(lines(r.text(2))), Disabled: boolAt(r, 11), Created: timeAt(r, 12),
		Host: store.RelayHost{Hosts: slices.Collect(lines(r.text(3))), Port: uint16(r.int(4)), Secure: boolAt(r, 5), AnyCertificate: boolAt(r, 6),
			Fingerprint: r.text(7), User: r.text(8), Password: r.text(9), ClearLogin: boolAt(r, 10)},
	}
}

// RelayRules implements store.Relays.
func (d *directory) RelayRules(ctx context.Context) (out []store.RelayRule, err error) {
	err = d.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT `+relayRuleColumns+` FROM relay_rule ORDER BY position`, nil, func(r row) error {
			out = append(out, scanRelayRule(r))
			return nil
		})
	})
	return out, err
}

// SetRelayRules implements store.Relays.
func (d *directory) SetRelayRules(ctx context.Context, base int64, rules []store.RelayRule) error {
	return d.change(ctx, d.s.write, "set relay rules", func(t *txn) error {
		err := changeOf(t, base)
		if err == nil {
			err = t.put(`DELETE FROM relay_rule`)
		}
		for i, rule := range rules {
			h := &rule.Host
			if err == nil {
				err = t.put(`INSERT INTO relay_rule (position, `+relayRuleColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
					i+1, rule.Name, rule.BySender, strings.Join(rule.Targets, "\n"), strings.Join(h.Hosts, "\n"), int(h.Port), h.Secure,
					h.AnyCertificate, h.Fingerprint, h.User, h.Password, h.ClearLogin, rule.Disabled, rule.Created)
			}
		}
		return err
	})
}
