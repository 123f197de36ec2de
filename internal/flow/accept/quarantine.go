package accept

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// QuarantineSettings say how long mail may be in quarantine. They are the group
// quarantine.
type QuarantineSettings struct {
	// Keep is how long a message waits for somebody to release it. Then it is
	// removed, and nobody is told: its sender was told it was accepted, and may be
	// forged (ORD-03).
	Keep time.Duration `default:"720h" min:"1h" max:"8760h"`
}

// Quarantine removes what has been held back for too long.
type Quarantine struct {
	Queue    store.Queue
	Settings func() *QuarantineSettings
	// Removed is told of each message that was removed; nil for nobody.
	Removed func(store.QueueEntry)
	Log     *event.Logger
}

const (
	// looking is how often old messages are looked for, sweepPage how many of
	// them are read at once.
	looking   = 10 * time.Minute
	sweepPage = 100
)

// Run looks until ctx ends.
func (q *Quarantine) Run(ctx context.Context) {
	t := time.NewTicker(looking)
	defer t.Stop()
	for {
		if _, err := q.Sweep(ctx); err != nil && ctx.Err() == nil {
			q.Log.Log(event.QueueError, event.Err(err))
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep removes what is too old now and returns how many messages.
func (q *Quarantine) Sweep(ctx context.Context) (removed int, err error) {
	state := store.Quarantined
	f := store.QueueFilter{State: &state, Limit: sweepPage}
	for {
		page, err := q.Queue.List(ctx, f)
		if err != nil {
			return removed, err
		}
		before := time.Now().Add(-q.Settings().Keep)
		for _, m := range page {
			f.After = m.ID
			if m.Accepted.After(before) {
				continue
			}
			_, err := q.Queue.Remove(ctx, store.QueueFilter{ID: m.ID, State: &state})
			if errors.Is(err, store.ErrNotFound) {
				continue // released or removed just now
			}
			if err != nil {
				return removed, err
			}
			removed++
			q.Log.Message(m.ID).Log(event.QuarantineExpired, slog.String("reason", m.Quarantine))
			if q.Removed != nil {
				q.Removed(m)
			}
		}
		if len(page) < sweepPage {
			return removed, nil
		}
	}
}
