package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Sizes of Windows when the caller names none.
const (
	defaultKeys = 1 << 20
	wideSlots   = 4096
	// overtaking is how far callers may be apart with their time.
	overtaking = int64(10 * time.Second)
)

// Windows counts events by rule and client host (an IPv4 address or an IPv6
// /64) in windows that begin with the first counted event (M-SEC-CON-03,
// M-SEC-CON-04). Use NewWindows; all methods may be called at once.
//
// It holds 1,048,576 counters unless told otherwise, at 60 octets each and a
// sixteenth of them for networks: 67 MB when full, and little before.
// At the cap, what has ended goes first, then whoever counted least and longest
// ago; never one that is at three quarters of its limit or more. When too few
// others are left, new hosts share one counter per IPv4 /24 or IPv6 /48. When
// even these are all near their limits, they share 4,096 counters, one for a
// whole IPv4 /8 or IPv6 /24: known hosts keep their own, strangers get little.
//
// A network lives in one of up to 64 parts with a lock each: whoever owns a
// whole /48 fills one part and leaves the others alone.
type Windows struct {
	start  time.Time
	seed   maphash.Seed
	shards []windowShard
	wide   wideWindows
}

type windowShard struct {
	mu     sync.Mutex
	clock  steady
	hosts  slab
	near   slab
	shared uint64 // judgements by a shared counter
	_      [64]byte
}

// WindowsOptions are the bounds of Windows.
type WindowsOptions struct {
	// Keys is how many (rule, host) counters there are at once; 0 means 1,048,576.
	Keys int
}

// NewWindows returns an empty table. It grows as it is used.
func NewWindows(o WindowsOptions) *Windows {
	keys := o.Keys
	if keys <= 0 {
		keys = defaultKeys
	}
	n := shardsFor(keys)
	w := &Windows{start: time.Now(), seed: maphash.MakeSeed(), shards: make([]windowShard, n)}
	for i := range w.shards {
		s := &w.shards[i]
		s.clock, s.hosts, s.near = newSteady(overtaking), newSlab(perShard(keys, n)), newSlab(perShard(keys/16, n))
	}
	w.wide.clock = newSteady(overtaking)
	return w
}

// shardsFor is a power of two: one for small tables, which then are exact.
func shardsFor(keys int) int {
	n := 1
	for n < 64 && keys/n > 4096 {
		n *= 2
	}
	return n
}

func perShard(keys, shards int) int { return (keys + shards - 1) / shards }

// Judgement is what a counter says.
type Judgement struct {
	// Count is how many were counted in this window.
	Count int
	// Over means refused: the limit had been reached.
	Over bool
	// Until is when the window ends; zero if none has begun.
	Until time.Time
	// Shared means that the counter is that of Network or a larger one.
	Shared bool
}

// Count counts one event unless the limit is reached; that one is refused and
// does not count, so that a polite client is free again at Until. Limit and
// window are the caller's at each call: a changed setting works at once. Without
// a limit or window nothing is counted.
//
// Give it a time with a monotonic reading. Without one, a clock set back changes
// nothing, and one set forward ends windows.
func (w *Windows) Count(rule Rule, host netip.Addr, now time.Time, limit int, window time.Duration) Judgement {
	return w.judge(hostKey(rule, host), ask(now, limit, window, true))
}

// Look says what Count would, without counting: Over means it would refuse.
func (w *Windows) Look(rule Rule, host netip.Addr, now time.Time, limit int, window time.Duration) Judgement {
	return w.judge(hostKey(rule, host), ask(now, limit, window, false))
}

// Forget ends the host's window and reports whether there was one. What it
// shares with others stays.
func (w *Windows) Forget(rule Rule, host netip.Addr) bool {
	k := hostKey(rule, host)
	s := w.shard(k.near())
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.hosts.find(k)
	if slot != 0 {
		s.hosts.drop(slot)
	}
	return slot != 0
}

// TableStats tell how full a table is.
type TableStats struct {
	// Keys are the hosts with a counter of their own, ended ones included
	// until their place is needed; Cap is how many there may be.
	Keys, Cap int
	// Evicted counts the hosts forgotten for room, Shared the answers given
	// by a shared counter, both since the start.
	Evicted, Shared uint64
}

// Stats looks at one part after the other.
func (w *Windows) Stats() TableStats {
	var t TableStats
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		t.add(&s.hosts, s.shared)
		s.mu.Unlock()
	}
	return t
}

func (t *TableStats) add(s *slab, shared uint64) {
	t.Keys += s.len
	t.Cap += s.most
	t.Evicted += s.evicted
	t.Shared += shared
}

func (w *Windows) shard(near key) *windowShard {
	return &w.shards[maphash.Comparable(w.seed, near)&uint64(len(w.shards)-1)]
}

func (w *Windows) judge(k key, q question) Judgement {
	if q.limit == 0 || q.window == 0 {
		return Judgement{}
	}
	if q.now.IsZero() {
		q.now = time.Now()
	}
	shown := int64(q.now.Sub(w.start))
	near := k.near()
	s := w.shard(near)
	j, ok := s.judge(k, near, q, shown)
	if !ok {
		j = w.wide.judge(maphash.Comparable(w.seed, k.wide()), q, shown)
	}
	return j
}

// judge asks the host's own counter, or else that of its network.
func (s *windowShard) judge(k, near key, q question, shown int64) (Judgement, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.at = s.clock.at(shown)
	j, ok := q.ask(&s.hosts, k)
	if !ok {
		s.shared++
		j, ok = q.ask(&s.near, near)
		j.Shared = true
	}
	return j, ok
}
