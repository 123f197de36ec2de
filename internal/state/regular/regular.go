// Package regular remembers client hosts that did well: those that good mail
// came from, which need not wait for the greeting (B1G-LIM-01), and those from
// which an administrator logged in, which are never banned (B1G-BAN-02).
//
//	sessions ──Note──► memory at once ──each minute, in batches──► store
//	sessions ──Knows──► memory ◄──each minute, what other nodes noted──┘
//
// A host that does well all the time costs a row each day, not each time; a
// restart knows it by that row, Close writes what is new down. It does not know
// what good mail is, nor what a host is spared.
package regular

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

const (
	// talkEvery is how old a host is when it is written down, and when other
	// nodes' hosts are read.
	talkEvery  = time.Minute
	sweepEvery = time.Hour
	// part: a row is written again when that part of its time has gone by.
	part = 30
	// atOnce is how many hosts one transaction writes down, so that no mail waits
	// long behind it.
	atOnce = 500
	// farewell is how long Close waits for the store.
	farewell = 5 * time.Second
)

// rule is how a kind of hosts is remembered.
type rule struct {
	most int
	keep time.Duration
}

var rules = [...]rule{
	store.RegularMail:          {100_000, 30 * 24 * time.Hour},
	store.RegularAdministrator: {1000, 24 * time.Hour},
}

// host is what memory has of one, in nanoseconds since 1970: when it did well
// last, and what the store knows of that.
type host struct{ last, stored int64 }

// Book is the list of hosts that did well. It may be used by many goroutines.
// Close it before the store.
type Book struct {
	store store.Regulars
	log   *event.Logger
	hosts [len(rules)]*limit.Table[netip.Prefix, host]

	mu      sync.Mutex
	pending [len(rules)]map[netip.Prefix]time.Time // not yet in the store

	version int64 // how far the store was read; of Open and talk alone
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Open reads the hosts known and keeps them current until Close. log is told of
// a store that fails; nil is silent.
func Open(ctx context.Context, s store.Regulars, log *event.Logger) (*Book, error) {
	b := &Book{store: s, log: log}
	for kind, r := range rules {
		b.hosts[kind] = limit.NewTable[netip.Prefix, host](r.most, r.keep)
		b.pending[kind] = map[netip.Prefix]time.Time{}
	}
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.work.Go(func() { store.Repeat(ctx, talkEvery, nil, b.talk, b.failed) })
	b.work.Go(func() { store.Repeat(ctx, sweepEvery, nil, b.sweep, b.failed) })
	return b, nil
}

// Close writes down what is not yet.
func (b *Book) Close() error {
	b.stop()
	b.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	return b.write(ctx)
}

// Knows reports that the client's host did well lately: within 30 days for mail,
// a day for administrators. Of hosts that only the store knew it may be a
// thirtieth less.
func (b *Book) Knows(kind store.RegularKind, client netip.Addr) bool {
	h, ok := b.hosts[kind].Get(limit.Host(client))
	return ok && time.Since(time.Unix(0, h.last)) < rules[kind].keep
}

// Note keeps in mind that the client's host did well just now.
func (b *Book) Note(kind store.RegularKind, client netip.Addr) {
	if !client.IsValid() {
		return
	}
	name, now, due := limit.Host(client), time.Now(), false
	b.hosts[kind].Update(name, func(h *host) {
		h.last = now.UnixNano()
		if due = time.Duration(h.last-h.stored).Abs() >= rules[kind].keep/part; due {
			h.stored = h.last // or will be in a minute
		}
	})
	if !due {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending[kind]) < rules[kind].most {
		b.pending[kind][name] = now
	}
}

func (b *Book) failed(err error) { b.log.Log(event.StoreFailed, event.Err(err)) }

// talk writes hosts down and reads those of other nodes.
func (b *Book) talk(ctx context.Context) error { return errors.Join(b.write(ctx), b.read(ctx)) }

// read takes in what was noted since it read last, by other nodes too.
func (b *Book) read(ctx context.Context) error {
	rows, version, err := b.store.Since(ctx, b.version, 0)
	if err != nil {
		return fmt.Errorf("read regular clients: %w", err)
	}
	now := time.Now().UnixNano()
	for _, r := range slices.Backward(rows) { // the last to do well is the last to be forgotten
		if int(r.Kind) >= len(rules) {
			continue // of a newer version
		}
		name, at := limit.Host(r.Host.Addr()), min(r.Last.UnixNano(), now) // whatever another node's clock says
		if h, ok := b.hosts[r.Kind].Get(name); !ok || h.last < at {        // what this process wrote is no news
			b.hosts[r.Kind].Set(name, host{at, at})
		}
	}
	b.version = version
	return nil
}

// write hands new hosts to the store; those it does not take are kept.
func (b *Book) write(ctx context.Context) error {
	var errs []error
	for kind := range rules {
		b.mu.Lock()
		pending := b.pending[kind]
		b.pending[kind] = map[netip.Prefix]time.Time{}
		b.mu.Unlock()
		if err := b.writeKind(ctx, store.RegularKind(kind), pending); err != nil {
			errs = append(errs, fmt.Errorf("write regular clients: %w", err))
			b.restore(kind, pending)
		}
	}
	return errors.Join(errs...)
}

// writeKind takes what was written out of pending.
func (b *Book) writeKind(ctx context.Context, kind store.RegularKind, pending map[netip.Prefix]time.Time) error {
	// In order, so that two nodes lock rows in the same one.
	names := slices.SortedFunc(maps.Keys(pending), func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for step := range slices.Chunk(names, atOnce) {
		rows := make([]store.RegularRow, len(step))
		for i, name := range step {
			rows[i] = store.RegularRow{Host: name, Kind: kind, Last: pending[name]}
		}
		if err := b.store.Note(ctx, kind, rows, rules[kind].most); err != nil {
			return err
		}
		for _, name := range step {
			delete(pending, name)
		}
	}
	return nil
}

func (b *Book) restore(kind int, left map[netip.Prefix]time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, last := range left {
		if _, newer := b.pending[kind][name]; !newer && len(b.pending[kind]) < rules[kind].most {
			b.pending[kind][name] = last
		}
	}
}

// sweep removes hosts of which nothing good was heard for their time.
func (b *Book) sweep(ctx context.Context) error {
	for kind, r := range rules {
		for n := 1; n > 0; {
			var err error
			if n, err = b.store.Sweep(ctx, store.RegularKind(kind), time.Now().Add(-r.keep)); err != nil {
				return err
			}
		}
	}
	return nil
}
