package record

import (
	"context"

	"posthorn/internal/base/ident"
)

// maxOnward bounds how many messages are found by an address they went on to.
const maxOnward = maxLimit

// onward prepares a query for mail that was sent on: an ID may be that of what
// a message was forwarded as, which stands for the message; and a recipient
// may be one that the sender did not name.
func (r *Recorder) onward(ctx context.Context, q *Query) error {
	if q.ID.IsZero() && q.To == "" {
		return ctx.Err()
	}
	asked := q.ID
	for range maxForwards {
		from := q.ID
		if err := r.found(ctx, q); err != nil || q.ID == from {
			return err
		}
		q.via = asked
	}
	return nil
}

// found looks once.
func (r *Recorder) found(ctx context.Context, q *Query) error {
	key := hash(keyTo, q.To)
	if !q.ID.IsZero() {
		key = hashID(q.ID)
	}
	id := q.ID
	q.also = map[ident.ID]bool{}
	return r.file.scan(ctx, q.Since, newest, func(f filter) bool { return f.has(key) }, func(_ int64, raw []byte) bool {
		records, err := split(raw)
		if err != nil {
			r.o.Failed(err)
		}
		for _, b := range records {
			e, err := decodeEvent(b)
			switch {
			case err != nil || e.ID.IsZero():
			case !id.IsZero() && e.Other == id:
				q.ID = e.ID
			case q.To != "" && e.onward() && matches(q.To, e.Place) && len(q.also) < maxOnward:
				q.also[e.ID] = true
			}
		}
		return ctx.Err() == nil && len(q.also) < maxOnward
	})
}
