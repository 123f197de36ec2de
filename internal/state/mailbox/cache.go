package mailbox

import (
	"sync"

	"posthorn/internal/state/store"
)

// Cache remembers something about messages that never changes, within a
// bound. It has two generations: what is used moves into the younger one; when
// that is full the older one is forgotten. So it costs no list. It may be used
// by many goroutines. Use NewCache.
type Cache[V any] struct {
	limit int // octets of one generation

	mu         sync.Mutex
	young, old map[messageKey]cached[V]
	size       int // of young
}

type messageKey struct {
	account store.AccountID
	message store.MessageID
}

type cached[V any] struct {
	value V
	cost  int
}

// cacheOverhead is what an entry costs besides its value.
const cacheOverhead = 80

// NewCache returns a cache of at most limit octets.
func NewCache[V any](limit int) *Cache[V] {
	return &Cache[V]{limit: limit / 2, young: map[messageKey]cached[V]{}}
}

// Get puts what is remembered of the messages into found and returns those it
// knows nothing of.
func (c *Cache[V]) Get(account store.AccountID, ids []store.MessageID, found map[store.MessageID]V) (missing []store.MessageID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		k := messageKey{account, id}
		x, ok := c.young[k]
		if !ok {
			if x, ok = c.old[k]; !ok {
				missing = append(missing, id)
				continue
			}
			c.put(k, x)
		}
		found[id] = x.value
	}
	return missing
}

// Put remembers a value that takes cost octets.
func (c *Cache[V]) Put(account store.AccountID, id store.MessageID, value V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(messageKey{account, id}, cached[V]{value, cost + cacheOverhead})
}

// put is Put with mu held.
func (c *Cache[V]) put(k messageKey, x cached[V]) {
	if c.size += x.cost; c.size > c.limit {
		c.old, c.young = c.young, make(map[messageKey]cached[V])
		c.size = x.cost
	}
	c.young[k] = x
}

// Forget drops what is remembered of messages, for they are gone: what is left
// of them would only wait for younger ones to fill the bound.
func (c *Cache[V]) Forget(account store.AccountID, ids []store.MessageID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		k := messageKey{account, id}
		if x, ok := c.young[k]; ok {
			c.size -= x.cost
			delete(c.young, k)
		}
		delete(c.old, k)
	}
}
