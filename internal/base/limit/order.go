package limit

// The order of ends is a heap of four children a node: ends[p] belongs to the
// entry in slots[p], whose place is p. Children stand side by side in memory.

// end returns when the entry is over.
func (s *slab) end(slot uint32) int64 { return s.ends[s.at(slot).place] }

// setEnd changes it.
func (s *slab) setEnd(slot uint32, end int64) {
	p := s.at(slot).place
	s.ends[p] = end
	s.down(s.up(p))
}

func (s *slab) push(slot uint32, end int64) {
	if len(s.ends) == cap(s.ends) {
		s.growOrder()
	}
	p := uint32(len(s.ends))
	s.ends, s.slots = append(s.ends, end), append(s.slots, slot)
	s.at(slot).place = p
	s.up(p)
}

// growOrder doubles, but not beyond what will ever be used.
func (s *slab) growOrder() {
	n := min(s.most, max(64, 2*len(s.ends)))
	s.ends = append(make([]int64, 0, n), s.ends...)
	s.slots = append(make([]uint32, 0, n), s.slots...)
}

// pull takes the place out.
func (s *slab) pull(p uint32) {
	last := uint32(len(s.ends) - 1)
	end, slot := s.ends[last], s.slots[last]
	s.ends, s.slots = s.ends[:last], s.slots[:last]
	if p != last {
		s.stand(p, end, slot)
		s.down(s.up(p))
	}
}

func (s *slab) stand(p uint32, end int64, slot uint32) {
	s.ends[p], s.slots[p] = end, slot
	s.at(slot).place = p
}

// up moves the entry towards the front and returns where it came to stand.
func (s *slab) up(p uint32) uint32 {
	end, slot := s.ends[p], s.slots[p]
	start := p
	for p > 0 && end < s.ends[(p-1)/4] {
		parent := (p - 1) / 4
		s.stand(p, s.ends[parent], s.slots[parent])
		p = parent
	}
	if p != start {
		s.stand(p, end, slot)
	}
	return p
}

func (s *slab) down(p uint32) {
	end, slot := s.ends[p], s.slots[p]
	start := p
	for {
		first := s.first(4*p+1, 4*p+5)
		if first == 0 || s.ends[first] >= end {
			break
		}
		s.stand(p, s.ends[first], s.slots[first])
		p = first
	}
	if p != start {
		s.stand(p, end, slot)
	}
}

// first returns which of the places from..to-1 ends first, or 0 if there is none.
func (s *slab) first(from, to uint32) uint32 {
	to = min(to, uint32(len(s.ends)))
	if from >= to {
		return 0
	}
	best := from
	for p := from + 1; p < to; p++ {
		if s.ends[p] < s.ends[best] {
			best = p
		}
	}
	return best
}
