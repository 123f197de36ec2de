package limit

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Gate lets a bounded number of holders in at once and a bounded number wait.
// Use NewGate.
type Gate struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
}

// ErrCrowded is returned by Enter when too many wait already.
var ErrCrowded = fmt.Errorf("%w: too many are waiting", ErrOver)

// NewGate returns a gate for width holders and at most queue waiting. Both
// are at least 1 and 0.
func NewGate(width, queue int) *Gate {
	return &Gate{slots: make(chan struct{}, max(1, width)), queue: int64(max(0, queue))}
}

// Enter waits for a slot. It returns ErrCrowded at once when too many wait,
// or the context's error. After nil the caller owes one Leave.
func (g *Gate) Enter(ctx context.Context) error {
	if g.TryEnter() {
		return nil
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return ErrCrowded
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryEnter takes a slot if one is free. After true the caller owes one Leave.
func (g *Gate) TryEnter() bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// Leave gives the slot back. A Leave without Enter is a fault of the caller
// and panics.
func (g *Gate) Leave() {
	select {
	case <-g.slots:
	default:
		panic("limit: Leave without Enter")
	}
}

// Inside returns how many are inside now.
func (g *Gate) Inside() int { return len(g.slots) }

// Waiting returns how many wait now.
func (g *Gate) Waiting() int { return int(min(g.waiting.Load(), g.queue)) }
