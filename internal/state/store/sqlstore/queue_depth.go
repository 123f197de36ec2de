package sqlstore

import (
	"context"

	"posthorn/internal/state/store"
)

// Depth implements store.Queue.
func (q *queue) Depth(ctx context.Context) (out []store.QueueDepth, err error) {
	err = q.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(`SELECT is_local, state, COUNT(*) FROM queue_recipient GROUP BY is_local, state ORDER BY is_local, state`, nil, func(r row) error {
			out = append(out, store.QueueDepth{Local: boolAt(r, 0), State: store.QueueState(r.int(1)), Recipients: r.int(2)})
			return nil
		})
	})
	return out, err
}

// Quarantine implements store.Queue.
func (q *queue) Quarantine(ctx context.Context) (messages, octets int64, err error) {
	_, err = q.s.get(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM queue
		WHERE id IN (SELECT queue_id FROM queue_recipient WHERE state = 2)`, nil, func(r row) error {
		messages, octets = r.int(0), r.int(1)
		return nil
	})
	return messages, octets, err
}
