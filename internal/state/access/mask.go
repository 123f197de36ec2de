package access

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// masked is an IPv4 address and any mask, that of a network in CIDR form among
// them: a client matches when it agrees with the address where the mask is set.
type masked struct{ address, mask uint32 }

func maskOf(address, mask netip.Addr) masked {
	m := number(mask)
	return masked{number(address) & m, m}
}

// number is an IPv4 address as one.
func number(ip netip.Addr) uint32 {
	a := ip.As4()
	return binary.BigEndian.Uint32(a[:])
}

// prefix returns the length of a mask that is one.
func (m masked) prefix() (int, bool) {
	n := bits.LeadingZeros32(^m.mask)
	return n, bits.OnesCount32(m.mask) == n
}

// isZero reports that there is none. Masks of length 0 are refused.
func (m masked) isZero() bool { return m.mask == 0 }

// overlaps reports that some address matches both.
func (m masked) overlaps(o masked) bool {
	both := m.mask & o.mask
	return m.address&both == o.address&both
}
