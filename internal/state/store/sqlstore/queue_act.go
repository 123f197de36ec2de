package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// action is what an administrator does to recipients. message changes those
// of one message that match and returns how many.
type action struct {
	name    string
	removes bool
	message func(t *txn, at moment, id ident.ID, match condition) (int64, error)
}

// Hold implements store.Queue. An attempt under way goes on; what it defers is held.
func (q *queue) Hold(ctx context.Context, f store.QueueFilter) (int, error) {
	if quarantined(&f) {
		return 0, errQuarantined("hold")
	}
	return q.act(ctx, f, action{name: "hold", message: func(t *txn, _ moment, id ident.ID, match condition) (int64, error) {
		c := match.of(id, `UPDATE queue_recipient SET state = 1`)
		return t.exec(c.text, c.args...)
	}})
}

// Release implements store.Queue.
func (q *queue) Release(ctx context.Context, f store.QueueFilter) (int, error) {
	if quarantined(&f) {
		return q.act(ctx, f, action{name: "release from quarantine", message: endQuarantine})
	}
	return q.act(ctx, f, action{name: "release", message: func(t *txn, at moment, id ident.ID, match condition) (int64, error) {
		c := match.of(id, `UPDATE queue_recipient SET state = 0, due = CASE WHEN owner <> '' AND due > ? THEN due ELSE next_try END`, at.steady())
		return t.exec(c.text, c.args...)
	}})
}

// endQuarantine releases all recipients of a message: who looked at it has
// judged it for all of them. Its lifetime begins anew.
func endQuarantine(t *txn, at moment, id ident.ID, _ condition) (int64, error) {
	if t.lock {
		if _, err := lockMessage(t, id); errors.Is(err, store.ErrNotFound) {
			return 0, nil // removed just now
		} else if err != nil {
			return 0, err
		}
	}
	n, err := t.exec(`UPDATE queue_recipient SET state = 0, due = next_try WHERE queue_id = ? AND state = 2`, id[:])
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = t.exec(`UPDATE queue SET quarantine = '', junk = '', bits = bits & ?, expires = expires + (? - accepted) WHERE id = ?`, ^bitSift, at.steady(), id[:])
	return n, err
}

// errQuarantined refuses what cannot be done to mail in quarantine.
func errQuarantined(verb string) error {
	return fmt.Errorf("queue: %s what is in quarantine: %w", verb, store.ErrInvalid)
}

// Retry implements store.Queue. Recipients being tried at the moment are left
// to that attempt.
func (q *queue) Retry(ctx context.Context, f store.QueueFilter) (int, error) {
	if quarantined(&f) {
		return 0, errQuarantined("retry")
	}
	return q.act(ctx, f, action{name: "retry", message: func(t *txn, at moment, id ident.ID, match condition) (int64, error) {
		now := at.steady()
		c := match.of(id, `UPDATE queue_recipient SET asked = 1, next_try = ?, due = CASE WHEN owner <> '' AND due > ? THEN due ELSE ? END`, now, now, now)
		return t.exec(c.text, c.args...)
	}})
}

// Redirect implements store.Queue. Recipients being tried at the moment keep
// their address.
func (q *queue) Redirect(ctx context.Context, f store.QueueFilter, to mail.Address) (int, error) {
	if quarantined(&f) {
		return 0, errQuarantined("redirect")
	}
	if to.IsNull() {
		return 0, fmt.Errorf("queue: redirect to the null address: %w", store.ErrInvalid)
	}
	busy := false
	n, err := q.act(ctx, f, action{name: "redirect", message: func(t *txn, at moment, id ident.ID, match condition) (int64, error) {
		var account int64
		_, err := one(t, `SELECT account_id FROM address WHERE address_key = ?`, []any{to.Key()}, func(r row) error { account = r.int(0); return nil })
		if err != nil {
			return 0, err
		}
		now := at.steady()
		c := match.of(id, `UPDATE queue_recipient SET address = ?, address_key = ?, domain = ?, local_account = ?, is_local = ?,
			attempts = 0, last_error = '', last_try = 0, last_host = '', route = '', asked = 1, next_try = ?, due = ?, owner = '', fence = 0`,
			to.String(), to.Key(), to.Domain, account, account > 0, now, now).and(`(owner = '' OR due <= ?)`, now)
		n, err := t.exec(c.text, c.args...)
		if err == nil && n == 0 {
			c = match.of(id, `SELECT 1 FROM queue_recipient`).within(``, ` LIMIT 1`)
			_, err = one(t, c.text, c.args, func(row) error { busy = true; return nil })
		}
		return n, err
	}})
	if n == 0 && busy {
		return 0, fmt.Errorf("queue: redirect: all recipients are being tried: %w", store.ErrConflict)
	}
	return n, err
}

