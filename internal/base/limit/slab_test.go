package limit

import (
	"net/netip"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// checkSlab sees that index, rings and order agree.
func checkSlab(t interface{ Fatalf(string, ...any) }, s *slab) {
	found, family := 0, [2]int{}
	for _, slot := range s.heads {
		for ; slot != 0; slot = s.at(slot).chain {
			found++
			c := s.at(slot)
			if s.slots[c.place] != slot || s.find(c.key) != slot {
				t.Fatalf("slot %d is not where its key or end is", slot)
			}
			n := 0
			if c.is6() {
				n = 1
			}
			family[n]++
		}
	}
	for p := range s.ends {
		if p > 0 && s.ends[p] < s.ends[(p-1)/4] {
			t.Fatalf("place %d ends before its parent", p)
		}
	}
	ringed := checkRings(t, s)
	if found != s.len || len(s.ends) != s.len || len(s.slots) != s.len || family != s.family {
		t.Fatalf("%d in the index, %d in order, %v, said to be %d, %v", found, len(s.ends), family, s.len, s.family)
	}
	if s.len > s.most || s.family[1] > s.most-s.most/4 || ringed != [2]int{family[0] - s.held[0], family[1] - s.held[1]} {
		t.Fatalf("%d of %d, %v in rings, %v held of %v", s.len, s.most, ringed, s.held, family)
	}
}

func checkRings(t interface{ Fatalf(string, ...any) }, s *slab) (ringed [2]int) {
	for f := range s.rings {
		for level := range s.rings[f] {
			r, n, last := &s.rings[f][level], 0, uint32(0)
			for slot := r.newest; slot != 0; slot = s.at(slot).next {
				c := s.at(slot)
				if c.prev != last || int(c.level) != level || c.is6() != (f == 1) {
					t.Fatalf("slot %d is in the wrong ring", slot)
				}
				n, last = n+1, slot
			}
			if n != r.len || last != r.oldest {
				t.Fatalf("ring %d of %d, said to be %d", level, n, r.len)
			}
			ringed[f] += n
		}
	}
	return ringed
}

func TestSlabKeepsItsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSlab(rapid.IntRange(1, 40).Draw(t, "most"))
		now := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"touch": func(t *rapid.T) {
				var a netip.Addr
				if n := byte(rapid.IntRange(0, 90).Draw(t, "host")); n%2 == 0 {
					a = netip.AddrFrom4([4]byte{192, 0, 2, n})
				} else {
					a = netip.AddrFrom16([16]byte{0x20, 1, 7: n})
				}
				k := hostKey(0, a)
				slot := s.find(k)
				if slot == 0 {
					room := s.room(k, now)
					slot = s.claim(k, now, now+rapid.Int64Range(1, 20).Draw(t, "window"))
					if room != (slot != 0) {
						t.Fatalf("room %v, slot %d", room, slot)
					}
				}
				if slot != 0 {
					s.at(slot).count++
					s.rank(slot, uint32(rapid.IntRange(1, 12).Draw(t, "limit")))
				}
			},
			"drop": func(t *rapid.T) {
				if s.len > 0 {
					s.drop(s.slots[rapid.IntRange(0, s.len-1).Draw(t, "place")])
				}
			},
			"change": func(t *rapid.T) {
				if s.len > 0 {
					s.setEnd(s.slots[rapid.IntRange(0, s.len-1).Draw(t, "place")], now+rapid.Int64Range(1, 20).Draw(t, "end"))
				}
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 5).Draw(t, "time") },
			"":     func(t *rapid.T) { checkSlab(t, &s) },
		})
	})
}

func TestACounterTakesFortyOctets(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(counter{}); n != 40 {
		t.Errorf("%d octets", n)
	}
	if n := unsafe.Sizeof(block{}); n != 32 {
		t.Errorf("a block takes %d", n)
	}
}

func TestKeysAreNetworksInTheShortestForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][3]string{
		"192.0.2.77":           {"192.0.2.77/32", "192.0.2.0/24", "192.0.0.0/8"},
		"::ffff:192.0.2.77":    {"192.0.2.77/32", "192.0.2.0/24", "192.0.0.0/8"},
		"2001:db8:1:2:3:4:5:6": {"2001:db8:1:2::/64", "2001:db8:1::/48", "2001:d00::/24"},
		"fe80::1%eth0":         {"fe80::/64", "fe80::/48", "fe80::/24"},
	} {
		a := netip.MustParseAddr(in)
		k := hostKey(1, a)
		if got := [3]string{k.prefix().String(), Network(a).String(), k.wide().prefix().String()}; got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
		if k.prefix() != Host(a) || prefixKey(Host(a)) != hostKey(0, a) {
			t.Errorf("%s: %v is not its host", in, k.prefix())
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("the zero address has a network")
	}
}

func TestASteadyClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	c := newSteady(10)
	for i, step := range []struct{ shown, want int64 }{
		{100, 100}, {95, 100}, {101, 101}, // callers overtake one another
		{50, 101}, {60, 111}, {55, 111}, // set back by 51: it goes on from there
		{-1000, 111}, {-990, 121},
		{5000, 6111}, // set forward
	} {
		if got := c.at(step.shown); got != step.want {
			t.Errorf("step %d: %d shown as %d, want %d", i, step.shown, got, step.want)
		}
	}
}
