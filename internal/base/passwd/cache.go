package passwd

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// cacheKey is a keyed hash over identity, stored hash and password: no
// password lies in memory, one account's success never answers for another's,
// and a changed stored hash is a different key.
type cacheKey [sha256.Size]byte

// cache remembers passwords that were right a short time ago. Only successes
// are kept, so a stranger cannot fill it.
type cache struct {
	secret [32]byte // of this process, never stored
	size   int
	keep   time.Duration

	mu    sync.Mutex
	known map[cacheKey]*list.Element
	order *list.List // of cached, oldest first; every entry lives equally long
}

type cached struct {
	key     cacheKey
	expires time.Time
}

func newCache(size int, keep time.Duration) *cache {
	c := &cache{size: size, keep: keep, known: make(map[cacheKey]*list.Element), order: list.New()}
	_, _ = rand.Read(c.secret[:]) // never fails (crypto/rand)
	return c
}

func (c *cache) key(identity, stored, password string) cacheKey {
	m := hmac.New(sha256.New, c.secret[:])
	for _, part := range []string{identity, stored, password} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		m.Write(n[:])
		m.Write([]byte(part))
	}
	return cacheKey(m.Sum(nil))
}

func (c *cache) has(k cacheKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(time.Now())
	return c.known[k] != nil
}

func (c *cache) add(k cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.expire(now)
	if c.size <= 0 || c.known[k] != nil {
		return
	}
	if len(c.known) >= c.size {
		c.drop(c.order.Front())
	}
	c.known[k] = c.order.PushBack(cached{key: k, expires: now.Add(c.keep)})
}

func (c *cache) expire(now time.Time) {
	for e := c.order.Front(); e != nil && !now.Before(e.Value.(cached).expires); e = c.order.Front() {
		c.drop(e)
	}
}

func (c *cache) drop(e *list.Element) {
	delete(c.known, e.Value.(cached).key)
	c.order.Remove(e)
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.order.Init()
}
