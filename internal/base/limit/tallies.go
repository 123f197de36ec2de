package limit

import "sync"

// tallies are hosts or networks with a list of items each.
type tallies struct {
	slab
	items *items
	lists []uint32 // by slot
}

func (t *tallies) init(most int, items *items) {
	t.slab, t.items = newSlab(most), items
	t.dropped = t.release
}

func (t *tallies) release(slot uint32) {
	t.items.release(t.lists[slot])
	t.lists[slot] = 0
}

func (t *tallies) note(k key, hash uint32, today int64, limit uint32) (Tally, bool) {
	slot := t.open(k, today)
	if slot == 0 {
		return Tally{}, false
	}
	c := t.at(slot)
	if c.count < limit && !t.items.has(t.lists[slot], hash) {
		c.count++
		t.rank(slot, limit) // first, so that others make room for its item
		t.keep(slot, hash)
	}
	if c.count >= limit { // nothing is left to tell apart
		t.rank(slot, limit)
		t.release(slot)
	}
	return Tally{Count: int(min(c.count, limit)), Reached: c.count >= limit}, true
}

// open returns the key's slot of today, or 0 when there is no room.
func (t *tallies) open(k key, today int64) uint32 {
	slot := t.find(k)
	if slot != 0 && t.end(slot) <= today {
		t.drop(slot)
		slot = 0
	}
	if slot == 0 {
		slot = t.claim(k, today, today+1)
	}
	for int(slot) >= len(t.lists) {
		t.lists = append(t.lists, 0)
	}
	return slot
}

// keep remembers the item, for which the least active other host may have to go.
func (t *tallies) keep(slot, hash uint32) {
	if t.at(slot).count > mostItems {
		return
	}
	if !t.items.fits(t.lists[slot]) {
		if victim := t.victim(false); victim != 0 && victim != slot {
			t.drop(victim)
			t.evicted++
		}
	}
	if t.items.fits(t.lists[slot]) {
		t.lists[slot] = t.items.add(t.lists[slot], hash)
	}
}

// wideDays is the last resort: counters of all items, told apart or not, for
// networks so large that they need no bound.
type wideDays struct {
	mu    sync.Mutex
	clock steady
	slots [wideSlots]wideCounter
}

func (w *wideDays) note(hash uint64, day Day, limit uint32) Tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	today := w.clock.at(int64(day))
	s := &w.slots[hash%wideSlots]
	if s.end <= today {
		s.count, s.end = 0, today+1
	}
	if s.count < limit {
		s.count++
	}
	return Tally{Count: int(min(s.count, limit)), Reached: s.count >= limit, Shared: true}
}
