package remote

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pool keeps connections that work for further messages, and bounds how many
// there are.
type pool struct {
	mu     sync.Mutex
	open   int           // used or kept
	idle   []*connection // the one kept longest first
	closed bool
	freed  chan struct{} // closed, and made anew, when open goes down or one is kept
	ending sync.WaitGroup
	// leaving are those to which goodbye is being said.
	leaving map[*connection]struct{}
}

func newPool() pool {
	return pool{freed: make(chan struct{}), leaving: map[*connection]struct{}{}}
}

// drop takes one out of those kept; mu is held.
func (p *pool) drop(i int) {
	p.idle[i].timer.Stop()
	p.idle = slices.Delete(p.idle, i, i+1)
}

// get returns a connection kept for the key, the one used last; none when fresh
// is set. Otherwise it waits for room for one more, and returns nil with it. A
// connection that nobody uses has to go if there is no room.
func (p *pool) get(ctx context.Context, k key, fresh bool, most int) (*connection, error) {
	for {
		c, freed := p.try(k, fresh, most)
		if freed == nil {
			return c, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try is get without waiting: freed is what to wait for.
func (p *pool) try(k key, fresh bool, most int) (c *connection, freed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !fresh {
		for i, c := range slices.Backward(p.idle) {
			if c.key == k {
				p.drop(i)
				return c, nil
			}
		}
	}
	if p.open < most {
		p.open++
		return nil, nil
	}
	freed = p.freed
	if len(p.idle) > 0 {
		c := p.idle[0]
		p.drop(0)
		p.part(c)
	}
	return nil, freed
}

// release gives the room of a connection that is closed back.
func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	p.wake()
}

// wake lets all look again who wait for a connection; mu is held.
func (p *pool) wake() {
	close(p.freed)
	p.freed = make(chan struct{})
}

// keep puts a connection away for the next message.
func (p *pool) keep(c *connection, r Reuse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || r.Idle <= 0 || r.Connections < 1 || c.uses >= c.most(r) {
		p.part(c)
		return
	}
	for len(p.idle) >= r.Connections {
		oldest := p.idle[0]
		p.drop(0)
		p.part(oldest)
	}
	c.kept = time.Now()
	c.timer = time.AfterFunc(r.Idle, func() { p.expire(c) })
	p.idle = append(p.idle, c)
	p.wake() // somebody may want just this one, or its room
}

// expire parts with a connection nobody wanted, unless somebody just took it.
func (p *pool) expire(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, c); i >= 0 {
		p.drop(i)
		p.part(c)
	}
}

// part says goodbye in the background; mu is held. The room is taken until the
// connection is closed. After close nobody waits for it any more.
func (p *pool) part(c *connection) {
	if p.closed {
		c.hangUp()
		p.open--
		return
	}
	c.link.until(time.Now().Add(farewell))
	p.leaving[c] = struct{}{}
	p.ending.Go(func() {
		c.quit()
		p.mu.Lock()
		delete(p.leaving, c)
		p.mu.Unlock()
		p.release()
	})
}

// retire is part for a connection that is in use.
func (p *pool) retire(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part(c)
}

// discard closes a connection that is of no more use.
func (p *pool) discard(c *connection) {
	c.hangUp()
	p.release()
}

// close says goodbye to those that are kept. A host that takes its time over
// the answer has heard it.
func (p *pool) close() {
	p.mu.Lock()
	for len(p.idle) > 0 {
		c := p.idle[0]
		p.drop(0)
		p.part(c)
	}
	for c := range p.leaving {
		c.link.until(time.Now().Add(lastFarewell))
	}
	p.closed = true
	p.mu.Unlock()
	p.ending.Wait()
}
