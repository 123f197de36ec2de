package limit

import (
	"math"
	"sync"
	"time"
)

// question is one call of Count or Look, put to one counter after the other.
type question struct {
	now    time.Time
	at     int64 // now, since the start of the table
	limit  uint32
	window int64
	count  bool
}

// forEver is a window that ends in no one's lifetime and overflows nothing.
const forEver = math.MaxInt64 / 4

func ask(now time.Time, limit int, window time.Duration, count bool) question {
	return question{
		now:    now,
		limit:  uint32(min(max(0, int64(limit)), math.MaxUint32)),
		window: min(max(0, int64(window)), forEver),
		count:  count,
	}
}

// ask returns false when the key has no counter and can have none.
func (q *question) ask(s *slab, k key) (Judgement, bool) {
	slot := s.find(k)
	if slot != 0 && s.end(slot) <= q.at {
		s.drop(slot)
		slot = 0
	}
	if !q.count {
		if slot == 0 {
			return Judgement{}, s.room(k, q.at)
		}
		return q.look(s.at(slot).count, s.end(slot)), true
	}
	if slot == 0 {
		if slot = s.claim(k, q.at, q.last()); slot == 0 {
			return Judgement{}, false
		}
	}
	if s.end(slot) > q.last() {
		s.setEnd(slot, q.last())
	}
	j := q.take(&s.at(slot).count, s.end(slot))
	s.rank(slot, q.limit)
	return j, true
}

// last is when a window ends that begins now; none ends later, not even one
// that began when the setting was longer.
func (q *question) last() int64 { return q.at + q.window }

// take counts one if there is one left.
func (q *question) take(count *uint32, end int64) Judgement {
	j := q.look(*count, end)
	if !j.Over {
		*count++
		j.Count++
	}
	return j
}

func (q *question) look(count uint32, end int64) Judgement {
	return Judgement{
		Count: int(count),
		Over:  count >= q.limit,
		Until: q.now.Add(time.Duration(min(end, q.last()) - q.at)),
	}
}

// wideWindows is the last resort. Its counters have no keys: networks are
// spread over them, so it is never full.
type wideWindows struct {
	mu    sync.Mutex
	clock steady
	slots [wideSlots]wideCounter
}

type wideCounter struct {
	end   int64
	count uint32
}

func (w *wideWindows) judge(hash uint64, q question, shown int64) Judgement {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.at = w.clock.at(shown)
	j := w.slots[hash%wideSlots].judge(&q)
	j.Shared = true
	return j
}

func (w *wideCounter) judge(q *question) Judgement {
	ended := w.end <= q.at
	switch {
	case !q.count && ended:
		return Judgement{}
	case !q.count:
		return q.look(w.count, w.end)
	case ended:
		w.count, w.end = 0, q.last()
	}
	w.end = min(w.end, q.last())
	return q.take(&w.count, w.end)
}
