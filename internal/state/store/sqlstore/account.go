package sqlstore

import (
	"context"
	"fmt"

	"posthorn/internal/state/store"
)

// account implements store.Account. Every statement it causes carries its id.
type account struct {
	s  *Store
	id store.AccountID
}

var _ store.Account = (*account)(nil)

// ID implements store.Account.
func (a *account) ID() store.AccountID { return a.id }

// write runs fn with the account locked.
func (a *account) write(ctx context.Context, fn func(t *txn, st *accountState) error) error {
	return a.locked(ctx, a.s.write, fn)
}

// remove is write for operations that free space.
func (a *account) remove(ctx context.Context, fn func(t *txn, st *accountState) error) error {
	return a.locked(ctx, a.s.remove, fn)
}

func (a *account) locked(ctx context.Context, run func(context.Context, func(*txn) error) error, fn func(t *txn, st *accountState) error) error {
	return run(ctx, func(t *txn) error {
		st, err := t.account(a.id)
		if err != nil {
			return err
		}
		return fn(t, st)
	})
}

// inBox runs fn with the account locked and one of its mailboxes.
func (a *account) inBox(ctx context.Context, id store.MailboxID, fn func(t *txn, st *accountState, b *boxState) error) error {
	return a.write(ctx, withBox(id, fn))
}

func withBox(id store.MailboxID, fn func(t *txn, st *accountState, b *boxState) error) func(t *txn, st *accountState) error {
	return func(t *txn, st *accountState) error {
		b, err := t.box(st, id)
		if err != nil {
			return err
		}
		return fn(t, st, b)
	}
}

// Usage implements store.Account.
func (a *account) Usage(ctx context.Context) (store.Usage, error) {
	var u store.Usage
	err := a.s.read(ctx, func(t tx) error {
		found, err := one(t, `SELECT m.bytes, m.messages, a.quota_bytes, a.quota_messages
			FROM account_mail m JOIN account a ON a.id = m.account_id WHERE m.account_id = ?`, []any{a.id}, func(r row) error {
			u = store.Usage{Bytes: r.int(0), Messages: r.int(1), LimitBytes: r.int(2), LimitMessages: r.int(3)}
			return nil
		})
		if err == nil && !found {
			err = a.unknown()
		}
		return err
	})
	return u, err
}

func (a *account) unknown() error { return fmt.Errorf("account %d: %w", a.id, store.ErrNotFound) }

// exists fails with ErrNotFound when the account is gone.
func (a *account) exists(t tx) error {
	found, err := one(t, `SELECT 1 FROM account_mail WHERE account_id = ?`, []any{a.id}, func(row) error { return nil })
	if err == nil && !found {
		err = a.unknown()
	}
	return err
}

// metaChunk bounds what Metas and MetasIn read before they call back, so that no
// read transaction is open while the caller writes to a client. A meta has
// hundreds of octets, in a hostile message a million.
const metaChunk = 64

// Metas implements store.Account.
func (a *account) Metas(ctx context.Context, ids []store.MessageID, fn func(store.MessageID, []byte) error) error {
	for len(ids) > 0 {
		part := ids[:min(len(ids), metaChunk)]
		ids = ids[len(part):]
		metas := make([][]byte, len(part))
		err := a.s.read(ctx, func(t tx) error {
			for i, id := range part {
				_, err := one(t, `SELECT m.meta FROM message m JOIN account_mail a ON a.account_id = m.account_id WHERE m.id = ? AND m.account_id = ?`, []any{id, a.id}, func(r row) error {
					metas[i] = r.bytes(0)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, meta := range metas {
			if meta == nil {
				continue
			}
			if err := fn(part[i], meta); err != nil {
				return err
			}
		}
	}
	return nil
}

// MetasIn implements store.Account.
func (a *account) MetasIn(ctx context.Context, mailbox store.MailboxID, span store.UIDRange, fn func(store.UID, store.MessageID, []byte) error) error {
	type found struct {
		uid  store.UID
		id   store.MessageID
		meta []byte
	}
	list := make([]found, 0, metaChunk)
	for after := int64(span.First) - 1; ; after = int64(list[metaChunk-1].uid) {
		err := a.s.read(ctx, func(t tx) error {
			list = list[:0]
			return t.query(`SELECT e.uid, m.id, m.meta FROM entry e JOIN message m ON m.id = e.message_id AND m.account_id = e.account_id
				WHERE e.account_id = ? AND e.mailbox_id = ? AND e.uid > ? AND e.uid <= ? ORDER BY e.uid LIMIT ?`,
				[]any{a.id, mailbox, after, span.Last, metaChunk}, func(r row) error {
					list = append(list, found{store.UID(r.int(0)), store.MessageID(r.int(1)), r.bytes(2)})
					return nil
				})
		})
		if err != nil {
			return err
		}
		for i := range list {
			x := list[i]
			list[i].meta = nil
			if err := fn(x.uid, x.id, x.meta); err != nil {
				return err
			}
		}
		if len(list) < metaChunk {
			return nil
		}
	}
}

// Uneven implements store.Account.
func (a *account) Uneven(ctx context.Context) (list []store.Uneven, err error) {
	err = a.s.read(ctx, func(t tx) error {
		list = nil
		if err := a.exists(t); err != nil {
			return err
		}
		return t.query(`SELECT id, uneven FROM message WHERE account_id = ? AND uneven > 0 ORDER BY id`, []any{a.id}, func(r row) error {
			list = append(list, store.Uneven{Message: store.MessageID(r.int(0)), More: r.int(1)})
			return nil
		})
	})
	return list, err
}

// bodyOfMessage finds the octets of a message of one account.
const bodyOfMessage = `SELECT ` + bodyColumns + `
	FROM ` + bodyTables + ` JOIN message m ON m.id = b.id JOIN account_mail a ON a.account_id = m.account_id
	WHERE b.id = ? AND m.account_id = ?`

// OpenBody implements store.Account.
func (a *account) OpenBody(ctx context.Context, id store.MessageID) (store.Body, error) {
	b, err := a.s.openWhere(ctx, bodyOfMessage, id, a.id)
	if err != nil {
		return nil, fmt.Errorf("message %d: %w", id, err)
	}
	return b, nil
}

// OpenBodies implements store.Account.
func (a *account) OpenBodies(ctx context.Context, ids []store.MessageID) ([]store.Body, error) {
	open := make([]opening, len(ids))
	for i := range open {
		open[i].pin = a.s.bodies.pin() // before the read, so that nothing it finds goes away
	}
	err := a.findBodies(ctx, ids, open)
	bodies := make([]store.Body, len(ids))
	for i := range open {
		switch {
		case err != nil || !open[i].found:
			open[i].pin.Release()
		default:
			if bodies[i], err = open[i].small(ctx, a.s); err != nil {
				err = fmt.Errorf("message %d: %w", ids[i], err)
			}
		}
	}
	if err != nil {
		for _, b := range bodies {
			if b != nil {
				_ = b.Close() // was only read; the error before says more
			}
		}
		return nil, err
	}
	return bodies, nil
}

// findBodies reads what OpenBodies opens, in one view.
func (a *account) findBodies(ctx context.Context, ids []store.MessageID, open []opening) (err error) {
	if len(ids) == 1 { // as clients do that show one message after another
		open[0].found, err = a.s.get(ctx, bodyOfMessage, []any{ids[0], a.id}, open[0].scan)
		return err
	}
	return a.s.read(ctx, func(t tx) error {
		for i, id := range ids {
			if open[i].found, err = one(t, bodyOfMessage, []any{id, a.id}, open[i].scan); err != nil {
				return err
			}
		}
		return nil
	})
}
