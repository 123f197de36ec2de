package mailbox

import (
	"context"
	"sync"
	"time"

	"posthorn/internal/state/store"
)

// Store is what the registry needs of the store.
type Store interface {
	Account(id store.AccountID) store.Account
	Watch(id store.AccountID) *store.Watch
}

// Options bound what mailboxes nobody has open may cost.
type Options struct {
	// Keep is how many entries of closed mailboxes are kept in all; 0 means
	// 400,000, which is about 20 MB.
	Keep int
	// KeepFor is how long a closed mailbox is kept; 0 means 10 minutes.
	KeepFor time.Duration
	// Structures is how many octets of message structures are kept; 0 means
	// 64 MB.
	Structures int
}

// Registry is the mailboxes of one node. Use NewRegistry.
type Registry struct {
	store Store
	o     Options
	metas *Cache[[]byte]

	mu     sync.Mutex
	boxes  map[key]*Mailbox
	kept   int // entries of boxes with no refs
	timer  *time.Timer
	closed bool
}

type key struct {
	account store.AccountID
	mailbox store.MailboxID
}

// NewRegistry returns an empty registry; Close ends what it starts.
func NewRegistry(s Store, o Options) *Registry {
	if o.Keep == 0 {
		o.Keep = 400_000
	}
	if o.KeepFor == 0 {
		o.KeepFor = 10 * time.Minute
	}
	if o.Structures == 0 {
		o.Structures = 64 << 20
	}
	return &Registry{store: s, o: o, boxes: map[key]*Mailbox{}, metas: NewCache[[]byte](o.Structures)}
}

// Open returns the mailbox, loaded and up to date, and the function that
// gives it back. Errors are those of the store; ErrNotFound if the mailbox is
// not there any more.
func (r *Registry) Open(ctx context.Context, account store.AccountID, id store.MailboxID) (*Mailbox, func(), error) {
	k := key{account, id}
	m := r.take(k)
	release := sync.OnceFunc(func() { r.release(k, m) })
	s, err := m.Refresh(ctx)
	if err == nil && s.Gone {
		err = store.ErrNotFound
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return m, release, nil
}

// take returns the mailbox with one more reference and a watcher.
func (r *Registry) take(k key) *Mailbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.boxes[k]
	if m == nil {
		m = &Mailbox{account: r.store.Account(k.account), id: k.mailbox, metas: r.metas}
		r.boxes[k] = m
	} else if m.refs == 0 {
		r.keep(m, 0)
	}
	if m.refs++; m.refs == 1 {
		ctx, stop := context.WithCancel(context.Background())
		m.stop, m.ended = stop, make(chan struct{})
		go m.watch(ctx, r.store.Watch(k.account), m.ended) // watch before the first read, so that nothing is missed
	}
	return m
}

// keep counts n entries of the mailbox as kept for nobody.
func (r *Registry) keep(m *Mailbox, n int) {
	r.kept += n - m.kept
	m.kept = n
}

// release gives a reference back. The last one ends the watcher and leaves
// the mailbox for the next to open it.
func (r *Registry) release(k key, m *Mailbox) {
	r.mu.Lock()
	if m.refs--; m.refs > 0 {
		r.mu.Unlock()
		return
	}
	m.stop()
	ended := m.ended
	s := m.now.Load()
	switch {
	case s == nil || s.Gone || r.closed:
		delete(r.boxes, k)
	default:
		m.used = time.Now()
		r.keep(m, s.Len())
		r.shrink()
		r.schedule()
	}
	r.mu.Unlock()
	<-ended
}

// shrink drops closed mailboxes until the rest is within bounds, those first
// that were closed longest ago.
func (r *Registry) shrink() {
	expired := time.Now().Add(-r.o.KeepFor)
	for k, m := range r.boxes {
		if m.refs == 0 && !m.used.After(expired) {
			r.drop(k, m)
		}
	}
	for r.kept > r.o.Keep {
		var oldest key
		var found *Mailbox
		for k, m := range r.boxes {
			if m.refs == 0 && (found == nil || m.used.Before(found.used)) {
				oldest, found = k, m
			}
		}
		if found == nil {
			return
		}
		r.drop(oldest, found)
	}
}

func (r *Registry) drop(k key, m *Mailbox) {
	delete(r.boxes, k)
	r.keep(m, 0)
}

// schedule sees to it that what was kept too long goes without anybody asking.
func (r *Registry) schedule() {
	if r.timer != nil {
		return
	}
	r.timer = time.AfterFunc(r.o.KeepFor, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.timer = nil
		r.shrink()
		for _, m := range r.boxes {
			if m.refs == 0 && !r.closed {
				r.schedule()
				return
			}
		}
	})
}

// Close drops all closed mailboxes. Those still open end with their last
// release.
func (r *Registry) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	for k, m := range r.boxes {
		if m.refs == 0 {
			r.drop(k, m)
		}
	}
}
