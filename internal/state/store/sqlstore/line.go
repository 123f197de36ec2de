package sqlstore

import (
	"context"
	"runtime"
	"sync"
)

// Bounds of one commit.
const (
	maxBatchOps    = 512
	maxBatchOctets = 16 << 20
)

// operation is a write that waits for a writer: a delivery or a function.
type operation struct {
	delivery *delivery
	fn       func(t *txn) error
	removes  bool
	err      error
	done     chan struct{}
}

// waitingLine is where operations wait for the one goroutine that commits
// them in batches.
type waitingLine struct {
	mu      sync.Mutex
	waiting []*operation
	closed  bool
	wake    chan struct{}
	spare   sync.Pool
}

func newLine() *waitingLine { return &waitingLine{wake: make(chan struct{}, 1)} }

// close lets what waits be committed; next returns nil afterwards.
func (l *waitingLine) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.nudge()
}

func (l *waitingLine) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// do waits for the commit of o. Once a writer has taken it, only the commit
// ends the wait: its outcome must be known. What nobody has begun when ctx
// ends is never done.
func (l *waitingLine) do(ctx context.Context, o operation) error {
	op, _ := l.spare.Get().(*operation)
	if op == nil {
		op = &operation{done: make(chan struct{}, 1)}
	}
	o.done = op.done
	*op = o
	err := l.wait(ctx, op)
	*op = operation{done: o.done}
	l.spare.Put(op)
	return err
}

func (l *waitingLine) wait(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	l.waiting = append(l.waiting, op)
	first := len(l.waiting) == 1
	l.mu.Unlock()
	if first {
		l.nudge()
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
	}
	if l.withdraw(op) {
		return ctx.Err()
	}
	<-op.done
	return op.err
}

// withdraw takes back an operation that nobody began.
func (l *waitingLine) withdraw(op *operation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, have := range l.waiting {
		if have == op {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// next waits for operations and takes as many as one commit may hold; nil at
// the end. used is a batch whose memory may serve again. Callers answered just
// now get the chance to come again first.
func (l *waitingLine) next(used []*operation) []*operation {
	runtime.Gosched()
	for {
		l.mu.Lock()
		if n := l.share(); n > 0 {
			batch := append(used[:0], l.waiting[:n]...)
			l.waiting = l.waiting[:copy(l.waiting, l.waiting[n:])]
			l.mu.Unlock()
			return batch
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return nil
		}
		<-l.wake
	}
}

// share says how many of the waiting operations go into the next commit.
func (l *waitingLine) share() int {
	var octets int64
	for i, op := range l.waiting {
		if op.delivery != nil {
			octets += op.delivery.body.Size()
		}
		if i == maxBatchOps || i > 0 && octets > maxBatchOctets {
			return i
		}
	}
	return len(l.waiting)
}

// answer tells the callers of a batch that their err is final.
func answer(batch []*operation) {
	for i, op := range batch {
		batch[i] = nil
		op.done <- struct{}{}
	}
}
