package directory

import (
	"sync"

	"posthorn/internal/state/store"
)

// entry is what the cache holds of an address or of a domain.
type entry struct {
	resolution *Resolution
	err        error // ErrExpansion
	domain     store.DomainRow
	hosted     bool
	cost       int
}

// cache is bounded by the cost of its entries. It has two halves: new and
// used ones go to the young half; when that is full it becomes the old one
// and the old one is dropped. That keeps what is used, like LRU, without lists.
type cache struct {
	mu         sync.Mutex
	half       int
	cost       int // of young
	young, old map[string]entry
	generation uint64
}

func newCache(size int) *cache {
	return &cache{half: max(size/2, 1), young: map[string]entry{}, old: map[string]entry{}}
}

// current names the contents; reset changes it.
func (c *cache) current() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

func (c *cache) get(key string) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.young[key]; ok {
		return e, true
	}
	e, ok := c.old[key]
	if ok {
		delete(c.old, key)
		c.add(key, e)
	}
	return e, ok
}

// put keeps an entry unless the contents it was read for are outdated.
func (c *cache) put(generation uint64, key string, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, has := c.young[key]; !has && generation == c.generation {
		c.add(key, e)
	}
}

func (c *cache) add(key string, e entry) {
	if e.cost > c.half {
		return
	}
	if c.cost+e.cost > c.half {
		c.old, c.young, c.cost = c.young, map[string]entry{}, 0
	}
	c.young[key] = e
	c.cost += e.cost
}

// reset forgets everything.
func (c *cache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.cost, c.young, c.old = 0, map[string]entry{}, map[string]entry{}
}
