package limit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestHostIsAnIPv4AddressOrAnIPv6Network(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"fe80::1%eth0":          "fe80::/64",
		"2001:db8:1:2:ffff::ff": "2001:db8:1:2::/64",
	} {
		if got := Host(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if Host(netip.Addr{}).IsValid() {
		t.Error("the zero address has a host")
	}
}

func TestGateBoundsHoldersAndWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, 1)
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- g.Enter(t.Context()) }()
		synctest.Wait()
		if g.Inside() != 1 || g.Waiting() != 1 {
			t.Errorf("inside %d, waiting %d", g.Inside(), g.Waiting())
		}
		if err := g.Enter(t.Context()); !errors.Is(err, ErrCrowded) || !errors.Is(err, ErrOver) {
			t.Errorf("third: %v", err)
		}
		g.Leave()
		if err := <-waited; err != nil {
			t.Errorf("second: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		g.Leave()
		if !g.TryEnter() || g.TryEnter() {
			t.Error("TryEnter does not follow the width")
		}
	})
}

func TestLeaveWithoutEnterPanics(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"gate":    func() { NewGate(1, 0).Leave() },
		"clients": func() { new(Clients).Leave(netip.MustParseAddr("192.0.2.1")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestTableKeepsTheActiveThroughAFlood(t *testing.T) {
	t.Parallel()
	table := NewTable[string, int](100, 0)
	for range 3 {
		for i := range 20 {
			table.Update(fmt.Sprint("regular", i), func(v *int) { *v++ })
		}
	}
	for i := range 10_000 {
		table.Set(fmt.Sprint("flood", i), 1)
	}
	for i := range 20 {
		if n, ok := table.Get(fmt.Sprint("regular", i)); !ok || n != 3 {
			t.Errorf("regular%d: %d, %v", i, n, ok)
		}
	}
	if table.Len() != 100 || table.Cap() != 100 || table.Evicted() != 10_000-80 {
		t.Errorf("len %d, evicted %d", table.Len(), table.Evicted())
	}
}

func TestTableLetsNewRegularsIn(t *testing.T) {
	t.Parallel()
	table := NewTable[int, int](8, 0)
	for range 2 {
		for i := range 8 {
			table.Set(i, 0)
		}
	}
	for range 2 {
		table.Set(99, 7)
	}
	for i := range 3 {
		table.Set(200+i, 0)
	}
	if v, ok := table.Get(99); !ok || v != 7 {
		t.Error("a key touched twice was washed out by keys touched once")
	}
}

func TestTableForgetsWhatNobodyTouches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := NewTable[string, int](10, time.Minute)
		table.Set("a", 1)
		table.Set("b", 1)
		time.Sleep(40 * time.Second)
		table.Set("a", 2)
		time.Sleep(40 * time.Second)
		if _, ok := table.Get("b"); ok {
			t.Error("b should have expired")
		}
		if v, ok := table.Get("a"); !ok || v != 2 {
			t.Error("a was touched and should be there")
		}
		table.Set("c", 1)
		time.Sleep(2 * time.Minute)
		if n := table.Sweep(); n != 2 || table.Len() != 0 {
			t.Errorf("swept %d, %d left", n, table.Len())
		}
		table.Set("d", 1)
		if !table.Delete("d") || table.Delete("d") {
			t.Error("Delete does not tell what was there")
		}
	})
}

// TestTableFollowsItsModel compares random operations with what must hold:
// the rings and the map agree, and the cap is never exceeded.
func TestTableFollowsItsModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	table := NewTable[int, int](16, 0)
	for range 20_000 {
		key := r.IntN(40)
		if r.IntN(10) == 0 {
			table.Delete(key)
		} else {
			table.Set(key, key)
		}
		count, active := 0, 0
		for _, ring := range []*entry[int, int]{&table.once, &table.again} {
			for e := ring.next; e != ring; e = e.next {
				if table.entries[e.key] != e || e.active != (ring == &table.again) || e.value != e.key {
					t.Fatalf("key %d is in the wrong ring", e.key)
				}
				count++
				if e.active {
					active++
				}
			}
		}
		if count != len(table.entries) || active != table.againLen || count > 16 || active > 12 {
			t.Fatalf("%d linked, %d in the map, %d active of %d", count, len(table.entries), active, table.againLen)
		}
	}
}

func TestBucketAllowsBurstThenRate(t *testing.T) {
	t.Parallel()
	var b Bucket
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rate := Rate{Count: 60, Per: time.Minute, Burst: 3}
	for i := range 3 {
		if wait := b.Take(now, rate, 1); wait != 0 {
			t.Errorf("take %d waits %s", i, wait)
		}
	}
	if wait := b.Take(now, rate, 1); wait != time.Second {
		t.Errorf("fourth waits %s, want 1s", wait)
	}
	if wait := b.Take(now.Add(time.Second), rate, 1); wait != 0 {
		t.Errorf("a second later: %s", wait)
	}
	if wait := b.Take(now.Add(-time.Hour), rate, 1); wait == 0 {
		t.Error("a clock going back filled the bucket")
	}
	if wait := b.Take(now.Add(-time.Hour+time.Second), rate, 1); wait > time.Second {
		t.Errorf("a clock going back blocks for %s", wait)
	}
}

func TestBucketLeavesADebtForMoreThanABurst(t *testing.T) {
	t.Parallel()
	var b Bucket
	now := time.Now()
	rate := Rate{Count: 10, Per: time.Second}
	if wait := b.Take(now, rate, 30); wait != 0 {
		t.Errorf("a full bucket must give: %s", wait)
	}
	if wait := b.Take(now, rate, 1); wait < 2*time.Second || wait > 2200*time.Millisecond {
		t.Errorf("waits %s for the debt, want about 2.1s", wait)
	}
	if b.Take(now, Rate{}, 1<<30) != 0 {
		t.Error("the zero rate has a bound")
	}
}

func TestRatesKeepKeysApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rates := NewRates[string](10, time.Hour)
		rate := Rate{Count: 1, Per: time.Minute}
		if rates.Take("a", rate, 1) != 0 || rates.Take("b", rate, 1) != 0 || rates.Len() != 2 {
			t.Error("the first of each key must pass")
		}
		if wait := rates.Take("a", rate, 1); wait != time.Minute {
			t.Errorf("second waits %s", wait)
		}
		time.Sleep(time.Minute)
		if wait := rates.Take("a", rate, 1); wait != 0 {
			t.Errorf("a minute later: %s", wait)
		}
		rates.Forget("a")
		if wait := rates.Take("a", rate, 1); wait != 0 {
			t.Errorf("after Forget: %s", wait)
		}
	})
}

func TestClientsAreCountedByHost(t *testing.T) {
	t.Parallel()
	var c Clients
	a, same, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")
	if !c.Enter(a, 2) || !c.Enter(same, 2) || c.Enter(a, 2) || !c.Enter(other, 2) {
		t.Error("the bound is not by /64")
	}
	if c.Open(same) != 2 || c.Hosts() != 2 {
		t.Errorf("open %d, hosts %d", c.Open(same), c.Hosts())
	}
	c.Leave(a)
	c.Leave(a)
	c.Leave(other)
	if c.Hosts() != 0 {
		t.Error("hosts with nothing open are kept")
	}
}

func BenchmarkTableUpdate(b *testing.B) {
	table := NewTable[int, Bucket](10_000, time.Hour)
	for i := 0; b.Loop(); i++ {
		table.Update(i%20_000, func(v *Bucket) { v.spent++ })
	}
}
