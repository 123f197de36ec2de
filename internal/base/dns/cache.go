package dns

import (
	"container/list"
	"time"
)

// key is a question that can be remembered.
type key struct {
	// round counts changes of the list of servers: what one resolver said is
	// not taken for the word of another.
	round  uint64
	server string // "" when any server may answer
	name   string
	qtype  uint16
}

// result is the outcome of a look-up.
type result struct {
	records   any // []T of the question's type
	err       error
	authentic bool
	expires   time.Time
	// hold is how long a failure is remembered; the next in a row is held
	// twice as long.
	hold time.Duration
	cost int // octets, about
}

// cache remembers results until they expire or room is needed; the one that
// was not used for longest goes first. Not safe for concurrent use.
type cache struct {
	room    int
	used    int
	entries map[key]*list.Element
	order   *list.List // of *entry, used last in front
}

type entry struct {
	key    key
	result result
}

func newCache(room int) *cache {
	return &cache{room: room, entries: map[key]*list.Element{}, order: list.New()}
}

// get returns a result that is still true. For one that is not, hold tells how
// long it was held if it was a failure.
func (c *cache) get(k key, now time.Time) (r result, hold time.Duration, ok bool) {
	e, found := c.entries[k]
	if !found {
		return result{}, 0, false
	}
	r = e.Value.(*entry).result
	if !now.Before(r.expires) {
		return result{}, r.hold, false // its successor takes its place
	}
	c.order.MoveToFront(e)
	return r, 0, true
}

func (c *cache) put(k key, r result) {
	if e, found := c.entries[k]; found {
		c.remove(e)
	}
	if r.cost > c.room {
		return
	}
	c.entries[k] = c.order.PushFront(&entry{k, r})
	c.used += r.cost
	for c.used > c.room {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	x := c.order.Remove(e).(*entry)
	delete(c.entries, x.key)
	c.used -= x.result.cost
}
