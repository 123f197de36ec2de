package access

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

const (
	// pollEvery is how old a change of another node may be.
	pollEvery = 2 * time.Second
	// writeEvery is how old hits are when they are written down.
	writeEvery = 10 * time.Second
	// sweepEvery and keepExpired: expired rules can be looked at for a month.
	sweepEvery  = time.Hour
	keepExpired = 30 * 24 * time.Hour
	// farewell is how long Close waits for the store.
	farewell = 5 * time.Second
)

// Lists are the rules in force. They implement policy.Access and may be used by
// many goroutines. Close them before the store.
type Lists struct {
	store store.Access
	log   *event.Logger
	table atomic.Pointer[Table]

	mu   sync.Mutex
	hits map[int64]int64 // by rule, not yet written down
	last time.Time

	stop context.CancelFunc
	work sync.WaitGroup
}

// Open reads the rules and keeps them current until Close. log is told of rules
// that cannot be read and of a store that fails; nil is silent.
func Open(ctx context.Context, s store.Access, log *event.Logger) (*Lists, error) {
	l := &Lists{store: s, log: log, hits: map[int64]int64{}}
	version, err := l.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("access lists: %w", err)
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.work.Go(func() { store.Follow(ctx, s, version, pollEvery, l.load, l.failed) })
	l.work.Go(func() { store.Repeat(ctx, writeEvery, nil, l.write, l.failed) })
	l.work.Go(func() { store.Repeat(ctx, sweepEvery, nil, l.sweep, l.failed) })
	return l, nil
}

// Close ends following and writes the last hits down.
func (l *Lists) Close() error {
	l.stop()
	l.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	return l.write(ctx)
}

func (l *Lists) load(ctx context.Context) (int64, error) {
	t, err := Load(ctx, l.store, time.Now())
	if err != nil {
		return 0, err
	}
	if err := t.Unread(); err != nil {
		l.log.Log(event.SettingInvalid, event.Err(err))
	}
	l.table.Store(t)
	return t.version, nil
}

func (l *Lists) failed(err error) {
	l.log.Log(event.StoreFailed, event.Err(fmt.Errorf("access lists: %w", err)))
}

// sweep removes what expired long ago.
func (l *Lists) sweep(ctx context.Context) error {
	_, err := l.store.Sweep(ctx, time.Now().Add(-keepExpired))
	return err
}

// write hands the hits to the store; what it does not take is kept. After an
// outcome that is unknown they may count twice.
func (l *Lists) write(ctx context.Context) error {
	l.mu.Lock()
	hits, last := l.hits, l.last
	l.hits = map[int64]int64{}
	l.mu.Unlock()
	if len(hits) == 0 {
		return nil
	}
	err := l.store.Hit(ctx, hits, last)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range hits {
		l.hits[id] += n
	}
	return fmt.Errorf("hits of access rules: %w", err)
}

// Client implements policy.Access; see Table.
func (l *Lists) Client(ip netip.Addr) []*Rule { return l.table.Load().Client(ip) }

// Sender implements policy.Access; see Table.
func (l *Lists) Sender(a mail.Address) []*Rule { return l.table.Load().Sender(a) }

// Recipient implements policy.Access; see Table.
func (l *Lists) Recipient(a mail.Address) []*Rule { return l.table.Load().Recipient(a) }

// Hit implements policy.Access. It costs no input or output.
func (l *Lists) Hit(r *Rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hits[r.ID]++
	l.last = time.Now()
}

// Looking returns the same rules for who only tries: nothing is counted.
func (l *Lists) Looking() Looking { return Looking{l} }

// Looking is Lists without counting.
type Looking struct{ *Lists }

// Hit implements policy.Access.
func (Looking) Hit(*Rule) {}
