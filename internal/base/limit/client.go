package limit

import (
	"net/netip"
	"sync"
)

// Clients counts what each client host has open. It holds an entry only while
// something is open, so it is bounded by the bound on connections. The zero
// value is ready for use.
type Clients struct {
	mu   sync.Mutex
	open map[netip.Prefix]int
}

// Enter counts one more for the client's host unless that would exceed most
// (0: without bound), and reports whether it did. After true the caller owes
// one Leave with the same address.
func (c *Clients) Enter(client netip.Addr, most int) bool {
	host := Host(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.open[host] >= most {
		return false
	}
	if c.open == nil {
		c.open = map[netip.Prefix]int{}
	}
	c.open[host]++
	return true
}

// Leave counts one less.
func (c *Clients) Leave(client netip.Addr) {
	host := Host(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.open[host] {
	case 0:
		panic("limit: Leave without Enter")
	case 1:
		delete(c.open, host)
	default:
		c.open[host]--
	}
}

// Open returns how many the client's host has open.
func (c *Clients) Open(client netip.Addr) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[Host(client)]
}

// Hosts returns the number of hosts with something open.
func (c *Clients) Hosts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
