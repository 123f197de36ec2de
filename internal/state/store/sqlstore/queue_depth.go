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
