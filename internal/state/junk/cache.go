package junk

import (
	"container/list"
	"sync"
)

// cache keeps the models of accounts that mail comes for. Everybody's model
// is always kept.
type cache struct {
	mu     sync.Mutex
	models map[Account]*list.Element // of *cached
	recent *list.List                // most recently used first
	octets int64
	limit  int64
	// changes counts what the writer did: a model read while it grew may be old.
	changes uint64
}

type cached struct {
	account Account
	model   *model
}

func newCache(limit int64) *cache {
	return &cache{models: map[Account]*list.Element{}, recent: list.New(), limit: limit}
}

// get returns the model, or nil and the state to hand to keep.
func (c *cache) get(a Account) (*model, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.models[a]
	if e == nil {
		return nil, c.changes
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).model, c.changes
}

// keep takes a model that was read, unless something was written meanwhile.
func (c *cache) keep(a Account, m *model, changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == changes {
		c.set(a, m)
	}
}

// publish takes models that were written, without the accounts removed.
func (c *cache) publish(models map[Account]*model, gone []Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, a := range gone {
		c.remove(a)
	}
	for a, m := range models {
		c.set(a, m)
	}
}

// clear forgets all.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	clear(c.models)
	c.recent.Init()
	c.octets = 0
}

func (c *cache) set(a Account, m *model) {
	c.remove(a)
	c.models[a] = c.recent.PushFront(&cached{a, m})
	c.octets += m.octets()
	for e := c.recent.Back(); c.octets > c.limit && e != nil; {
		before := e.Prev()
		if o := e.Value.(*cached).account; o != everybody && o != a {
			c.remove(o)
		}
		e = before
	}
}

func (c *cache) remove(a Account) {
	if e := c.models[a]; e != nil {
		c.octets -= e.Value.(*cached).model.octets()
		c.recent.Remove(e)
		delete(c.models, a)
	}
}
