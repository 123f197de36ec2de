package limit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"
)

// Sliding remembers what client hosts (an IPv4 address or an IPv6 /64) did
// lately, each event with its time and kind, to tell when there are too many in
// a window that slides (B1G-BAN-01). Use NewSliding; all methods may be called
// at once.
//
// Room is made as in Windows: hosts whose events are all too old go first, then
// whoever has fewest and longest ago; never a host at three quarters of its
// limit or more. When too few others are left, a new host is not counted: its
// neighbours must not pay for it, and who is near the limit must not go free.
//
// A host takes 90 octets and 8 for each event.
type Sliding struct {
	start  time.Time
	seed   maphash.Seed
	shards []slidingShard
}

type slidingShard struct {
	mu    sync.Mutex
	clock steady
	hosts slab
	marks [][]int64 // by slot: microseconds since start and the kind, oldest first
	_     [64]byte
}

// Mark is one event.
type Mark struct {
	At   time.Time
	Kind uint8
}

const kindBits = 8

// NewSliding returns an empty table for so many hosts. It grows as it is used.
func NewSliding(hosts int) *Sliding {
	hosts = max(1, hosts)
	n := shardsFor(hosts)
	t := &Sliding{start: time.Now(), seed: maphash.MakeSeed(), shards: make([]slidingShard, n)}
	for i := range t.shards {
		s := &t.shards[i]
		s.clock, s.hosts = newSteady(overtaking), newSlab(perShard(hosts, n))
		s.hosts.dropped = func(slot uint32) { s.marks[slot] = nil }
	}
	return t
}

// Add counts an event of now. When that makes as many as the limit within the
// window it returns all of them, the oldest first, and forgets the host. Without
// a limit or window nothing is counted.
func (t *Sliding) Add(host netip.Addr, kind uint8, now time.Time, limit int, window time.Duration) []Mark {
	if limit <= 0 || window <= 0 || !host.IsValid() {
		return nil
	}
	s, k := t.shard(host)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.clock.at(int64(now.Sub(t.start)))
	all := s.add(k, at, min(int64(window), forEver), int64(kind), limit)
	if all == nil {
		return nil
	}
	marks := make([]Mark, len(all))
	for i, m := range all {
		ago := time.Duration(at)/time.Microsecond - time.Duration(m>>kindBits)
		marks[i] = Mark{At: now.Add(-ago * time.Microsecond), Kind: uint8(m & (1<<kindBits - 1))}
	}
	return marks
}

// Forget forgets the host and reports whether it was known.
func (t *Sliding) Forget(host netip.Addr) bool {
	s, k := t.shard(host)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.hosts.find(k)
	if slot != 0 {
		s.hosts.drop(slot)
	}
	return slot != 0
}

// Stats looks at one part after the other. Shared counts nothing.
func (t *Sliding) Stats() TableStats {
	var all TableStats
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		all.add(&s.hosts, 0)
		s.mu.Unlock()
	}
	return all
}

func (t *Sliding) shard(host netip.Addr) (*slidingShard, key) {
	k := hostKey(0, host)
	return &t.shards[maphash.Comparable(t.seed, k.near())&uint64(len(t.shards)-1)], k
}

// add returns the host's marks when they reach the limit.
func (s *slidingShard) add(k key, at, window, kind int64, limit int) []int64 {
	slot := s.hosts.find(k)
	if slot == 0 {
		if slot = s.hosts.claim(k, at, at); slot == 0 {
			return nil
		}
	}
	for int(slot) >= len(s.marks) {
		s.marks = append(s.marks, nil)
	}
	now := at / int64(time.Microsecond)
	all := append(since(s.marks[slot], now-window/int64(time.Microsecond)), now<<kindBits|kind)
	s.marks[slot] = all
	if len(all) >= limit {
		s.hosts.drop(slot)
		return all
	}
	s.hosts.setEnd(slot, at+window+1) // what is as old as the window still counts
	s.hosts.at(slot).count = uint32(len(all))
	s.hosts.rank(slot, uint32(min(int64(limit), math.MaxUint32)))
	return nil
}

// since leaves out what is older, in microseconds.
func since(marks []int64, oldest int64) []int64 {
	n := 0
	for n < len(marks) && marks[n]>>kindBits < oldest {
		n++
	}
	if n == len(marks) {
		return nil // and its room
	}
	return marks[n:]
}
