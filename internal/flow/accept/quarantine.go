package accept

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/store"
)

// QuarantineSettings say how much mail may be in quarantine, and how long. They
// are the group quarantine.
type QuarantineSettings struct {
	// Keep is how long a message waits for somebody to release it. Then it is
	// removed, and nobody is told: its sender was told it was accepted, and may be
	// forged (ORD-03).
	Keep time.Duration `default:"720h" min:"1h" max:"8760h"`
	// Most is how many messages may be in quarantine. None is removed to make
	// room: when quarantine is full, mail that belongs there is refused for the
	// time being (452), and the event quarantine.full says so.
	Most int `default:"10000" min:"10" max:"1000000"`
	// MostSize is how much space all messages in quarantine may take together.
	// None is removed to make room: when quarantine is full, mail that belongs
	// there is refused for the time being (452), and the event quarantine.full
	// says so.
	MostSize unit.Size `default:"2GB" min:"100MB" max:"1TB"`
}

// ErrQuarantineFull is that of Accept when mail belongs in quarantine and there
// is no room.
var ErrQuarantineFull = errors.New("quarantine is full")

// Quarantine lets only so much in, and removes what has been held back for too
// long.
type Quarantine struct {
	Queue    store.Queue
	Settings func() *QuarantineSettings
	// Removed is told of each message that was removed; nil for nobody.
	Removed func(store.QueueEntry)
	Log     *event.Logger

	mu       sync.Mutex
	used     load          // at the time of read, and taken since
	underWay load          // taken, but perhaps not committed
	read     time.Time     // of the store
	took     time.Duration // reading
	counting chan struct{} // closed when somebody has read, nil when nobody reads
	ended    load          // were under way since somebody reads
	told     time.Time     // that it is full
}

// load is some messages.
type load struct{ messages, octets int64 }

func (l load) plus(o load) load { return load{l.messages + o.messages, l.octets + o.octets} }

func (l load) fits(s *QuarantineSettings) bool {
	return l.messages <= int64(s.Most) && l.octets <= int64(s.MostSize)
}

const (
	// looking is how often old messages are looked for, sweepPage how many of
	// them are read at once.
	looking   = 10 * time.Minute
	sweepPage = 100
	// believed is how long is believed what the store said was there, which
	// other nodes add to; believedFull the same when it leaves no room. It is
	// longer where counting is work: at least so many times as long as that took.
	believed      = 5 * time.Second
	believedFull  = time.Second
	believedTimes = 10
	// tellAgain is how often is said that quarantine is full.
	tellAgain = 10 * time.Minute
)

// take asks for room for one message. done is to be called when its commit has
// ended.
func (q *Quarantine) take(ctx context.Context, octets int64) (done func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, one := q.Settings(), load{1, octets}
	if err := q.look(ctx, one, s); err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	if !q.used.plus(one).fits(s) {
		q.full(s)
		return nil, ErrQuarantineFull
	}
	q.used, q.underWay = q.used.plus(one), q.underWay.plus(one)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.underWay, q.ended = q.underWay.plus(load{-1, -octets}), q.ended.plus(one)
	}, nil
}

// look sees that used is young enough for one more. Nobody counts twice at
// once: while somebody does, the last result will do, if there is one. It is
// called with mu held, which it gives away meanwhile.
func (q *Quarantine) look(ctx context.Context, one load, s *QuarantineSettings) error {
	for {
		bound := believed
		if !q.used.plus(one).fits(s) {
			bound = believedFull
		}
		switch {
		case time.Since(q.read) < max(bound, believedTimes*q.took):
			return nil
		case q.counting == nil:
			return q.count(ctx)
		case !q.read.IsZero():
			return nil
		}
		counted := q.counting
		q.mu.Unlock()
		select {
		case <-counted:
		case <-ctx.Done():
		}
		q.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// count asks the store. What ends meanwhile may be in the answer or not, and
// counts.
func (q *Quarantine) count(ctx context.Context) error {
	q.counting, q.ended = make(chan struct{}), load{}
	start := time.Now()
	q.mu.Unlock()
	messages, octets, err := q.Queue.Quarantine(ctx)
	q.mu.Lock()
	close(q.counting)
	q.counting = nil
	if err != nil {
		return err
	}
	q.read, q.took = time.Now(), time.Since(start)
	q.used = load{messages, octets}.plus(q.underWay).plus(q.ended)
	return nil
}

// full tells that there is no room, now and then.
func (q *Quarantine) full(s *QuarantineSettings) {
	if time.Since(q.told) < tellAgain {
		return
	}
	q.told = time.Now()
	q.Log.Log(event.QuarantineFull, slog.Int64("messages", q.used.messages), slog.Int("most", s.Most),
		slog.Int64("size", q.used.octets), slog.Int64("most_size", int64(s.MostSize)))
}

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
