package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// Bounds of List.
const (
	listDefault = 100
	listMost    = 1000
)

// matches are the conditions of a filter on a recipient; "" matches all, state -1
// all but those in quarantine.
// A destination matches with and without the rule that chose it.
const matches = `(? = '' OR address_key = ? OR domain = ?) AND (? = '' OR route = ? OR substr(route, 1, length(?) + 2) = ? || ' (') AND (? = -1 AND state < 2 OR state = ?)`

// matching are the messages that have one, of a sender, after an id.
const matching = `(? = '' OR q.sender_key = ? OR q.sender_domain = ?)
	AND EXISTS (SELECT 1 FROM queue_recipient WHERE queue_id = q.id AND ` + matches + `)`

// inQuarantine leads to the few messages that are, where only those match.
const inQuarantine = ` AND q.id IN (SELECT queue_id FROM queue_recipient WHERE state = 2)`

// matchingOf is matching, as fast as the filter allows.
func matchingOf(f *store.QueueFilter) string {
	if quarantined(f) {
		return matching + inQuarantine
	}
	return matching
}

// quarantined reports a filter for what is in quarantine.
func quarantined(f *store.QueueFilter) bool { return f.State != nil && *f.State == store.Quarantined }

// recipientArgs and messageArgs are the parameters of matches and matching.
func recipientArgs(f *store.QueueFilter) []any {
	state := -1
	if f.State != nil {
		state = int(*f.State)
	}
	rcpt := strings.ToLower(f.Recipient)
	to := f.Destination
	return []any{rcpt, rcpt, rcpt, to, to, to, to, state, state}
}

func messageArgs(f *store.QueueFilter) []any {
	sender := strings.ToLower(f.Sender)
	return append([]any{sender, sender, sender}, recipientArgs(f)...)
}

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
	var out []store.QueueEntry
	add := func(r row) error {
		m, _, err := scanMessage(r, at)
		out = append(out, store.QueueEntry{QueueMessage: m})
		return err
	}
	if !f.ID.IsZero() {
		err = t.query(`SELECT `+messageColumns+` FROM queue q`+withBody+`WHERE q.id = ? AND `+matching, append([]any{f.ID[:]}, messageArgs(&f)...), add)
	} else {
		err = t.query(`SELECT `+messageColumns+` FROM queue q`+withBody+`WHERE q.id > ? AND `+matchingOf(&f)+` ORDER BY q.id LIMIT ?`,
			append(append([]any{f.After[:]}, messageArgs(&f)...), min(f.Limit, listMost)), add)
	}
	for i := range out {
		if err == nil {
			err = q.recipients(t, at, &out[i], recipientArgs(&f))
		}
	}
	return out, err
}

// recipients reads those of an entry that match.
func (q *queue) recipients(t tx, at moment, e *store.QueueEntry, match []any) error {
	var first int64
	err := t.query(`SELECT `+recipientColumns+` FROM queue_recipient r WHERE queue_id = ? AND `+matches+` ORDER BY id`,
		append([]any{e.ID[:]}, match...), func(r row) error {
			rcpt, err := scanRecipient(r, 0, at)
			e.Recipients = append(e.Recipients, rcpt)
			if due := r.int(recipientDue); first == 0 || due < first {
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
