package limit

import (
	"hash/maphash"
	"math/bits"
)

const (
	chunkSize = 256 // entries allocated together
	levels    = 8   // of activity
	held      = levels
	// expireAtOnce bounds how long a caller holds the lock for others' sake.
	expireAtOnce = 16
)

// slab is a bounded set of counters without a pointer in it, and without a
// lock. It grows to its bound and stays. With its index (8 octets) and its
// order of ends (12) an entry takes 60 octets:
//
//	heads by hash ─► entry ─chain─► entry        found by key
//	rings by activity ─► newest … oldest         who goes first
//	ends, slots: a heap                          who is over first
//
// Entries at or near their limit are held: in no ring, so nothing but their
// end removes them. IPv6 hosts, whose addresses cost nothing, may take three
// quarters, so that no flood of them leaves IPv4 without room.
type slab struct {
	seed    maphash.Seed
	most    int
	len     int
	chunks  []*[chunkSize]counter
	used    uint32 // slots ever taken; slot 0 means none
	free    uint32 // first of those given back
	heads   []uint32
	ends    []int64
	slots   []uint32
	rings   [2][levels]ring // IPv4, IPv6
	family  [2]int          // entries of each
	held    [2]int          // of these, those held
	evicted uint64
	// dropped, if set, is told when a slot is given back.
	dropped func(slot uint32)
}

// counter is one entry.
type counter struct {
	key
	level      uint8  // which ring, or held
	family     uint8  // 0 for IPv4, 1 for IPv6
	count      uint32 // what the owner of the slab counts
	chain      uint32 // next with this hash, or next free
	prev, next uint32 // in the ring: newer, older
	place      uint32 // in the heap
}

type ring struct {
	newest, oldest uint32
	len            int
}

func newSlab(most int) slab { return slab{seed: maphash.MakeSeed(), most: max(1, most)} }

func (s *slab) at(slot uint32) *counter { return &s.chunks[slot/chunkSize][slot%chunkSize] }

func (s *slab) head(k key) *uint32 {
	return &s.heads[maphash.Comparable(s.seed, k)&uint64(len(s.heads)-1)]
}

// find returns the key's slot, or 0.
func (s *slab) find(k key) uint32 {
	if len(s.heads) == 0 {
		return 0
	}
	slot := *s.head(k)
	for slot != 0 {
		c := s.at(slot)
		if c.key == k {
			break
		}
		slot = c.chain
	}
	return slot
}

// claim returns a slot for a new key, or 0 when neither the ended nor the
// least active make room. The caller counts and ranks it.
func (s *slab) claim(k key, now, end int64) uint32 {
	s.expire(now)
	if s.full(k) {
		victim := s.victim(s.crowded(k))
		if victim == 0 {
			return 0
		}
		s.drop(victim)
		s.evicted++
	}
	return s.put(k, end)
}

// room reports whether claim would find a slot.
func (s *slab) room(k key, now int64) bool {
	s.expire(now)
	return !s.full(k) || s.victim(s.crowded(k)) != 0
}

// expire drops what has ended, a little at a time.
func (s *slab) expire(now int64) {
	for range expireAtOnce {
		if s.len == 0 || s.ends[0] > now {
			return
		}
		s.drop(s.slots[0])
	}
}

func (s *slab) full(k key) bool { return s.len >= s.most || s.crowded(k) }

// crowded reports an IPv6 key for which another one has to go.
func (s *slab) crowded(k key) bool { return k.is6() && s.family[1] >= s.most-s.most/4 }

// victim returns the least active entry, or 0. The last eighth is spared: with
// few slots to fight for, two hosts could wash each other's counts out for ever.
func (s *slab) victim(only6 bool) uint32 {
	spare := [2]int{s.family[0] - s.held[0], s.family[1] - s.held[1]}
	if only6 {
		spare[0] = 0
	}
	if spare[0]+spare[1] <= s.most/8 {
		return 0
	}
	for level := range levels {
		four, six := &s.rings[0][level], &s.rings[1][level]
		switch {
		case six.len > 0 && (spare[0] == 0 || six.len >= four.len):
			return six.oldest
		case four.len > 0 && spare[0] > 0:
			return four.oldest
		}
	}
	return 0
}

func (s *slab) put(k key, end int64) uint32 {
	if 2*s.len >= len(s.heads) {
		s.rehash()
	}
	slot := s.free
	if slot != 0 {
		s.free = s.at(slot).chain
	} else {
		s.used++
		slot = s.used
		if int(slot/chunkSize) >= len(s.chunks) {
			s.chunks = append(s.chunks, new([chunkSize]counter))
		}
	}
	head := s.head(k)
	c := s.at(slot)
	*c = counter{key: k, level: held, chain: *head}
	if k.is6() {
		c.family = 1
	}
	*head = slot
	s.len++
	s.family[c.family]++
	s.held[c.family]++
	s.push(slot, end)
	return slot
}

// drop gives the slot back.
func (s *slab) drop(slot uint32) {
	if s.dropped != nil {
		s.dropped(slot)
	}
	c := s.at(slot)
	s.leave(slot, c)
	s.pull(c.place)
	link := s.head(c.key)
	for *link != slot {
		link = &s.at(*link).chain
	}
	*link = c.chain
	s.len--
	s.family[c.family]--
	*c = counter{chain: s.free}
	s.free = slot
}

// rank puts the entry where its count belongs, as the newest there. From three
// quarters of the limit it is held.
func (s *slab) rank(slot uint32, limit uint32) {
	c := s.at(slot)
	level := uint8(held)
	if c.count < limit-limit/4 {
		level = uint8(min(max(1, bits.Len32(c.count)), levels) - 1)
	}
	if level == held && c.level == held {
		return
	}
	s.leave(slot, c)
	c.level = level
	if level == held {
		s.held[c.family]++
		return
	}
	r := &s.rings[c.family][level]
	c.prev, c.next = 0, r.newest
	if r.newest != 0 {
		s.at(r.newest).prev = slot
	} else {
		r.oldest = slot
	}
	r.newest = slot
	r.len++
}

// leave takes the entry out of its ring or of those held.
func (s *slab) leave(slot uint32, c *counter) {
	if c.level == held {
		s.held[c.family]--
		return
	}
	r := &s.rings[c.family][c.level]
	if c.prev != 0 {
		s.at(c.prev).next = c.next
	} else {
		r.newest = c.next
	}
	if c.next != 0 {
		s.at(c.next).prev = c.prev
	} else {
		r.oldest = c.prev
	}
	r.len--
}

// rehash doubles the index.
func (s *slab) rehash() {
	old := s.heads
	s.heads = make([]uint32, max(64, 2*len(old)))
	for _, slot := range old {
		for slot != 0 {
			c := s.at(slot)
			next, head := c.chain, s.head(c.key)
			c.chain, *head = *head, slot
			slot = next
		}
	}
}
