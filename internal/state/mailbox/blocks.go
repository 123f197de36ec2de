package mailbox

import (
	"container/list"
	"sync"

	"posthorn/internal/state/store"
)

// BlockSize is how many UIDs make a block: those from k*BlockSize on are block
// k of a mailbox, however many of them are there.
const BlockSize = 256

// BlockOf returns the block of a UID.
func BlockOf(uid store.UID) int { return int(uid / BlockSize) }

// SpanOf returns the UIDs of a block.
func SpanOf(block int) store.UIDRange {
	first := store.UID(block) * BlockSize
	return store.UIDRange{First: max(first, 1), Last: first + (BlockSize - 1)}
}

// Blocks remembers something about the messages of mailboxes, a block of UIDs
// at a time, within a bound. What it remembers must not change while it is
// here, so arrivals replace their block. It may be used by many goroutines.
// Use NewBlocks.
type Blocks[V any] struct {
	limit int

	mu   sync.Mutex
	at   map[blockKey]*list.Element // of *block[V]
	used list.List                  // most recently used first
	size int
}

type blockKey struct {
	account store.AccountID
	mailbox store.MailboxID
	block   int
}

type block[V any] struct {
	key   blockKey
	value V
	cost  int
}

// blockOverhead is what a block costs besides its value.
const blockOverhead = 200

// NewBlocks returns an empty memory of at most limit octets.
func NewBlocks[V any](limit int) *Blocks[V] {
	return &Blocks[V]{limit: limit, at: map[blockKey]*list.Element{}}
}

// Get returns what is remembered of a block.
func (b *Blocks[V]) Get(m *Mailbox, n int) (value V, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.at[m.blockKey(n)]
	if e == nil {
		return value, false
	}
	b.used.MoveToFront(e)
	return e.Value.(*block[V]).value, true
}

// Put remembers a value that takes cost octets. Blocks of other mailboxes make
// room for it, those used longest ago first; blocks of its own do not, because
// whoever reads a mailbox to its end would then find nothing the next time.
// A value above the bound displaces none.
func (b *Blocks[V]) Put(m *Mailbox, n int, value V, cost int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := &block[V]{key: m.blockKey(n), value: value, cost: cost + blockOverhead}
	if e := b.at[x.key]; e != nil {
		b.remove(e)
	}
	if x.cost > b.limit {
		return
	}
	for b.size+x.cost > b.limit {
		oldest := b.used.Back()
		if oldest == nil || sameMailbox(oldest.Value.(*block[V]).key, x.key) {
			return
		}
		b.remove(oldest)
	}
	b.at[x.key] = b.used.PushFront(x)
	b.size += x.cost
}

func sameMailbox(a, b blockKey) bool { return a.account == b.account && a.mailbox == b.mailbox }

// remove forgets a block; mu is held.
func (b *Blocks[V]) remove(e *list.Element) {
	x := b.used.Remove(e).(*block[V])
	delete(b.at, x.key)
	b.size -= x.cost
}

func (m *Mailbox) blockKey(n int) blockKey { return blockKey{m.account.ID(), m.id, n} }
