package limit

import (
	"net/netip"
	"testing"
	"time"
)

func TestTheEndedGoFirstThenTheLeastActive(t *testing.T) {
	t.Parallel()
	w, now := NewWindows(WindowsOptions{Keys: 32}), time.Now()
	count := func(n, times int, window time.Duration) {
		for range times {
			w.Count(connections, host4(n), now, 100, window)
		}
	}
	known := func(n int) bool { return w.Look(connections, host4(n), now, 100, time.Hour).Count > 0 }
	for n := range 16 {
		count(n, 5, time.Hour)
	}
	for n := 16; n < 24; n++ {
		count(n, 1, time.Hour)
	}
	for n := 24; n < 32; n++ {
		count(n, 50, time.Second) // most active, but about to end
	}
	now = now.Add(2 * time.Second)
	for n := 100; n < 108; n++ {
		count(n, 1, time.Hour)
	}
	for n := range 24 {
		if !known(n) {
			t.Errorf("host %d went before those that had ended", n)
		}
	}
	for n := 108; n < 116; n++ {
		count(n, 1, time.Hour)
	}
	for n := range 24 {
		if known(n) != (n < 16) {
			t.Errorf("host %d: %v, but 16 to 23 are the least active, longest ago", n, known(n))
		}
	}
	for n := 200; n < 1200; n++ {
		count(n, 1, time.Hour)
	}
	for n := range 16 {
		if !known(n) {
			t.Errorf("host %d was washed out by newcomers less active", n)
		}
	}
	if s := w.Stats(); s.Keys != 32 || s.Cap != 32 || s.Evicted != 1008 || s.Shared != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAtTheCapNewcomersShareACounterPerNetwork(t *testing.T) {
	t.Parallel()
	const limit = 4
	for _, six := range []bool{false, true} {
		w, now := NewWindows(WindowsOptions{Keys: 64}), time.Now()
		host := host4
		if six {
			host = func(n int) netip.Addr { return host6(n << 8) } // a /48 has 256 of them
		}
		ask := func(n int) Judgement { return w.Count(connections, host(n), now, limit, time.Minute) }
		for n := range 64 {
			for range 3 { // near the limit
				ask(n)
			}
		}
		for n := range 3 * limit {
			j := ask(1000<<8 + n)
			want := Judgement{Count: min(n+1, limit), Over: n >= limit, Until: now.Add(time.Minute), Shared: true}
			if six && n == 0 && !j.Shared {
				t.Fatal("IPv6 had room left")
			}
			if j != want {
				t.Errorf("six %v, stranger %d: %+v, want %+v", six, n, j, want)
			}
			if l := w.Look(connections, host(1000<<8+n), now, limit, time.Minute); l.Over != (n >= limit-1) || !l.Shared {
				t.Errorf("six %v, a look at stranger %d: %+v", six, n, l)
			}
		}
		if j := ask(1001 << 8); j.Over || j.Count != 1 || !j.Shared {
			t.Errorf("six %v: another network suffers: %+v", six, j)
		}
		if j := ask(0); j.Over || j.Count != limit || j.Shared {
			t.Errorf("six %v: a known host lost its counter: %+v", six, j)
		}
		now = now.Add(time.Minute)
		if j := ask(1000 << 8); j.Over || j.Shared {
			t.Errorf("six %v: no counter of its own when there is room again: %+v", six, j)
		}
	}
}

// TestNobodyPassesWithoutBound lets a whole IPv6 /32 in its strength meet a
// small table: everything that passes is bounded, however many addresses ask.
func TestNobodyPassesWithoutBound(t *testing.T) {
	t.Parallel()
	const keys, limit = 64, 4
	w, now := NewWindows(WindowsOptions{Keys: keys}), time.Now()
	passed := 0
	for n := range 200_000 {
		for range 3 {
			if !w.Count(connections, host6(n*20_000), now, limit, time.Minute).Over {
				passed++
			}
		}
	}
	if most := (keys + keys/16 + 1) * limit; passed > most {
		t.Errorf("%d passed, more than %d", passed, most)
	}
	for range limit { // a quarter of the table is out of IPv6's reach
		if j := w.Count(connections, host4(1), now, limit, time.Minute); j.Over || j.Shared {
			t.Errorf("an IPv4 host has no counter of its own: %+v", j)
		}
	}
	if j := w.Count(connections, netip.MustParseAddr("2a00:1::1"), now, limit, time.Minute); j.Over || !j.Shared || j.Count != 1 {
		t.Errorf("a newcomer elsewhere in IPv6: %+v", j)
	}
	if j := w.Look(connections, host6(-1), now, limit, time.Minute); !j.Over || !j.Shared {
		t.Errorf("the last resort lets the /32 in: %+v", j)
	}
	if j := w.Look(connections, netip.MustParseAddr("2b00:1::1"), now, limit, time.Minute); j != (Judgement{Shared: true}) {
		t.Errorf("a network not counted yet: %+v", j)
	}
}

// TestHostsCannotWashOneAnotherOut: when nearly all are held, two hosts that
// take turns must not find a fresh counter each time.
func TestHostsCannotWashOneAnotherOut(t *testing.T) {
	t.Parallel()
	const limit = 8
	w, now := NewWindows(WindowsOptions{Keys: 64}), time.Now()
	for n := range 63 {
		for range limit {
			w.Count(connections, host4(n), now, limit, time.Minute)
		}
	}
	passed := 0
	for range 100 {
		for n := 1000; n < 1002; n++ {
			if !w.Count(connections, host4(n), now, limit, time.Minute).Over {
				passed++
			}
		}
	}
	if passed > 2*limit {
		t.Errorf("%d passed", passed)
	}
}

func TestAWholeNetworkFillsOnePartOnly(t *testing.T) {
	t.Parallel()
	w, now := NewWindows(WindowsOptions{Keys: 1 << 16}), time.Now()
	const known = 20_000
	for n := range known {
		w.Count(connections, host4(n<<8), now, 9, time.Hour)
	}
	for n := range 1 << 16 {
		w.Count(connections, host6(n), now, 9, time.Hour)
		w.Count(connections, host6(n), now, 9, time.Hour)
	}
	forgotten := 0
	for n := range known {
		if w.Look(connections, host4(n<<8), now, 9, time.Hour).Count == 0 {
			forgotten++
		}
	}
	if forgotten > 2*known/len(w.shards) {
		t.Errorf("one /48 drove %d of %d hosts out", forgotten, known)
	}
}

func TestIPv6DrivesOutOnlyIPv6BeyondItsThreeQuarters(t *testing.T) {
	t.Parallel()
	w, now := NewWindows(WindowsOptions{Keys: 64}), time.Now()
	count := func(a netip.Addr) { w.Count(connections, a, now, 100, time.Minute) }
	for n := range 48 {
		for range 5 {
			count(host6(n))
		}
	}
	for n := range 16 {
		count(host4(n)) // less active
	}
	for n := 100; n < 1000; n++ {
		count(host6(n))
	}
	for n := range 16 {
		if j := w.Look(connections, host4(n), now, 100, time.Minute); j.Count != 1 {
			t.Errorf("IPv4 host %d made room for IPv6: %+v", n, j)
		}
	}
	if s := w.Stats(); s.Keys != 64 || s.Evicted != 900 || s.Shared != 0 {
		t.Errorf("%+v", s)
	}
}