// Remove implements store.Queue.
func (q *queue) Remove(ctx context.Context, f store.QueueFilter) (int, error) {
	return q.act(ctx, f, action{name: "remove", removes: true, message: func(t *txn, _ moment, id ident.ID, match condition) (int64, error) {
		if t.lock {
			if _, err := lockMessage(t, id); errors.Is(err, store.ErrNotFound) {
				return 0, nil // finished just now
			} else if err != nil {
				return 0, err
			}
		}
		c := match.of(id, `DELETE FROM queue_recipient`)
		n, err := t.exec(c.text, c.args...)
		if err != nil || n == 0 {
			return 0, err
		}
		return n, dropIfEmpty(t, id)
	}})
}

// actStep is how many messages one transaction of act changes.
const actStep = 500

// act runs an action on all messages that match.
func (q *queue) act(ctx context.Context, f store.QueueFilter, a action) (int, error) {
	fail := func(n int, err error) (int, error) {
		what := "what was selected"
		if !f.ID.IsZero() {
			what = f.ID.String()
		}
		return n, fmt.Errorf("queue: %s %s: %w", a.name, what, err)
	}
	if !f.Selects() {
		return fail(0, fmt.Errorf("nothing was selected: %w", store.ErrInvalid))
	}
	total := 0
	for left := f.Limit; f.Limit == 0 || left > 0; left -= actStep {
		step := actStep
		if f.Limit > 0 {
			step = min(left, step)
		}
		n, last, err := q.actSome(ctx, f, a, step)
		total += n
		if err != nil {
			return fail(total, err)
		}
		if last.IsZero() {
			break
		}
		f.After = last
	}
	if total == 0 {
		return fail(0, store.ErrNotFound)
	}
	return total, nil
}

// actSome runs an action on the next messages and returns the last one's id,
// zero when there are no more.
func (q *queue) actSome(ctx context.Context, f store.QueueFilter, a action, step int) (n int, last ident.ID, err error) {
	match := recipientsOf(&f)
	err = q.s.engine.write(ctx, a.removes, func(t *txn) error {
		n, last = 0, ident.ID{}
		at, err := q.clock.tick(t)
		if err != nil {
			return err
		}
		ids, err := found(t, &f, step)
		if err != nil {
			return err
		}
		for _, id := range ids {
			k, err := a.message(t, at, id, match)
			if err != nil {
				return err
			}
			n += int(k)
		}
		if len(ids) == step && f.ID.IsZero() {
			last = ids[len(ids)-1]
		}
		if n > 0 {
			t.onCommit(q.hint)
		}
		return nil
	})
	if err != nil {
		return 0, ident.ID{}, err
	}
	return n, last, nil
}

// Abandon implements store.Queue. The second condition on the owner leads to
// the index of claimed rows.
func (q *queue) Abandon(ctx context.Context, owner string) (int, error) {
	if owner == "" {
		return 0, fmt.Errorf("queue: abandon claims of nobody: %w", store.ErrInvalid)
	}
	var n int64
	err := q.s.remove(ctx, func(t *txn) (err error) {
		n, err = t.exec(`UPDATE queue_recipient SET due = next_try, owner = '', fence = 0 WHERE owner = ? AND owner <> ''`, owner)
		t.onCommit(q.hint)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("queue: abandon claims of %s: %w", owner, err)
	}
	return int(n), nil
}
