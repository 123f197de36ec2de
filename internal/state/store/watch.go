package store

import "sync"

// Watch is one waiter for changes of an account. C holds at most one value;
// after reading it the waiter asks the store what is new.
type Watch struct {
	C       <-chan struct{}
	c       chan struct{}
	hub     *Hub
	account AccountID
}

// Close ends the watch; C is not closed.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	set := w.hub.watches[w.account]
	delete(set, w)
	if len(set) == 0 {
		delete(w.hub.watches, w.account)
	}
}

// Hub hands hints from an engine to watches. The zero Hub is ready.
type Hub struct {
	mu      sync.Mutex
	watches map[AccountID]map[*Watch]struct{}
}

// Watch adds a waiter.
func (h *Hub) Watch(id AccountID) *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, hub: h, account: id}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches == nil {
		h.watches = map[AccountID]map[*Watch]struct{}{}
	}
	if h.watches[id] == nil {
		h.watches[id] = map[*Watch]struct{}{}
	}
	h.watches[id][w] = struct{}{}
	return w
}

// Wake hints all waiters of an account; it never blocks.
func (h *Hub) Wake(id AccountID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watches[id] {
		select {
		case w.c <- struct{}{}:
		default:
		}
	}
}
