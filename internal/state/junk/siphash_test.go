package junk

import "testing"

// TestHashIsSipHash uses vectors of the SipHash-2-4 reference implementation:
// key 00..0f, input 00, 01, ….
func TestHashIsSipHash(t *testing.T) {
	t.Parallel()
	var b [16]byte
	for i := range b {
		b[i] = byte(i)
	}
	h := newHasher(b[:])
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := h.sum(b[:n]); got != want {
			t.Errorf("%d octets: %x, want %x", n, got, want)
		}
	}
}
