package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// Extend implements store.Queue. It may use the reserve of a full disk: a
// lease that is lost means that a message may be sent twice.
func (q *queue) Extend(ctx context.Context, c store.Claim, lease time.Duration) (until time.Time, err error) {
	err = q.s.remove(ctx, func(t *txn) error {
		at, err := q.clock.tick(t)
		if err != nil {
			return err
		}
		end := at.steady() + lease.Microseconds()
		n, err := t.exec(`UPDATE queue_recipient SET due = ? WHERE queue_id = ? AND fence = ? AND owner <> ''`, end, c.Message.ID[:], c.Fence)
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
		until = at.time(end)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("queue: extend the claim of %s: %w", c.Message.ID, err)
	}
	return until, nil
}

// Finish implements store.Queue. What brings nothing into the store may use
// the reserve of a full disk: the delivery has happened.
func (q *queue) Finish(ctx context.Context, c store.Claim, outcomes []store.Outcome, notice *store.Acceptance) error {
	d, err := q.noticeDelivery(notice)
	if err != nil {
		return fmt.Errorf("queue: finish %s: %w", c.Message.ID, err)
	}
	removes := notice == nil && !files(outcomes)
	err = q.s.engine.write(ctx, removes, func(t *txn) error {
		if err := q.finishAll(t, c, outcomes); err != nil || d == nil {
			return err
		}
		if err := t.deliver(d); err != nil {
			return fmt.Errorf("notice %s: %w", notice.Key, err)
		}
		if d.result.Repeated {
			return fmt.Errorf("notice %s: %w", notice.Key, store.ErrExists)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("queue: finish %s: %w", c.Message.ID, err)
	}
	if d != nil {
		d.body.Take()
	}
	return nil
}

// noticeDelivery prepares a notice for the transaction of Finish.
func (q *queue) noticeDelivery(a *store.Acceptance) (*delivery, error) {
	if a == nil {
		return nil, nil
	}
	if a.Key.IsZero() || len(a.Filings) > 0 || a.Queue == nil || len(a.Queue.Recipients) == 0 {
		return nil, fmt.Errorf("a notice needs a key and queue rows, and no filing: %w", store.ErrInvalid)
	}
	body, err := q.s.sealDraft(a.Body)
	if err != nil {
		return nil, fmt.Errorf("notice %s: %w", a.Key, err)
	}
	return &delivery{a: a, body: body}, nil
}

func (q *queue) finishAll(t *txn, c store.Claim, outcomes []store.Outcome) error {
	at, err := q.clock.tick(t)
	if err != nil {
		return err
	}
	var bodyID int64
	if t.lock || files(outcomes) { // a single writer needs no lock
		bodyID, err = lockMessage(t, c.Message.ID)
		if errors.Is(err, store.ErrNotFound) {
			return store.ErrConflict // removed meanwhile
		}
		if err != nil {
			return err
		}
	}
	done := false
	for i := range outcomes {
		done = done || outcomes[i].Done
		if err := q.finish(t, at, c, &outcomes[i], bodyID); err != nil {
			return err
		}
	}
	if !done {
		return nil
	}
	return dropIfEmpty(t, c.Message.ID)
}

func files(outcomes []store.Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o store.Outcome) bool { return o.File != nil })
}

func (q *queue) finish(t *txn, at moment, c store.Claim, o *store.Outcome, bodyID int64) error {
	if o.File != nil {
		if !o.Done {
			return fmt.Errorf("recipient %d: filed but not done: %w", o.Recipient, store.ErrInvalid)
		}
		if err := q.file(t, c, o, bodyID); err != nil {
			return err
		}
	}
	n, err := q.finishRow(t, at, c, o)
	if err == nil && n != 1 {
		err = fmt.Errorf("recipient %d: claim lost: %w", o.Recipient, store.ErrConflict)
	}
	return err
}

// finishRow changes the row, if the claim still holds. An administrator's hold
// during the attempt stays.
func (q *queue) finishRow(t *txn, at moment, c store.Claim, o *store.Outcome) (int64, error) {
	next := at.stored(o.NextTry)
	switch {
	case o.Done:
		return t.exec(`DELETE FROM queue_recipient WHERE id = ? AND queue_id = ? AND fence = ?`, o.Recipient, c.Message.ID[:], c.Fence)
	case o.Untried:
		return t.exec(`UPDATE queue_recipient SET state = CASE WHEN state = 1 THEN 1 ELSE ? END, due = ?, next_try = ?,
			route = CASE WHEN ? = '' THEN route ELSE ? END, owner = '', fence = 0 WHERE id = ? AND queue_id = ? AND fence = ?`,
			o.State, next, next, o.Route, o.Route, o.Recipient, c.Message.ID[:], c.Fence)
	}
	return t.exec(`UPDATE queue_recipient SET state = CASE WHEN state = 1 THEN 1 ELSE ? END, due = ?, next_try = ?,
		attempts = attempts + 1, last_error = ?, last_try = ?, last_host = ?, route = ?, asked = 0,
		notified = CASE WHEN notified = 1 THEN 1 ELSE ? END, owner = '', fence = 0 WHERE id = ? AND queue_id = ? AND fence = ?`,
		o.State, next, next, o.LastError, at.steady(), o.Host, o.Route, o.Notified, o.Recipient, c.Message.ID[:], c.Fence)
}

// file puts the message into the mailbox of the recipient's account.
func (q *queue) file(t *txn, c store.Claim, o *store.Outcome, bodyID int64) error {
	var account store.AccountID
	found, err := one(t, `SELECT local_account FROM queue_recipient WHERE id = ? AND queue_id = ? AND fence = ?`,
		[]any{o.Recipient, c.Message.ID[:], c.Fence}, func(r row) error { account = store.AccountID(r.int(0)); return nil })
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("recipient %d: claim lost: %w", o.Recipient, store.ErrConflict)
	}
	if account == 0 {
		return fmt.Errorf("recipient %d is not local: %w", o.Recipient, store.ErrInvalid)
	}
	body, err := t.loadContent(bodyID)
	if err != nil {
		return err
	}
	_, err = t.file(account, *o.File, body)
	return err
}

// lockMessage returns the body of a queued message and keeps other writers
// from it, so that of two that finish its last recipients one sees none left.
func lockMessage(t *txn, id ident.ID) (bodyID int64, err error) {
	query := `SELECT body_id FROM queue WHERE id = ?`
	if t.lock {
		query = `SELECT body_id FROM queue WHERE id = ? FOR UPDATE`
	}
	found, err := one(t, query, []any{id[:]}, func(r row) error { bodyID = r.int(0); return nil })
	if err == nil && !found {
		err = notQueued(id)
	}
	return bodyID, err
}

// dropIfEmpty removes a message that has no recipient left.
func dropIfEmpty(t *txn, id ident.ID) error {
	var bodyID int64
	found, err := one(t, `DELETE FROM queue WHERE id = ? AND NOT EXISTS (SELECT 1 FROM queue_recipient WHERE queue_id = ?) RETURNING body_id`,
		[]any{id[:], id[:]}, func(r row) error { bodyID = r.int(0); return nil })
	if err != nil || !found {
		return err
	}
	return t.dropBody(bodyID)
}
