package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"posthorn/internal/state/store"
)

// purgeRows is how many stretches of trash one Purge takes.
const purgeRows = 64

// Retire implements store.Account.
func (a *account) Retire(ctx context.Context, from store.MailboxID, uids []store.UIDRange, until time.Time) (store.CopyResult, error) {
	var result store.CopyResult
	err := a.inBox(ctx, from, func(t *txn, st *accountState, source *boxState) error {
		trash, err := t.trash(st)
		if err != nil {
			return err
		}
		result, err = t.retire(st, transfer{from: source, to: trash, uids: uids, move: true}, until)
		return err
	})
	return result, err
}

// trash returns the mailbox for trash. If the account has lost it, the mailbox
// of that name becomes it, or a new one.
func (t *txn) trash(st *accountState) (*boxState, error) {
	b, err := t.boxByRole(st, store.RoleTrash)
	if !errors.Is(err, store.ErrNotFound) {
		return b, err
	}
	b, err = t.createPath(st, store.RoleTrash.Name(), store.RoleTrash)
	if !errors.Is(err, store.ErrExists) {
		return b, err
	}
	b, err = t.loadBox(st, `SELECT `+boxColumns+` FROM mailbox WHERE account_id = ? AND name = ?`, store.RoleTrash.Name(), "mailbox for trash")
	if err != nil || b.Role != store.RoleNone {
		return b, err
	}
	b.Role, st.roles[store.RoleTrash] = store.RoleTrash, b
	return b, t.put(`UPDATE mailbox SET role = ? WHERE account_id = ? AND id = ?`, b.Role, st.id, b.ID)
}

func (t *txn) retire(st *accountState, x transfer, until time.Time) (store.CopyResult, error) {
	var err error
	if x.mark, err = t.keywordBits(st, x.to, []string{store.KeywordRetired}); errors.Is(err, store.ErrLimit) {
		return t.transfer(st, x) // they stay, which loses nothing
	}
	if err != nil {
		return store.CopyResult{}, err
	}
	result, err := t.transfer(st, x)
	if err != nil || len(result.To) == 0 {
		return result, err
	}
	at, err := t.s.queue.clock.tick(t)
	if err != nil {
		return result, err
	}
	return result, t.put(`INSERT INTO trash_due (due, account_id, mailbox_id, first, last) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (due, account_id, mailbox_id) DO UPDATE SET last = excluded.last`,
		at.stored(until), st.id, x.to.ID, result.To[0], result.To[len(result.To)-1])
}

// dueTrash is a row of trash_due.
type dueTrash struct {
	due     int64
	account store.AccountID
	mailbox store.MailboxID
}

// Purge implements store.Store.
func (s *Store) Purge(ctx context.Context) (removed int, more bool, err error) {
	list, err := s.dueTrash(ctx)
	if err != nil || len(list) == 0 {
		return 0, false, err
	}
	err = s.remove(ctx, func(t *txn) error {
		removed = 0
		for _, x := range list {
			n, err := t.purge(x)
			if err != nil {
				return err
			}
			removed += n
		}
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("purge trash: %w", err)
	}
	return removed, len(list) == purgeRows, nil
}

// dueTrash reads the oldest rows whose time has come, in the order in which
// accounts are locked.
func (s *Store) dueTrash(ctx context.Context) ([]dueTrash, error) {
	var list []dueTrash
	err := s.read(ctx, func(t tx) error {
		at, err := s.queue.clock.tick(t)
		if err != nil {
			return err
		}
		list = list[:0]
		return t.query(`SELECT due, account_id, mailbox_id FROM trash_due WHERE due <= ? ORDER BY due, account_id, mailbox_id LIMIT ?`,
			[]any{at.steady(), purgeRows}, func(r row) error {
				list = append(list, dueTrash{r.int(0), store.AccountID(r.int(1)), store.MailboxID(r.int(2))})
				return nil
			})
	})
	sort.SliceStable(list, func(i, j int) bool { return list[i].account < list[j].account })
	if err != nil {
		return nil, fmt.Errorf("purge trash: %w", err)
	}
	return list, nil
}

// purge removes one row and what is left of its messages. Nothing is left of
// an account or a mailbox that went meanwhile, or of a row that another node
// took.
func (t *txn) purge(x dueTrash) (int, error) {
	st, err := t.account(x.account)
	gone := errors.Is(err, store.ErrNotFound)
	if err != nil && !gone {
		return 0, err
	}
	var span store.UIDRange
	found, err := one(t, `DELETE FROM trash_due WHERE due = ? AND account_id = ? AND mailbox_id = ? RETURNING first, last`,
		[]any{x.due, x.account, x.mailbox}, func(r row) error {
			span = store.UIDRange{First: store.UID(r.int(0)), Last: store.UID(r.int(1))}
			return nil
		})
	if err != nil || !found || gone {
		return 0, err
	}
	b, err := t.box(st, x.mailbox)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	mark := b.findKeyword(store.KeywordRetired)
	if mark == 0 {
		return 0, nil
	}
	uids, err := t.expunge(st, b, []store.UIDRange{span}, mark)
	return len(uids), err
}

// SaveDates implements store.Account.
func (a *account) SaveDates(ctx context.Context, mailbox store.MailboxID, uids []store.UIDRange) ([]store.SaveDate, error) {
	var list []store.SaveDate
	err := a.s.read(ctx, func(t tx) error {
		list = list[:0]
		if _, err := a.findBox(t, "id", mailbox, fmt.Sprint(mailbox)); err != nil {
			return err
		}
		for _, span := range normal(uids) {
			err := t.query(`SELECT uid, saved FROM entry WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid`,
				[]any{a.id, mailbox, span.First, span.Last}, func(r row) error {
					list = append(list, store.SaveDate{UID: store.UID(r.int(0)), Saved: timeAt(r, 1)})
					return nil
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}
