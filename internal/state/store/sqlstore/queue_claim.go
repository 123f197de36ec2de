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

// Bounds of one claim: messages, and recipients of one message.
const (
	maxClaim      = 1000
	maxRecipients = 1000
)

const (
	// The subquery keeps the planner on the index (is_local, due, id), the
	// plus signs of the other keep it on (queue_id).
	selectDue = `SELECT ` + recipientColumns + `, ` + messageColumns + ` FROM (SELECT * FROM queue_recipient
		WHERE is_local = ? AND state = 0 AND due <= ? ORDER BY due, id LIMIT ?`
	selectDueEnd = `) r JOIN queue q ON q.id = r.queue_id` + withBody + `ORDER BY r.due, r.id`
	selectDueOf  = `SELECT ` + recipientColumns + `, ` + messageColumns + ` FROM queue_recipient r JOIN queue q ON q.id = r.queue_id` + withBody + `
		WHERE +r.is_local = ? AND r.state = 0 AND +r.due <= ? AND r.queue_id = ? ORDER BY r.id LIMIT ?`
	// Several writers pass rows by that another one is claiming or finishing.
	skipLocked     = ` FOR UPDATE SKIP LOCKED`
	skipLockedOf   = ` FOR UPDATE OF r SKIP LOCKED`
	recipientWidth = 10 // of recipientColumns
)

// Claim implements store.Queue. The recipients of a message that are due
// together come together, at most maxRecipients; of nodes that claim in the
// same moment each may get some of them.
func (q *queue) Claim(ctx context.Context, owner string, local bool, limit int, lease time.Duration) ([]store.Claim, error) {
	due, at, found, err := q.nextDue(ctx, local)
	if err != nil {
		return nil, fmt.Errorf("queue: claim: %w", err)
	}
	if !found || due > at.steady() {
		return nil, q.keepClock(ctx)
	}
	var out []store.Claim
	err = q.s.write(ctx, func(t *txn) error {
		out, err = q.claim(t, owner, local, min(max(limit, 1), maxClaim), lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: claim: %w", err)
	}
	return out, nil
}

// keepClock stores the queue's time now and then while nothing is due.
func (q *queue) keepClock(ctx context.Context) error {
	if !q.clock.stale(keepIdle) {
		return nil
	}
	return q.s.write(ctx, func(t *txn) error { return q.clock.keep(t, keepIdle) })
}

func (q *queue) claim(t *txn, owner string, local bool, limit int, lease time.Duration) ([]store.Claim, error) {
	at, err := q.clock.tick(t)
	if err != nil {
		return nil, err
	}
	if err := q.clock.keep(t, keepEvery); err != nil {
		return nil, err
	}
	found, err := q.due(t, at, local, limit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	fence, err := t.newID("recipient") // any number that never comes again
	if err != nil {
		return nil, err
	}
	until := at.steady() + lease.Microseconds()
	out := make([]store.Claim, len(found))
	for i, c := range found {
		c.Fence, c.Until = fence, at.time(until)
		for _, r := range c.Message.Recipients {
			if err := t.put(`UPDATE queue_recipient SET due = ?, owner = ?, fence = ? WHERE id = ?`, until, owner, fence, r.ID); err != nil {
				return nil, err
			}
		}
		out[i] = *c
	}
	return out, nil
}

// due reads what can be claimed, grouped by message.
func (q *queue) due(t *txn, at moment, local bool, limit int) ([]*store.Claim, error) {
	due, dueOf := selectDue+selectDueEnd, selectDueOf
	if t.lock {
		due, dueOf = selectDue+skipLocked+selectDueEnd, selectDueOf+skipLockedOf
	}
	var found []*store.Claim
	byID := map[ident.ID]*store.Claim{}
	have := map[int64]bool{}
	rows := 0
	scan := func(r row) error {
		rows++
		if have[r.int(0)] {
			return nil
		}
		have[r.int(0)] = true
		rcpt, err := scanRecipient(r, 0, at)
		if err != nil {
			return err
		}
		id := ident.ID(r.bytes(recipientWidth))
		c := byID[id]
		if c == nil {
			if c, err = q.newClaim(r, at); err != nil {
				return err
			}
			byID[id], found = c, append(found, c)
		}
		c.Message.Recipients = append(c.Message.Recipients, rcpt)
		return nil
	}
	if err := t.query(due, []any{local, at.steady(), limit}, scan); err != nil {
		return nil, err
	}
	if rows < limit {
		return found, nil
	}
	// The limit may have cut the last message in two.
	id := found[len(found)-1].Message.ID
	return found, t.query(dueOf, []any{local, at.steady(), id[:], maxRecipients}, scan)
}

func (q *queue) newClaim(r row, at moment) (*store.Claim, error) {
	m, bodyID, err := scanMessage(offsetRow{r, recipientWidth}, at)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (store.Body, error) { return q.s.openBody(ctx, bodyID) }
	return &store.Claim{Message: m, BodyOpener: open}, nil
}

// offsetRow shifts the columns of a row.
type offsetRow struct {
	row
	by int
}

func (o offsetRow) int(i int) int64    { return o.row.int(i + o.by) }
func (o offsetRow) text(i int) string  { return o.row.text(i + o.by) }
func (o offsetRow) bytes(i int) []byte { return o.row.bytes(i + o.by) }
func (o offsetRow) null(i int) bool    { return o.row.null(i + o.by) }

// Finish implements store.Queue. The outcomes are stored all or nothing.
func (q *queue) Finish(ctx context.Context, c store.Claim, outcomes []store.Outcome) error {
	err := q.s.write(ctx, func(t *txn) error {
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
	})
	if err != nil {
		return fmt.Errorf("queue: finish %s: %w", c.Message.ID, err)
	}
	return nil
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
	var n int64
	var err error
	if o.Done {
		n, err = t.exec(`DELETE FROM queue_recipient WHERE id = ? AND queue_id = ? AND fence = ?`, o.Recipient, c.Message.ID[:], c.Fence)
	} else {
		// An administrator's hold during the attempt stays.
		next := at.stored(o.NextTry)
		n, err = t.exec(`UPDATE queue_recipient SET state = CASE WHEN state = 1 THEN 1 ELSE ? END, due = ?, next_try = ?,
			attempts = attempts + 1, last_error = ?, owner = '', fence = 0 WHERE id = ? AND queue_id = ? AND fence = ?`,
			o.State, next, next, o.LastError, o.Recipient, c.Message.ID[:], c.Fence)
	}
	if err == nil && n != 1 {
		err = fmt.Errorf("recipient %d: claim lost: %w", o.Recipient, store.ErrConflict)
	}
	return err
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
