// Package mailbox keeps what one node knows of the mailboxes in use: their
// entries (UID, modseq, flags, size, date), shared by all sessions that have
// one selected and kept a while for the next. It stands between the store,
// which owns the truth, and imapd's views, which own what a client was told.
//
//	store ── Index, ChangesSince ──► Mailbox ── Snapshot ──► view, view, …
//	      └─ Watch (a hint) ───────►    └─ Subscribe (a hint) ──►
//
// A Mailbox moves from snapshot to snapshot. They share memory, so keeping an
// old one costs what changed since, and comparing two costs the same. Nothing
// here is the truth: all of it can be dropped at any time and read again.
//
// Beside the entries it keeps, within bounds, the structures of messages
// (Cache) and whatever its users make of blocks of them (Blocks).
//
// The package knows no protocol, no sequence numbers and no message content.
package mailbox

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

// Mailbox is one mailbox in use. Its methods may be called by many goroutines.
type Mailbox struct {
	account store.Account
	id      store.MailboxID
	metas   *Cache[[]byte]

	now   atomic.Pointer[Snapshot] // nil until loaded
	begun atomic.Int64             // reads of the store begun
	mu    sync.Mutex               // held while the store is read
	// failed says that the last read did.
	failed bool
	// recent is the first UID no session of this node has claimed as \Recent;
	// 0 before the first claim.
	recent store.UID

	subMu sync.Mutex
	subs  map[*Subscription]struct{}

	// Of the registry, under its lock.
	refs  int
	kept  int // entries counted as kept
	used  time.Time
	stop  context.CancelFunc
	ended chan struct{} // closed when the watcher is through
}

// Snapshot returns the mailbox as far as it is known. It costs nothing.
func (m *Mailbox) Snapshot() *Snapshot { return m.now.Load() }

// Refresh asks the store what is new and returns the mailbox as it is now:
// everything committed before the call is in it.
func (m *Mailbox) Refresh(ctx context.Context) (*Snapshot, error) {
	arrived := m.begun.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun.Load() > arrived && !m.failed {
		return m.now.Load(), nil // somebody read while this call waited
	}
	return m.advance(ctx)
}

// advance reads what is new; mu is held.
func (m *Mailbox) advance(ctx context.Context) (*Snapshot, error) {
	m.begun.Add(1)
	next, err := m.read(ctx)
	if err != nil {
		m.failed = true
		return nil, fmt.Errorf("mailbox %d of account %d: %w", m.id, m.account.ID(), err)
	}
	m.failed = false
	if next != m.now.Swap(next) {
		m.tell()
	}
	return next, nil
}

// read returns the next snapshot, the same one if nothing happened.
func (m *Mailbox) read(ctx context.Context) (*Snapshot, error) {
	old := m.now.Load()
	if old == nil {
		return m.load(ctx)
	}
	if old.Gone {
		return old, nil
	}
	c, err := m.account.ChangesSince(ctx, m.id, old.Cursor)
	switch {
	case err != nil:
		return nil, err
	case !c.Complete && !c.Gone:
		return m.load(ctx)
	case c.Cursor == old.Cursor && !c.Gone && len(c.Keywords) <= len(old.Keywords):
		return old, nil
	}
	m.metas.Forget(m.account.ID(), old.messages(c.Expunged))
	return old.apply(c), nil
}

func (m *Mailbox) load(ctx context.Context) (*Snapshot, error) {
	x, err := m.account.Index(ctx, m.id)
	if err != nil {
		return nil, err
	}
	return newSnapshot(x), nil
}

// TakeRecent claims for one session the messages that nobody was told of as
// \Recent (RFC 3501 §2.3.2): those from UID first to the last one of the
// snapshot returned, which is the current one or later. No other session gets
// them. Messages the mailbox does not know of yet are claimed later.
func (m *Mailbox) TakeRecent(ctx context.Context) (first store.UID, s *Snapshot, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.now.Load(); m.recent > s.Last() {
		return m.recent, s, nil
	}
	if first, err = m.account.TakeRecent(ctx, m.id); err != nil {
		return 0, nil, fmt.Errorf("mailbox %d of account %d: recent: %w", m.id, m.account.ID(), err)
	}
	if s, err = m.advance(ctx); err != nil {
		return 0, nil, err
	}
	first = max(first, m.recent) // the store's mark may lie before what was claimed here
	m.recent = s.Last() + 1
	return first, s, nil
}

// Subscription is one who wants to hear of changes.
type Subscription struct {
	m  *Mailbox
	fn func()
}

// Subscribe calls fn, soon and from any goroutine, whenever there is a new
// snapshot. fn must not block.
func (m *Mailbox) Subscribe(fn func()) *Subscription {
	s := &Subscription{m: m, fn: fn}
	m.subMu.Lock()
	defer m.subMu.Unlock()
	if m.subs == nil {
		m.subs = map[*Subscription]struct{}{}
	}
	m.subs[s] = struct{}{}
	return s
}

// Close ends the subscription; fn may run once more.
func (s *Subscription) Close() {
	s.m.subMu.Lock()
	defer s.m.subMu.Unlock()
	delete(s.m.subs, s)
}

func (m *Mailbox) tell() {
	m.subMu.Lock()
	defer m.subMu.Unlock()
	for s := range m.subs {
		s.fn()
	}
}

// retry is how long the watcher waits after the store failed.
const retry = time.Second

// watch follows the store's hints until the context is done.
func (m *Mailbox) watch(ctx context.Context, w *store.Watch, ended chan struct{}) {
	defer close(ended)
	defer w.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.C:
		}
		for {
			_, err := m.Refresh(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			// The next command of any session meets the same error and says so.
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry):
			}
		}
	}
}
