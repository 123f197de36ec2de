// Package limit holds the bounds everything else lives within: gates for
// work done at once, bounds of memory, tables that forget, token buckets,
// counters of connections by client host, and the tables behind limits across
// sessions: Windows, Sliding and Distinct (reliability rows 8, 10, 12, 13, 15, 22).
//
// It stands beside a message's way, not in it: sessions, policy and queue ask
// it and decide themselves what a client is told. It knows no reply codes, no
// settings and no protocol. Every type may be used by many goroutines at once
// unless it says otherwise, and every size is bounded by its constructor.
package limit

import (
	"errors"
	"net/netip"
)

// ErrOver is the error all others of this package wrap: a bound is reached.
var ErrOver = errors.New("over the limit")

// Host is what counts as one client: an IPv4 address, or the /64 an IPv6
// client can choose addresses from freely. IPv4-mapped addresses count as
// IPv4; zones are dropped. The zero address gives the zero prefix.
func Host(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		panic("limit: " + err.Error()) // a valid address has these bits
	}
	return p
}
