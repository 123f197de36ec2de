package limit

import (
	"sync"
	"time"
)

// Table is a map that cannot grow beyond its cap and forgets what nobody has
// asked for during its expiry.
//
// When it is full, the least active key goes: one that was touched once goes
// before any that was touched again, and among equals the one touched longest
// ago. A flood of addresses seen once can therefore not wash out the clients
// that keep coming back. Use NewTable.
type Table[K comparable, V any] struct {
	size   int
	expiry time.Duration

	mu      sync.Mutex
	entries map[K]*entry[K, V]
	// once and again are rings through their sentinel, newest first: keys
	// touched once, and keys touched more often.
	once, again entry[K, V]
	againLen    int
	evicted     uint64
}

type entry[K comparable, V any] struct {
	key        K
	value      V
	touched    time.Time
	active     bool // in ring again
	prev, next *entry[K, V]
}

// NewTable returns a table for at most size keys (at least 1). A key expires
// when it is not touched for expiry; 0 means never.
func NewTable[K comparable, V any](size int, expiry time.Duration) *Table[K, V] {
	t := &Table[K, V]{size: max(1, size), expiry: expiry, entries: map[K]*entry[K, V]{}}
	t.once.prev, t.once.next = &t.once, &t.once
	t.again.prev, t.again.next = &t.again, &t.again
	return t
}

// Update calls f with the key's value, which is the zero value for a new key,
// and touches the key. The table is locked while f runs: f must be short and
// must not use the table.
func (t *Table[K, V]) Update(key K, f func(v *V)) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.live(key, now)
	if e == nil {
		e = t.insert(key)
	} else {
		t.promote(e)
	}
	e.touched = now
	f(&e.value)
}

// Get returns the key's value and whether there is one. It does not touch.
func (t *Table[K, V]) Get(key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.live(key, time.Now()); e != nil {
		return e.value, true
	}
	var zero V
	return zero, false
}

// Set stores the value and touches the key.
func (t *Table[K, V]) Set(key K, value V) { t.Update(key, func(v *V) { *v = value }) }

// Delete forgets the key and reports whether it was there.
func (t *Table[K, V]) Delete(key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.live(key, time.Now())
	if e != nil {
		t.remove(e)
	}
	return e != nil
}

// Len returns the number of keys, and Evicted how many had to go for room.
func (t *Table[K, V]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// Cap returns the size the table was made with.
func (t *Table[K, V]) Cap() int { return t.size }

// Evicted returns how many keys had to go for room since the start.
func (t *Table[K, V]) Evicted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}

// Sweep removes expired keys and returns how many. Every insertion sweeps a
// little; call it from a ticker only where memory must return without traffic.
func (t *Table[K, V]) Sweep() int {
	now, n := time.Now(), 0
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.sweepOne(&t.once, now) {
		n++
	}
	for t.sweepOne(&t.again, now) {
		n++
	}
	return n
}

// live returns the entry unless it has expired; then it is removed.
func (t *Table[K, V]) live(key K, now time.Time) *entry[K, V] {
	e := t.entries[key]
	if e != nil && t.expired(e, now) {
		t.remove(e)
		return nil
	}
	return e
}

func (t *Table[K, V]) expired(e *entry[K, V], now time.Time) bool {
	return t.expiry > 0 && now.Sub(e.touched) > t.expiry
}

// sweepOne removes the oldest of the ring if it has expired.
func (t *Table[K, V]) sweepOne(ring *entry[K, V], now time.Time) bool {
	oldest := ring.prev
	if oldest == ring || !t.expired(oldest, now) {
		return false
	}
	t.remove(oldest)
	return true
}

func (t *Table[K, V]) insert(key K) *entry[K, V] {
	now := time.Now()
	// Two a call is enough to shrink faster than the table grows.
	t.sweepOne(&t.once, now)
	t.sweepOne(&t.again, now)
	if len(t.entries) >= t.size {
		t.evict()
	}
	e := &entry[K, V]{key: key}
	t.entries[key] = e
	link(&t.once, e)
	return e
}

// evict removes the least active key.
func (t *Table[K, V]) evict() {
	victim := t.once.prev
	if victim == &t.once {
		victim = t.again.prev
	}
	t.remove(victim)
	t.evicted++
}

// promote moves the entry to the front of the active ring. That ring takes at
// most three quarters of the table; its oldest steps back, so that newcomers
// always have room to prove themselves.
func (t *Table[K, V]) promote(e *entry[K, V]) {
	e.unlink()
	if !e.active {
		e.active = true
		t.againLen++
	}
	link(&t.again, e)
	if t.againLen > t.size-t.size/4 {
		back := t.again.prev
		back.unlink()
		back.active = false
		t.againLen--
		link(&t.once, back)
	}
}

func (t *Table[K, V]) remove(e *entry[K, V]) {
	e.unlink()
	if e.active {
		t.againLen--
	}
	delete(t.entries, e.key)
}

// link puts the entry at the front of the ring.
func link[K comparable, V any](ring, e *entry[K, V]) {
	e.prev, e.next = ring, ring.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry[K, V]) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}
