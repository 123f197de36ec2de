package limit

import (
	"fmt"
	"sync/atomic"

	"posthorn/internal/base/unit"
)

// Budget bounds the memory that all sessions and messages together may hold
// (reliability row 8). It counts what its users declare; it does not look at
// the heap. Use NewBudget.
type Budget struct {
	total   int64
	used    atomic.Int64
	refused atomic.Uint64
}

// The two ways to be over: the server as a whole (a session says 421 4.3.2 or
// 452 4.3.1 and the client comes back later), or one holder's own bound.
var (
	ErrMemory = fmt.Errorf("%w: the server's memory", ErrOver)
	ErrShare  = fmt.Errorf("%w: the memory of one holder", ErrOver)
)

// NewBudget returns a budget of total octets; at least 1.
func NewBudget(total unit.Size) *Budget { return &Budget{total: max(1, int64(total))} }

// Used and Total return the octets held and the bound.
func (b *Budget) Used() unit.Size { return unit.Size(b.used.Load()) }

// Total returns the bound.
func (b *Budget) Total() unit.Size { return unit.Size(b.total) }

// Refused returns how often somebody was told no.
func (b *Budget) Refused() uint64 { return b.refused.Load() }

// Tight reports that more than seven eighths are in use; a door may then
// refuse newcomers, so that those inside can finish.
func (b *Budget) Tight() bool { return b.used.Load() > b.total-b.total/8 }

// reserve takes n octets if they fit.
func (b *Budget) reserve(n int64) bool {
	for {
		used := b.used.Load()
		if n > b.total-used {
			b.refused.Add(1)
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Share returns an account of the budget for one holder, a connection or a
// message, bounded by most octets (0: by the budget alone).
func (b *Budget) Share(most unit.Size) *Share {
	if most <= 0 || int64(most) > b.total {
		most = unit.Size(b.total)
	}
	return &Share{budget: b, most: int64(most)}
}

// Share is what one holder has reserved. It belongs to one goroutine at a
// time; the zero Share and nil grow without bound, so tests need none.
type Share struct {
	budget     *Budget
	most, held int64
}

// Grow reserves n more octets. It returns ErrShare or ErrMemory and then
// reserves nothing.
func (s *Share) Grow(n int) error {
	if s == nil || s.budget == nil || n <= 0 {
		return nil
	}
	if int64(n) > s.most-s.held {
		return ErrShare
	}
	if !s.budget.reserve(int64(n)) {
		return ErrMemory
	}
	s.held += int64(n)
	return nil
}

// Shrink gives n octets back, at most what is held.
func (s *Share) Shrink(n int) {
	if s == nil || s.budget == nil || n <= 0 {
		return
	}
	back := min(int64(n), s.held)
	s.held -= back
	s.budget.used.Add(-back)
}

// Held returns the octets reserved.
func (s *Share) Held() unit.Size {
	if s == nil {
		return 0
	}
	return unit.Size(s.held)
}

// Close gives everything back. The share can be used again.
func (s *Share) Close() {
	if s != nil {
		s.Shrink(int(s.held))
	}
}
