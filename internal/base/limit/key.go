package limit

import "net/netip"

// Rule tells counters of one host apart: connections, messages, failures. The
// numbers belong to the caller.
type Rule uint8

// How many bits of an address, written as 128, share a counter.
const (
	hostBits4, hostBits6 = 96 + 32, 64
	nearBits4, nearBits6 = 96 + 24, 48
	wideBits4, wideBits6 = 96 + 8, 24
)

// Network is whose counter a host shares when it cannot have its own: an IPv4
// /24 or an IPv6 /48.
func Network(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return hostKey(0, a).near().prefix()
}

// key is a rule and a network. IPv4 stands in its mapped form, so that 18
// octets without a pointer hold either.
type key struct {
	net  [16]byte
	bits uint8
	rule Rule
}

// hostKey is Host in the compact form; the zero address is taken for ::.
func hostKey(rule Rule, a netip.Addr) key {
	k := key{net: a.As16(), bits: hostBits4, rule: rule}
	if k.is6() {
		k = k.cut(hostBits6)
	}
	return k
}

// prefixKey is any prefix in the compact form.
func prefixKey(p netip.Prefix) key {
	p = p.Masked()
	k := key{net: p.Addr().As16(), bits: uint8(p.Bits())}
	if p.Addr().Is4() {
		k.bits += 96
	}
	return k
}

func (k key) is6() bool { return [12]byte(k.net[:12]) != [12]byte{10: 0xff, 11: 0xff} }

// near is the network a host shares a counter with, wide the next larger.
func (k key) near() key { return k.either(nearBits4, nearBits6) }
func (k key) wide() key { return k.either(wideBits4, wideBits6) }

func (k key) either(bits4, bits6 uint8) key {
	if k.is6() {
		return k.cut(bits6)
	}
	return k.cut(bits4)
}

// cut keeps the first bits, a multiple of eight.
func (k key) cut(bits uint8) key {
	if bits < k.bits {
		clear(k.net[bits/8:])
		k.bits = bits
	}
	return k
}

func (k key) prefix() netip.Prefix {
	a, bits := netip.AddrFrom16(k.net), int(k.bits)
	if !k.is6() {
		a, bits = a.Unmap(), bits-96
	}
	return netip.PrefixFrom(a, bits)
}
