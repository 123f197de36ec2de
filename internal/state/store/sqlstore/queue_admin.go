package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// Bounds of List.
const (
	listDefault = 100
	listMost    = 1000
)

// quarantined reports a filter for what is in quarantine.
func quarantined(f *store.QueueFilter) bool { return f.State != nil && *f.State == store.Quarantined }

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

// list finds messages and reads what matches of each: by key, whatever plan the
// engine would make for all of them together.
func (q *queue) list(t tx, f store.QueueFilter) ([]store.QueueEntry, error) {
	at, err := q.clock.tick(t)
	if err != nil {
		return nil, err
	}
	ids, err := found(t, &f, min(f.Limit, listMost))
	if err != nil {
		return nil, err
	}
	match := recipientsOf(&f)
	out, reads := make([]store.QueueEntry, len(ids)), make([]reading, 0, 2*len(ids))
	for i, id := range ids {
		reads = append(reads, readEntry(&out[i], id, at), readRecipients(&out[i], id, at, match))
	}
	return out, readAll(t, reads)
}

func readEntry(e *store.QueueEntry, id ident.ID, at moment) reading {
	return reading{`SELECT ` + messageColumns + ` FROM queue q` + withBody + `WHERE q.id = ?`, []any{id[:]}, func(r row) (err error) {
		e.QueueMessage, _, err = scanMessage(r, at)
		return unlessUnread(err)
	}}
}

// unlessUnread lets lists show what a claim cannot use.
func unlessUnread(err error) error {
	if errors.Is(err, errUnread) {
		return nil
	}
	return err
}

// readRecipients reads those of an entry that match.
func readRecipients(e *store.QueueEntry, id ident.ID, at moment, match condition) reading {
	c := match.of(id, `SELECT `+recipientColumns+` FROM queue_recipient r`).within(``, ` ORDER BY id`)
	first := int64(0)
	return reading{c.text, c.args, func(r row) error {
		rcpt, err := scanRecipient(r, 0, at)
		e.Recipients = append(e.Recipients, rcpt)
		if due := r.int(recipientDue); first == 0 || due < first {
			first = due
			e.Due = at.time(first)
		}
		return unlessUnread(err)
	}}
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
