package limit

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	many      = 15
	fewMinute = 5 * time.Minute
)

// fails lets a host fail so often and reports whether that was too often.
func fails(t *Sliding, host netip.Addr, now time.Time, times int) (over bool) {
	for range times {
		over = t.Add(host, 1, now, many, fewMinute) != nil
	}
	return over
}

func TestSlidingFollowsItsModelBelowTheCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		table, now, model := NewSliding(64), time.Now(), map[netip.Prefix][]Mark{}
		window := time.Duration(rapid.IntRange(1, 60).Draw(t, "window")) * time.Second
		recent := func(host netip.Addr) (all []Mark) {
			for _, m := range model[Host(host)] {
				if now.Sub(m.At) <= window {
					all = append(all, m)
				}
			}
			return all
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				host := host4(rapid.IntRange(0, 3).Draw(t, "host"))
				if rapid.Bool().Draw(t, "six") {
					host = host6(rapid.IntRange(0, 3).Draw(t, "host"))
				}
				limit, kind := rapid.IntRange(1, 5).Draw(t, "limit"), rapid.Uint8().Draw(t, "kind")
				want := append(recent(host), Mark{now, kind})
				if model[Host(host)] = want; len(want) < limit {
					want = nil
				} else {
					delete(model, Host(host))
				}
				got := table.Add(host, kind, now, limit, window)
				if len(got) != len(want) {
					t.Fatalf("%v, want %v", got, want)
				}
				for i := range got {
					if d := got[i].At.Sub(want[i].At).Abs(); got[i].Kind != want[i].Kind || d > time.Microsecond {
						t.Fatalf("%v, want %v", got, want)
					}
				}
			},
			"forget": func(t *rapid.T) {
				host := host4(rapid.IntRange(0, 3).Draw(t, "host"))
				if known := len(recent(host)) > 0; !table.Forget(host) && known {
					t.Fatalf("%s was not known", host)
				}
				delete(model, Host(host))
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) { checkSlab(t, &table.shards[0].hosts) },
		})
	})
}

// A flood of hosts that fail some times each frees nobody who fails more.
func TestAFloodFreesNoHostNearItsLimit(t *testing.T) {
	t.Parallel()
	const hosts = 1 << 13
	for _, each := range []int{1, 3, 7, many - 1} {
		table, now := NewSliding(hosts), time.Now()
		const victims = 200
		for n := range victims {
			fails(table, host4(n<<8), now, many-1)
			fails(table, host6(n<<16), now, many-1)
		}
		now = now.Add(time.Minute)
		for n := range 2 * hosts {
			fails(table, host4(1<<23+n*100), now, each)
			fails(table, host6(1<<30+n*1000), now, each)
		}
		for n := range victims {
			if !fails(table, host4(n<<8), now, 1) || !fails(table, host6(n<<16), now, 1) {
				t.Fatalf("after a flood of hosts with %d failures each, host %d begins anew", each, n)
			}
		}
		if s := table.Stats(); s.Keys > s.Cap || s.Cap > hosts+len(table.shards) {
			t.Errorf("%+v", s)
		}
		now = now.Add(fewMinute + time.Second)
		if fails(table, host4(1<<22), now, many-1) || !fails(table, host4(1<<22), now, 1) {
			t.Error("when the flood is over there is no room for others")
		}
	}
}

func TestSlidingIsForManyAtOnce(t *testing.T) {
	t.Parallel()
	table := NewSliding(1 << 13)
	var wg sync.WaitGroup
	var mu sync.Mutex
	over := map[int]int{}
	for range 5 {
		wg.Go(func() {
			for range 3 * many {
				for n := range 20 {
					if fails(table, host4(n<<8), time.Now(), 1) {
						mu.Lock()
						over[n]++
						mu.Unlock()
					}
					table.Add(host6(n), 0, time.Now(), 2, time.Nanosecond)
				}
				table.Forget(host6(1))
			}
		})
	}
	wg.Wait()
	for n := range 20 {
		if over[n] != 15 {
			t.Errorf("host %d was over its limit %d times", n, over[n])
		}
	}
}
