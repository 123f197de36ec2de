package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Bounds of List.
const (
	listDefault = 100
	listMost    = 1000
)

// matches are the conditions of a filter on a recipient; state -1 and "" match all.
const matches = `r.queue_id = q.id AND (? = '' OR r.address_key = ? OR r.domain = ?) AND (? = -1 OR r.state = ?)`

// List implements store.Queue.
func (q *queue) List(ctx context.Context, f store.QueueFilter) ([]store.QueueEntry, error) {
	if f.Limit <= 0 {
		f.Limit = listDefault
	}
	var out []store.QueueEntry
	err := q.s.read(ctx, func(t tx) error {
		var err error
		out, err = q.list(t, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: list: %w", err)
	}
	return out, nil
}

func (q *queue) list(t tx, f store.QueueFilter) ([]store.QueueEntry, error) {
	at, err := q.clock.tick(t)
	if err != nil {
		return nil, err
	}
	state := -1
	if f.State != nil {
		state = int(*f.State)
	}
	sender, rcpt := strings.ToLower(f.Sender), strings.ToLower(f.Recipient)
	match := []any{rcpt, rcpt, rcpt, state, state}
	var out []store.QueueEntry
	add := func(r row) error {
		m, _, err := scanMessage(r, at)
		out = append(out, store.QueueEntry{QueueMessage: m})
		return err
	}
	if !f.ID.IsZero() {
		err = t.query(`SELECT `+messageColumns+` FROM queue q`+withBody+`WHERE q.id = ? AND (? = '' OR q.sender_key = ? OR q.sender_domain = ?)
			AND EXISTS (SELECT 1 FROM queue_recipient r WHERE `+matches+`)`,
			append([]any{f.ID[:], sender, sender, sender}, match...), add)
	} else {
		err = t.query(`SELECT `+messageColumns+` FROM queue q`+withBody+`WHERE q.id > ? AND (? = '' OR q.sender_key = ? OR q.sender_domain = ?)
			AND EXISTS (SELECT 1 FROM queue_recipient r WHERE `+matches+`) ORDER BY q.id LIMIT ?`,
			append(append([]any{f.After[:], sender, sender, sender}, match...), min(f.Limit, listMost)), add)
	}
	for i := range out {
		if err == nil {
			err = q.recipients(t, at, &out[i], match)
		}
	}
	return out, err
}

// recipients reads those of an entry that match.
func (q *queue) recipients(t tx, at moment, e *store.QueueEntry, match []any) error {
	var first int64
	err := t.query(`SELECT `+recipientColumns+` FROM queue_recipient r JOIN queue q ON q.id = r.queue_id
		WHERE r.queue_id = ? AND `+matches+` ORDER BY r.id`, append([]any{e.ID[:]}, match...), func(r row) error {
		rcpt, err := scanRecipient(r, 0, at)
		e.Recipients = append(e.Recipients, rcpt)
		if due := r.int(9); first == 0 || due < first {
			first = due
		}
		return err
	})
	e.Due = at.time(first)
	return err
}

// Get implements store.Queue.
func (q *queue) Get(ctx context.Context, id ident.ID) (store.QueueEntry, error) {
	if id.IsZero() {
		return store.QueueEntry{}, notQueued(id)
	}
	list, err := q.List(ctx, store.QueueFilter{ID: id})
	if err != nil {
		return store.QueueEntry{}, err
	}
	if len(list) == 0 {
		return store.QueueEntry{}, notQueued(id)
	}
	return list[0], nil
}

// Hold implements store.Queue. An attempt under way goes on; what it defers is held.
func (q *queue) Hold(ctx context.Context, id ident.ID) (int, error) {
	return q.change(ctx, "hold", id, func(t *txn, _ moment) (int64, error) {
		return t.exec(`UPDATE queue_recipient SET state = 1 WHERE queue_id = ?`, id[:])
	})
}

// Release implements store.Queue.
func (q *queue) Release(ctx context.Context, id ident.ID) (int, error) {
	return q.change(ctx, "release", id, func(t *txn, at moment) (int64, error) {
		return t.exec(`UPDATE queue_recipient SET state = 0, due = CASE WHEN owner <> '' AND due > ? THEN due ELSE next_try END
			WHERE queue_id = ?`, at.steady(), id[:])
	})
}

// Retry implements store.Queue. Recipients being tried at the moment are left
// to that attempt.
func (q *queue) Retry(ctx context.Context, id ident.ID) (int, error) {
	return q.change(ctx, "retry", id, func(t *txn, at moment) (int64, error) {
		now := at.steady()
		return t.exec(`UPDATE queue_recipient SET next_try = ?, due = CASE WHEN owner <> '' AND due > ? THEN due ELSE ? END
			WHERE queue_id = ?`, now, now, now, id[:])
	})
}

// Redirect implements store.Queue. Recipients being tried at the moment keep
// their address; ErrConflict when that is all of them.
func (q *queue) Redirect(ctx context.Context, id ident.ID, to mail.Address) (int, error) {
	if to.IsNull() {
		return 0, fmt.Errorf("queue: redirect %s to the null address: %w", id, store.ErrInvalid)
	}
	return q.change(ctx, "redirect", id, func(t *txn, at moment) (int64, error) {
		var account int64
		_, err := one(t, `SELECT account_id FROM address WHERE address_key = ?`, []any{to.Key()}, func(r row) error { account = r.int(0); return nil })
		if err != nil {
			return 0, err
		}
		now := at.steady()
		n, err := t.exec(`UPDATE queue_recipient SET address = ?, address_key = ?, domain = ?, local_account = ?, is_local = ?,
			attempts = 0, last_error = '', next_try = ?, due = ?, owner = '', fence = 0 WHERE queue_id = ? AND (owner = '' OR due <= ?)`,
			to.String(), to.Key(), to.Domain, account, account > 0, now, now, id[:], now)
		if err == nil && n == 0 {
			_, err = lockMessage(t, id)
			if err == nil {
				err = store.ErrConflict
			}
		}
		return n, err
	})
}

// Remove implements store.Queue.
func (q *queue) Remove(ctx context.Context, id ident.ID) (int, error) {
	var n int64
	err := q.s.remove(ctx, func(t *txn) error {
		if _, err := lockMessage(t, id); err != nil {
			return err
		}
		var err error
		if n, err = t.exec(`DELETE FROM queue_recipient WHERE queue_id = ?`, id[:]); err != nil {
			return err
		}
		return dropIfEmpty(t, id)
	})
	if err != nil {
		return 0, fmt.Errorf("queue: remove %s: %w", id, err)
	}
	return int(n), nil
}

// Abandon implements store.Queue. The second condition on the owner leads to
// the index of claimed rows.
func (q *queue) Abandon(ctx context.Context, owner string) (int, error) {
	if owner == "" {
		return 0, fmt.Errorf("queue: abandon claims of nobody: %w", store.ErrInvalid)
	}
	var n int64
	err := q.s.write(ctx, func(t *txn) (err error) {
		n, err = t.exec(`UPDATE queue_recipient SET due = next_try, owner = '', fence = 0 WHERE owner = ? AND owner <> ''`, owner)
		t.onCommit(q.hint)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("queue: abandon claims of %s: %w", owner, err)
	}
	return int(n), nil
}

// change runs one update of all recipients of a message.
func (q *queue) change(ctx context.Context, what string, id ident.ID, update func(t *txn, at moment) (int64, error)) (int, error) {
	var n int64
	err := q.s.write(ctx, func(t *txn) error {
		at, err := q.clock.tick(t)
		if err != nil {
			return err
		}
		if n, err = update(t, at); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		t.onCommit(q.hint)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("queue: %s %s: %w", what, id, err)
	}
	return int(n), nil
}
