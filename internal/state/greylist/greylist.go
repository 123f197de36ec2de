// Package greylist remembers who tried to deliver (B1G-GREY). It stands between
// policy and the greylist of the store, so that a client that is known well
// costs no write for each message: its passes are counted in memory and written
// down together once a minute.
//
//	policy ──Attempt──► known, asked about lately? ──yes──► pass, noted
//	                              │no                          │ every minute
//	                              ▼                            ▼
//	                        store.Attempt                 store.Pass
//
// The store is asked about a client again as soon as its answer is older than
// two minutes, so that what is removed there by another node is not known for
// longer here. Whom the greylist concerns and what a client is told is policy's.
package greylist

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

const (
	// writeEvery is how old passes are when they are written down.
	writeEvery = time.Minute
	// trusted is how long the store's answer counts.
	trusted = 2 * writeEvery
	// known is how many clients are held in memory; one takes about 400 octets.
	known = 20_000
	// sweepEvery, and rest between the steps of one sweep.
	sweepEvery = 5 * time.Minute
	rest       = 100 * time.Millisecond
	// atOnce is how many clients one transaction writes down, so that no mail
	// waits long behind it.
	atOnce = 500
	// farewell is how long Close waits for the store.
	farewell = 5 * time.Second
)

// Options say what a List works with.
type Options struct {
	// Rules are the numbers in force, for sweeping.
	Rules func() store.GreylistRules
	// Log is told of a store that fails; nil is silent.
	Log *event.Logger
}

// List is the greylist. It implements policy.Greylist and may be used by many
// goroutines. Close it before the store.
type List struct {
	store store.Greylist
	o     Options

	mu sync.Mutex
	// cache has confirmed clients as the store had them, for as long as its
	// answer counts.
	cache *limit.Table[string, store.GreylistRow]
	// passed are passes by key, not yet written down; writing those on their way.
	passed, writing map[string]store.GreylistRow
	// forgotten grows whenever clients are forgotten: what was read before is
	// not to be remembered after.
	forgotten int64

	stop context.CancelFunc
	work sync.WaitGroup
}

// Open returns a List that sweeps the store until Close.
func Open(s store.Greylist, o Options) *List {
	l := &List{store: s, o: o, cache: newCache(), passed: map[string]store.GreylistRow{}}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	failed := func(err error) { o.Log.Log(event.StoreFailed, event.Err(err)) }
	l.work.Go(func() { store.Repeat(ctx, writeEvery, nil, l.write, failed) })
	l.work.Go(func() { store.Repeat(ctx, sweepEvery, nil, l.sweep, failed) })
	return l
}

func newCache() *limit.Table[string, store.GreylistRow] {
	return limit.NewTable[string, store.GreylistRow](known, trusted)
}

// Close ends sweeping and writes the last passes down.
func (l *List) Close() error {
	l.stop()
	l.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	return l.write(ctx)
}

// Attempt implements policy.Greylist.
func (l *List) Attempt(ctx context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	if row, ok := l.pass(a, now, r); ok {
		return row, 0, nil
	}
	before := l.generation()
	row, wait, err := l.store.Attempt(ctx, a, now, r)
	if err == nil && wait == 0 {
		l.remember(row, before)
	}
	return row, wait, err
}

// pass lets a client through that is known in memory, and notes it.
func (l *List) pass(a store.GreylistRow, now time.Time, r store.GreylistRules) (row store.GreylistRow, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, ok := l.cache.Get(a.Key)
	if !ok {
		return row, false
	}
	now = now.UTC().Truncate(time.Microsecond)
	p, noted := l.passed[a.Key]
	for _, q := range [...]store.GreylistRow{l.writing[a.Key], p} {
		if have.Passed += q.Passed; q.Passed > 0 {
			have.Last = q.Last
		}
	}
	row, wait := r.Judge(have, true, now)
	if wait > 0 || row.Confirmed != have.Confirmed || !noted && len(l.passed) >= known {
		return row, false // the store decides that
	}
	row.Sender, row.Recipient, row.Helo = a.Sender, a.Recipient, a.Helo
	p.Key, p.Passed, p.Last, p.Sender, p.Recipient, p.Helo = a.Key, p.Passed+1, now, a.Sender, a.Recipient, a.Helo
	l.passed[a.Key] = p
	return row, true
}

func (l *List) generation() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forgotten
}

// remember keeps what the store says of a confirmed client, unless somebody was
// forgotten meanwhile.
func (l *List) remember(row store.GreylistRow, before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgotten == before {
		l.cache.Set(row.Key, row)
	}
}

// forget drops what is in memory of some clients, or of all.
func (l *List) forget(keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten++
	for _, key := range keys {
		l.cache.Delete(key)
		delete(l.passed, key)
		delete(l.writing, key)
	}
	if len(keys) == 0 {
		l.cache = newCache()
		clear(l.passed)
		clear(l.writing)
	}
}

// write hands the passes to the store; those it does not take are kept. After an
// outcome that is unknown they may count twice.
func (l *List) write(ctx context.Context) error {
	l.mu.Lock()
	l.writing, l.passed = l.passed, map[string]store.GreylistRow{}
	rows := slices.Collect(maps.Values(l.writing))
	l.mu.Unlock()
	for len(rows) > 0 {
		step := rows[:min(len(rows), atOnce)]
		gone, err := l.store.Pass(ctx, step, l.o.Rules())
		if err != nil {
			l.restore(rows)
			return fmt.Errorf("greylist: %w", err)
		}
		if len(gone) > 0 {
			l.forget(gone...)
		}
		l.refresh(step)
		rows = rows[len(step):]
	}
	return nil
}

// restore takes passes back that could not be written.
func (l *List) restore(rows []store.GreylistRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range rows {
		delete(l.writing, p.Key)
		if newer, ok := l.passed[p.Key]; ok {
			newer.Passed += p.Passed
			p = newer
		}
		l.passed[p.Key] = p
	}
}

// refresh takes what was written into what is known of the clients, for the
// store has just said that they are confirmed.
func (l *List) refresh(rows []store.GreylistRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range rows {
		delete(l.writing, p.Key)
		if have, ok := l.cache.Get(p.Key); ok {
			have.Passed += p.Passed
			have.Last = p.Last
			l.cache.Set(p.Key, have)
		}
	}
}
