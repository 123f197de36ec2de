package limit

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const floodBound = 100_000_000 // octets a table may take (reliability row 13)

// floodKeys is how many distinct keys a flood has.
func floodKeys() int {
	if raced || testing.Short() {
		return 1_000_000
	}
	return 10_000_000
}

// floodTable is the size of the table it meets: the default, or less for a
// flood that would not fill it.
func floodTable() int { return min(defaultKeys, floodKeys()/8) }

// alive is the heap in use after a collection.
func alive() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// flood offers the keys from as many goroutines as there are processors.
func flood(keys int, offer func(n int)) {
	var wg sync.WaitGroup
	each := runtime.GOMAXPROCS(0)
	for first := range each {
		wg.Go(func() {
			for n := first; n < keys; n += each {
				offer(n)
			}
		})
	}
	wg.Wait()
}

// floodHost is half an IPv4 /8 and more, half IPv6 from 65,536 /48s.
func floodHost(n int) netip.Addr {
	if n%2 == 0 {
		n /= 2
		return netip.AddrFrom4([4]byte{60 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	n = int(uint32(n/2) * 2_654_435_769) // every number once, scattered
	return host6(n)
}

// TestAFloodOfKeysFreesNobodyAndTakesLittleMemory is not parallel, as it measures.
func TestAFloodOfKeysFreesNobodyAndTakesLittleMemory(t *testing.T) {
	const hosts, limit = 1000, 8
	before := alive()
	w, now := NewWindows(WindowsOptions{Keys: floodTable()}), time.Now()
	known := func(n int) netip.Addr {
		if n%2 == 0 {
			return host4(n << 4)
		}
		return netip.AddrFrom16([16]byte{0x2a, 0, 4: byte(n >> 8), byte(n)})
	}
	for n := range hosts {
		for range limit + 1 {
			w.Count(connections, known(n), now, limit, time.Minute)
		}
		for range limit * 3 / 4 {
			w.Count(messages, known(n), now, limit, time.Minute)
		}
	}
	start := time.Now()
	flood(floodKeys(), func(n int) { w.Count(connections, floodHost(n), now, limit, time.Minute) })
	took := time.Since(start)
	for n := range hosts {
		if j := w.Look(connections, known(n), now, limit, time.Minute); !j.Over || j.Count != limit || j.Shared {
			t.Fatalf("blocked host %d is free: %+v", n, j)
		}
		if j := w.Look(messages, known(n), now, limit, time.Minute); j.Count != limit*3/4 || j.Shared {
			t.Fatalf("host %d, near its limit, was forgotten: %+v", n, j)
		}
	}
	used, s := alive()-before, w.Stats()
	t.Logf("%d keys in %s; %d octets for %d counters of %d (%d each); %d evicted, %d shared",
		floodKeys(), took.Round(time.Millisecond), used, s.Keys, s.Cap, w.octets()/s.Keys, s.Evicted, s.Shared)
	if used >= floodBound || s.Keys > s.Cap || s.Evicted == 0 {
		t.Errorf("the table takes %d octets for %d keys, %d evicted", used, s.Keys, s.Evicted)
	}
	runtime.KeepAlive(w)
}

// TestANewcomerDuringAFloodHasItsOwnCounter: those who come once make room for
// those who come, so an honest host notices nothing.
func TestANewcomerDuringAFloodHasItsOwnCounter(t *testing.T) {
	t.Parallel()
	w, now := NewWindows(WindowsOptions{Keys: 1 << 12}), time.Now()
	for n := range 100_000 {
		w.Count(connections, floodHost(n), now, 10, time.Minute)
		if n%100 == 0 {
			if j := w.Count(connections, host4(n<<8), now, 10, time.Minute); j.Over || j.Shared || j.Count != 1 {
				t.Fatalf("after %d: %+v", n, j)
			}
		}
	}
}

func TestAFloodOfHostsWithWrongItemsFreesNobody(t *testing.T) {
	const hosts, limit, day = 1000, 8, 20_000
	before := alive()
	d := NewDistinct(DistinctOptions{})
	known := func(n int) netip.Prefix { return Host(host4(n << 4)) }
	for n := range 2 * hosts {
		for i := range limit * (3 + n%2) / 4 { // even hosts come near, odd ones reach it
			d.Note(known(n), item(i), day, limit)
		}
	}
	flood(floodKeys(), func(n int) { d.Note(Host(floodHost(n)), item(n), day, limit) })
	for n := range 2 * hosts {
		got := d.Note(known(n), item(0), day, limit) // known to all
		if want := (Tally{Count: limit * (3 + n%2) / 4, Reached: n%2 == 1}); got != want {
			t.Fatalf("host %d: %+v, want %+v", n, got, want)
		}
	}
	used, s := alive()-before, d.Stats()
	t.Logf("%d octets for %d hosts of %d; %d evicted, %d shared", used, s.Keys, s.Cap, s.Evicted, s.Shared)
	if used >= floodBound/2 || s.Keys > s.Cap || s.Evicted == 0 {
		t.Errorf("the table takes %d octets for %d hosts, %d evicted", used, s.Keys, s.Evicted)
	}
	runtime.KeepAlive(d)
}

// BenchmarkWindowsLatency reports how long the slowest of a hundred and of ten
// thousand calls take in a full table under a flood.
func BenchmarkWindowsLatency(b *testing.B) {
	w, now := NewWindows(WindowsOptions{}), time.Now()
	flood(2<<20, func(n int) { w.Count(connections, floodHost(n), now, 8, time.Minute) })
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		w.Count(connections, floodHost(2<<20+i), now, 8, time.Minute)
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
	b.ReportMetric(float64(took[len(took)*9999/10000]), "p99.99-ns")
}
