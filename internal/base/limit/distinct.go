package limit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
)

const (
	defaultHosts = 1 << 18
	defaultItems = 1 << 21
	// mostItems of one host are told apart; what comes after counts as new.
	mostItems = 4096
)

// Distinct counts how many different items a client host has come up with on a
// calendar day: recipients that do not exist (M-SEC-ADV-04). Use NewDistinct;
// all methods may be called at once.
//
// It holds 262,144 hosts and 2,097,152 items unless told otherwise, at 64
// octets a host and 32 for every seven items: 27 MB when full, and little
// before. Room is made as in Windows: yesterday's hosts first, then who came up
// with least; never a host at three quarters of its limit or more. Without room
// for hosts, new ones share a count per IPv4 /24 or IPv6 /48, and last per
// IPv4 /8 or IPv6 /24. Without room for items, each counts as a new one.
type Distinct struct {
	key    [16]byte
	seed   maphash.Seed
	shards []distinctShard
	wide   wideDays
}

type distinctShard struct {
	mu     sync.Mutex
	clock  steady
	items  items
	hosts  tallies
	near   tallies
	shared uint64
	_      [64]byte
}

// DistinctOptions are the bounds of Distinct.
type DistinctOptions struct {
	Hosts int // counted at once; 0 means 262,144
	Items int // of all hosts together; 0 means eight a host
	// Key makes the hashes of items unpredictable. Who wants to restore counts
	// after a restart gives the same again; the zero key means a random one.
	Key [16]byte
}

// NewDistinct returns an empty table. It grows as it is used.
func NewDistinct(o DistinctOptions) *Distinct {
	if o.Hosts <= 0 {
		o.Hosts = defaultHosts
	}
	if o.Items <= 0 {
		o.Items = defaultItems / defaultHosts * o.Hosts
	}
	if o.Key == [16]byte{} {
		rand.Read(o.Key[:]) // never fails
	}
	n := shardsFor(o.Hosts)
	d := &Distinct{key: o.Key, seed: maphash.MakeSeed(), shards: make([]distinctShard, n)}
	for i := range d.shards {
		s := &d.shards[i]
		s.clock, s.items = newSteady(1), newItems(perShard(perShard(o.Items, blockItems), n))
		s.hosts.init(perShard(o.Hosts, n), &s.items)
		s.near.init(perShard(o.Hosts/16, n), &s.items)
	}
	d.wide.clock = newSteady(1)
	return d
}

// Tally is what a host has come to.
type Tally struct {
	// Count is how many different items; it stops at the limit.
	Count int
	// Reached means that Count is the limit.
	Reached bool
	// Shared means that others of Network or a larger one counted with it: a
	// reason to end a session, hardly one to block the host for the day.
	Shared bool
}

// Note counts the item unless the host has come up with it that day. A host is
// what Host returns, or a single address; items are compared octet by octet.
// Without a limit nothing is counted. A day earlier than the last means that the
// clock was set back: then nobody's count starts afresh before a midnight has passed.
func (d *Distinct) Note(host netip.Prefix, item string, day Day, limit int) Tally {
	if limit <= 0 || !host.IsValid() {
		return Tally{}
	}
	most, hash := uint32(min(int64(limit), math.MaxUint32)), d.hash(item)
	k := prefixKey(host)
	s := d.shard(k)
	t, ok := s.note(k, hash, day, most)
	if !ok {
		t = d.wide.note(maphash.Comparable(d.seed, k.wide()), day, most)
	}
	return t
}

// Forget clears the host's count and reports whether there was one.
func (d *Distinct) Forget(host netip.Prefix) bool {
	if !host.IsValid() {
		return false
	}
	k := prefixKey(host)
	s := d.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.hosts.find(k)
	if slot != 0 {
		s.hosts.drop(slot)
	}
	return slot != 0
}

// Stats looks at one part after the other.
func (d *Distinct) Stats() TableStats {
	var t TableStats
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		t.add(&s.hosts.slab, s.shared)
		s.mu.Unlock()
	}
	return t
}

func (d *Distinct) shard(k key) *distinctShard {
	return &d.shards[maphash.Comparable(d.seed, k.near())&uint64(len(d.shards)-1)]
}

// hash is never 0. Of 100 items of a host, two look alike once in a million.
func (d *Distinct) hash(item string) uint32 {
	sum := sha256.Sum256(append(d.key[:], item...))
	return max(1, binary.BigEndian.Uint32(sum[:]))
}

// note counts with the host's own tally, or else with that of its network.
func (s *distinctShard) note(k key, hash uint32, day Day, limit uint32) (Tally, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	today := s.clock.at(int64(day))
	t, ok := s.hosts.note(k, hash, today, limit)
	if !ok {
		s.shared++
		t, ok = s.near.note(k.near(), hash, today, limit)
		t.Shared = true
	}
	return t, ok
}
