package dns

import (
	"context"
	"sync"
	"time"
)

// Within is context.WithTimeout for look-ups: most are answered from memory, and
// nobody waits for those. It sets its timer when somebody first asks for Done.
func Within(parent context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	w := &within{parent: parent, until: time.Now().Add(most)}
	return w, w.stop
}

type within struct {
	parent context.Context
	until  time.Time

	mu     sync.Mutex
	over   bool            // stopped before somebody waited
	real   context.Context // nil until somebody waits
	cancel context.CancelFunc
}

// wait returns the context that really ends.
func (w *within) wait() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.real != nil:
	case w.over:
		w.real, w.cancel = context.WithCancel(w.parent)
		w.cancel()
	default:
		w.real, w.cancel = context.WithDeadline(w.parent, w.until)
	}
	return w.real
}

func (w *within) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
		return
	}
	w.over = time.Now().Before(w.until) // else the time was up first
}

func (w *within) waited() (real context.Context, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.real, w.over
}

// Deadline implements context.Context.
func (w *within) Deadline() (time.Time, bool) {
	if d, ok := w.parent.Deadline(); ok && d.Before(w.until) {
		return d, true
	}
	return w.until, true
}

// Done implements context.Context.
func (w *within) Done() <-chan struct{} { return w.wait().Done() }

// Err implements context.Context.
func (w *within) Err() error {
	if real, over := w.waited(); real != nil || over || !time.Now().Before(w.until) {
		return w.wait().Err()
	}
	return w.parent.Err()
}

// Value implements context.Context.
func (w *within) Value(key any) any {
	if real, _ := w.waited(); real != nil {
		return real.Value(key) // and who derives from it is told without a goroutine
	}
	return w.parent.Value(key)
}
