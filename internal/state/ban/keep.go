package ban

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// load reads the bans in force; those not yet written stay. Who was let in
// again, here or by another node, begins without failures.
func (b *Book) load(ctx context.Context) (int64, error) {
	b.talk.Lock() // a ban is in the rows read, or pending
	defer b.talk.Unlock()
	now := time.Now()
	rows, version, err := b.store.All(ctx, now)
	if err != nil {
		return 0, err
	}
	fresh := newTable(rows)
	lifted := b.missing(fresh, now)
	b.mu.Lock()
	for _, row := range b.pending {
		fresh.put(row)
	}
	b.table = fresh
	b.mu.Unlock()
	for _, k := range lifted {
		b.marks.Forget(k.host.Addr())
		b.o.Log.Log(event.ClientUnbanned, slog.String("client", k.host.String()), slog.String("kind", k.kind.String()), slog.String("reason", "lifted, or no room was left"))
	}
	return version, nil
}

// missing lists the bans in force that the store does not have any more.
func (b *Book) missing(fresh *table, now time.Time) (all []key) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for k, row := range b.table.rows {
		_, kept := fresh.rows[k]
		_, waits := b.pending[k]
		if !kept && !waits && InForce(row, now) {
			all = append(all, k)
		}
	}
	return all
}

func (b *Book) failed(err error) {
	b.o.Log.Log(event.StoreFailed, event.Err(fmt.Errorf("bans: %w", err)))
}

// sweep removes what ended long ago.
func (b *Book) sweep(ctx context.Context) error {
	_, err := b.store.Sweep(ctx, time.Now().Add(-keepEnded))
	return err
}

// write hands new bans to the store; those it does not take are tried again.
func (b *Book) write(ctx context.Context) error {
	b.mu.RLock()
	rows := maps.Clone(b.pending)
	b.mu.RUnlock()
	for k, row := range rows {
		if err := b.put(ctx, k, row); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) put(ctx context.Context, k key, row store.BanRow) error {
	b.talk.Lock()
	defer b.talk.Unlock()
	if err := b.store.Put(ctx, row, b.o.Settings().Most); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending[k] == row { // not banned anew meanwhile
		delete(b.pending, k)
	}
	return nil
}
