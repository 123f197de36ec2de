package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"posthorn/internal/base/event"
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
	skipLocked   = ` FOR UPDATE SKIP LOCKED`
	skipLockedOf = ` FOR UPDATE OF r SKIP LOCKED`
)

// Claim implements store.Queue. The recipients of a message that are due
// together come together, at most maxRecipients; of nodes that claim in the
// same moment each may get some of them.
func (q *queue) Claim(ctx context.Context, owner string, local bool, limit int, lease time.Duration) ([]store.Claim, error) {
	if err := q.lost.giveBack(ctx, q); err != nil {
		return nil, fmt.Errorf("queue: claim: %w", err)
	}
	due, at, found, err := q.nextDue(ctx, local)
	if err != nil {
		return nil, fmt.Errorf("queue: claim: %w", err)
	}
	if !found || due > at.steady() {
		return nil, q.keepClock(ctx)
	}
	var out []store.Claim
	var fence int64
	// Mail that leaves gives room on a full disk.
	err = q.s.engine.write(ctx, !local, func(t *txn) error {
		out, err = q.claim(t, owner, local, min(max(limit, 1), maxClaim), lease)
		if len(out) > 0 {
			fence = out[0].Fence
		}
		return err
	})
	if errors.Is(err, store.ErrUnknownOutcome) && fence != 0 {
		q.lost.add(lostClaim{owner, fence})
	}
	if err != nil {
		return nil, fmt.Errorf("queue: claim: %w", err)
	}
	return out, nil
}

// lostClaim is one whose commit was not confirmed: if it happened, rows are
// leased that nobody works on.
type lostClaim struct {
	owner string
	fence int64
}

// lostClaims are given back before the next claim, so there is never more than
// one for each that claims.
type lostClaims struct {
	mu   sync.Mutex
	list []lostClaim
}

func (l *lostClaims) add(c lostClaim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, c)
}

// giveBack makes due again what was leased without anybody knowing. The second
// condition on the owner leads to the index of what is leased.
func (l *lostClaims) giveBack(ctx context.Context, q *queue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.list) > 0 {
		err := q.s.remove(ctx, func(t *txn) error {
			_, err := t.exec(`UPDATE queue_recipient SET due = next_try, owner = '', fence = 0 WHERE owner = ? AND owner <> '' AND fence = ?`,
				l.list[0].owner, l.list[0].fence)
			return err
		})
		if err != nil {
			return err
		}
		l.list = l.list[1:]
	}
	return nil
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
	unread := map[int64]error{}
	rows := 0
	scan := func(r row) error {
		rows++
		if have[r.int(0)] {
			return nil
		}
		have[r.int(0)] = true
		rcpt, err := scanRecipient(r, 0, at)
		id := ident.ID(r.bytes(recipientWidth))
		c := byID[id]
		if c == nil && err == nil {
			if c, err = q.newClaim(r, at); err == nil {
				byID[id], found = c, append(found, c)
			}
		}
		if errors.Is(err, errUnread) {
			unread[r.int(0)] = err
			return nil
		}
		if err == nil {
			c.Message.Recipients = append(c.Message.Recipients, rcpt)
		}
		return err
	}
	if err := t.query(due, []any{local, at.steady(), limit}, scan); err != nil {
		return nil, err
	}
	if rows == limit && len(found) > 0 { // the limit may have cut the last message in two
		id := found[len(found)-1].Message.ID
		if err := t.query(dueOf, []any{local, at.steady(), id[:], maxRecipients}, scan); err != nil {
			return nil, err
		}
	}
	return found, q.holdUnread(t, unread)
}

// holdUnread puts recipients on hold whose rows cannot be read: one row must not
// stop the queue.
func (q *queue) holdUnread(t *txn, unread map[int64]error) error {
	for id, err := range unread {
		q.s.o.Log.Log(event.QueueUnreadable, slog.Int64("recipient", id), event.Err(err))
		if err := t.put(`UPDATE queue_recipient SET state = 1, last_error = ? WHERE id = ?`, "cannot be read: "+err.Error(), id); err != nil {
			return err
		}
	}
	return nil
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
