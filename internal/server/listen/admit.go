package listen

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

// Limits bound the connections open at once. Zero means without bound.
type Limits struct {
	// Total is for all listeners together.
	Total int
	// Reserved is the part of Total that strangers may not use: it is kept
	// for listeners where users log in and for connections that have.
	Reserved int
	// PerListener is for each listener name.
	PerListener int
	// PerHost is for one IPv4 address or IPv6 /64 (M-SEC-CON-02).
	PerHost int
}

// evictable is how old a connection without login must be before it is
// closed for a newcomer; an honest client has logged in by then.
const evictable = 10 * time.Second

// admission counts who is inside.
type admission struct {
	hosts limit.Clients

	mu        sync.Mutex
	open      int
	strangers int // on listeners without login, not authenticated
	listeners map[string]int
	// pending are connections on users' listeners before login, oldest first.
	pending list.List
	// fresh have logged in since Logins was last called.
	fresh list.List
	live  map[*ticket]struct{}
}

// ticket is one admitted connection.
type ticket struct {
	a      *admission
	name   Name
	since  time.Time
	link   *link
	cancel func(error)

	// Guarded by a.mu.
	known   bool // authenticated
	gone    bool
	pending *list.Element
	fresh   *list.Element
	// Who logged in, 0 before.
	account    store.AccountID
	credential Credential
}

func newAdmission() *admission {
	return &admission{listeners: map[string]int{}, live: map[*ticket]struct{}{}}
}

// admit lets the connection in and returns its ticket, or nil. When all is
// full, the oldest connection that waits for a login goes to make room.
func (a *admission) admit(name Name, lim Limits, l *link, cancel func(error)) (t, evicted *ticket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.room(name, lim) {
		if evicted = a.victim(name, lim); evicted == nil {
			return nil, nil
		}
		a.drop(evicted)
	}
	t = &ticket{a: a, name: name, since: time.Now(), link: l, cancel: cancel}
	a.live[t] = struct{}{}
	a.open++
	a.listeners[name.Name]++
	if name.Users {
		t.pending = a.pending.PushBack(t)
	} else {
		a.strangers++
	}
	return t, evicted
}

// room reports whether one more fits; mu is held.
func (a *admission) room(name Name, lim Limits) bool {
	switch {
	case lim.PerListener > 0 && a.listeners[name.Name] >= lim.PerListener:
		return false
	case lim.Total <= 0:
		return true
	case !name.Users && a.strangers >= lim.Total-lim.Reserved:
		return false
	}
	return a.open < lim.Total
}

// victim returns a connection whose leaving makes room for one at the
// listener; mu is held. Pending connections stand in order of age, so only
// the oldest few are looked at: a flood fills the front with its own.
func (a *admission) victim(name Name, lim Limits) *ticket {
	const looks = 64
	full := lim.PerListener > 0 && a.listeners[name.Name] >= lim.PerListener
	if !full && !name.Users && a.strangers >= lim.Total-lim.Reserved {
		return nil // no pending user stands in this stranger's way
	}
	for e, n := a.pending.Front(), 0; e != nil && n < looks; e, n = e.Next(), n+1 {
		t := e.Value.(*ticket)
		if time.Since(t.since) < evictable {
			return nil
		}
		if !full || t.name.Name == name.Name {
			return t
		}
	}
	return nil
}

// leave gives the place back; it may be called twice.
func (t *ticket) leave() {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	delete(t.a.live, t)
	t.a.drop(t)
}

// drop uncounts the ticket; mu is held.
func (a *admission) drop(t *ticket) {
	if t.gone {
		return
	}
	t.gone = true
	t.tell() // nobody need look at it any more
	a.open--
	if a.listeners[t.name.Name]--; a.listeners[t.name.Name] == 0 {
		delete(a.listeners, t.name.Name)
	}
	switch {
	case t.pending != nil:
		a.pending.Remove(t.pending)
		t.pending = nil
	case !t.known:
		a.strangers--
	}
}

// everyone returns all connections whose goroutine has not ended.
func (a *admission) everyone() []*ticket {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*ticket, 0, len(a.live))
	for t := range a.live {
		all = append(all, t)
	}
	return all
}

// enterHost counts the client's host; Unix sockets and exempt hosts are free.
func (a *admission) enterHost(client netip.Addr, most int) (leave func(), ok bool) {
	if !client.IsValid() {
		return func() {}, true
	}
	if !a.hosts.Enter(client, most) {
		return nil, false
	}
	return func() { a.hosts.Leave(client) }, true
}
