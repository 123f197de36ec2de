package limit

import (
	"iter"
	"math"
	"net/netip"
)

// HostItems is what is known of a host, to be saved and restored.
type HostItems struct {
	Host  netip.Prefix
	Day   Day
	Count int
	Items []uint32 // hashes under the table's Key; fewer than Count when the limit was reached
}

// All yields the hosts of the latest day known, part after part: others go on
// counting meanwhile.
func (d *Distinct) All() iter.Seq[HostItems] {
	return func(yield func(HostItems) bool) {
		for i := range d.shards {
			for _, h := range d.shards[i].all() {
				if !yield(h) {
					return
				}
			}
		}
	}
}

func (s *distinctShard) all() []HostItems {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []HostItems
	for place, slot := range s.hosts.slots {
		if end := s.hosts.ends[place]; end > s.clock.latest {
			c := s.hosts.at(slot)
			all = append(all, HostItems{
				Host:  c.prefix(),
				Day:   Day(end - 1 - s.clock.skew),
				Count: int(c.count),
				Items: s.hosts.items.list(s.hosts.lists[slot]),
			})
		}
	}
	return all
}

// Restore adds what All yielded in an earlier life, where the Key was the same
// and the day is today; the rest is ignored.
func (d *Distinct) Restore(hosts iter.Seq[HostItems], today Day, limit int) {
	if limit <= 0 {
		return
	}
	most := uint32(min(int64(limit), math.MaxUint32))
	for h := range hosts {
		if h.Day == today && h.Host.IsValid() && h.Count > 0 {
			k := prefixKey(h.Host)
			d.shard(k).restore(k, h, most)
		}
	}
}

func (s *distinctShard) restore(k key, h HostItems, limit uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.hosts.open(k, s.clock.at(int64(h.Day)))
	if slot == 0 {
		return
	}
	c := s.hosts.at(slot)
	for _, hash := range h.Items {
		if hash != 0 && c.count < limit && !s.hosts.items.has(s.hosts.lists[slot], hash) {
			c.count++
			s.hosts.rank(slot, limit)
			s.hosts.keep(slot, hash)
		}
	}
	c.count = max(c.count, uint32(min(int64(h.Count), int64(limit))))
	s.hosts.rank(slot, limit)
}
