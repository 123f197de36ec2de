package limit

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const (
	connections Rule = iota
	messages
)

// host4 is the n-th address from 10.0.0.0 on, host6 an address in the n-th /64
// of 2001:db8::/32.
func host4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func host6(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 15: 1})
}

func TestAWindowBeginsWithTheFirstEventAndRefusesBeyondTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWindows(WindowsOptions{Keys: 100})
		client := netip.MustParseAddr("192.0.2.1")
		time.Sleep(25 * time.Second)
		end := time.Now().Add(time.Minute)
		for i, step := range []struct {
			wait  time.Duration
			count int
			over  bool
		}{
			{0, 1, false},
			{10 * time.Second, 2, false},
			{10 * time.Second, 3, false},
			{10 * time.Second, 3, true},
			{29 * time.Second, 3, true},
			{time.Second - time.Nanosecond, 3, true}, // refusals prolong nothing
		} {
			time.Sleep(step.wait)
			want := Judgement{Count: step.count, Over: step.over, Until: end}
			if got := w.Count(connections, client, time.Now(), 3, time.Minute); got != want {
				t.Errorf("event %d: %+v, want %+v", i, got, want)
			}
		}
		time.Sleep(time.Until(end))
		if j := w.Look(connections, client, time.Now(), 3, time.Minute); j != (Judgement{}) {
			t.Errorf("after the window's end: %+v", j)
		}
		if j := w.Count(connections, client, time.Now(), 3, time.Minute); j.Over || j.Count != 1 {
			t.Errorf("in the next window: %+v", j)
		}
	})
}

func TestHostsAndRulesAreCountedApart(t *testing.T) {
	t.Parallel()
	w, now := NewWindows(WindowsOptions{}), time.Now()
	for i, step := range []struct {
		rule  Rule
		host  string
		count int
	}{
		{connections, "192.0.2.1", 1},
		{connections, "::ffff:192.0.2.1", 2},
		{connections, "192.0.2.2", 1},
		{messages, "192.0.2.1", 1},
		{connections, "2001:db8:0:1::1", 1},
		{connections, "2001:db8:0:1:ffff::2", 2}, // the same /64
		{connections, "2001:db8:0:2::1", 1},
		{connections, "0:0:c000:201::", 1}, // looks like 192.0.2.1 in few bits
	} {
		if j := w.Count(step.rule, netip.MustParseAddr(step.host), now, 9, time.Minute); j.Count != step.count || j.Shared {
			t.Errorf("step %d: %+v, want %d", i, j, step.count)
		}
	}
}

func TestLookCountsNothing(t *testing.T) {
	t.Parallel()
	w, now, client := NewWindows(WindowsOptions{}), time.Now(), host4(1)
	for range 3 {
		if j := w.Look(connections, client, now, 1, time.Minute); j != (Judgement{}) {
			t.Fatalf("%+v", j)
		}
	}
	first := w.Count(connections, client, now, 1, time.Minute)
	if j := w.Look(connections, client, now, 1, time.Minute); first.Over || !j.Over || j.Count != 1 || j.Until != first.Until {
		t.Errorf("counted %+v, then looked %+v", first, j)
	}
	if !w.Forget(connections, client) || w.Forget(connections, client) {
		t.Error("Forget does not tell what was there")
	}
	if j := w.Count(connections, client, now, 1, time.Minute); j.Over {
		t.Errorf("after Forget: %+v", j)
	}
}

func TestAChangedSettingWorksAtOnce(t *testing.T) {
	t.Parallel()
	w, now, client := NewWindows(WindowsOptions{}), time.Now(), host4(1)
	for range 5 {
		w.Count(messages, client, now, 5, time.Hour)
	}
	for _, step := range []struct {
		limit  int
		window time.Duration
		want   Judgement
	}{
		{5, time.Hour, Judgement{Count: 5, Over: true, Until: now.Add(time.Hour)}},
		{0, time.Hour, Judgement{}},
		{-1, time.Hour, Judgement{}},
		{5, 0, Judgement{}},
		{6, time.Hour, Judgement{Count: 6, Until: now.Add(time.Hour)}},
		{3, time.Hour, Judgement{Count: 6, Over: true, Until: now.Add(time.Hour)}},
		{math.MaxInt, 1 << 62, Judgement{Count: 7, Until: now.Add(time.Hour)}},
		{3, time.Minute, Judgement{Count: 7, Over: true, Until: now.Add(time.Minute)}},
		{3, time.Hour, Judgement{Count: 7, Over: true, Until: now.Add(time.Minute)}},
	} {
		if got := w.Count(messages, client, now, step.limit, step.window); got != step.want {
			t.Errorf("%d in %s: %+v, want %+v", step.limit, step.window, got, step.want)
		}
	}
}

// TestAClockSetBackNeitherFreesNorBlocksForEver uses times without a monotonic
// reading, which show what the wall clock does (reliability row 15).
func TestAClockSetBackNeitherFreesNorBlocksForEver(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Second, time.Hour, 10 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		w, client := NewWindows(WindowsOptions{}), host4(1)
		now := time.Now().Round(0)
		ask := func() Judgement { return w.Count(connections, client, now, 2, time.Minute) }
		ask()
		ask()
		now = now.Add(30 * time.Second)
		if !ask().Over {
			t.Fatal("not refused")
		}
		now = now.Add(-back)
		if j := ask(); !j.Over || j.Until.Sub(now) > time.Minute {
			t.Errorf("%s back: %+v at %s", back, j, now)
		}
		now = now.Add(29 * time.Second)
		if back > time.Minute && !ask().Over {
			t.Errorf("%s back frees early", back)
		}
		now = now.Add(time.Second + back%time.Minute)
		if j := ask(); j.Over || j.Count != 1 {
			t.Errorf("%s back: still %+v at the window's end", back, j)
		}
	}
}

func TestWindowsFollowTheirModelBelowTheCap(t *testing.T) {
	t.Parallel()
	type name struct {
		rule Rule
		host netip.Prefix
	}
	type state struct {
		count int
		end   time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		w, model, now := NewWindows(WindowsOptions{Keys: 128}), map[name]state{}, time.Now()
		pick := func(t *rapid.T) (Rule, netip.Addr) {
			n := rapid.IntRange(0, 11).Draw(t, "host")
			a := host4(n * 100)
			if n%2 == 0 {
				a = host6(n * 30000)
			}
			return Rule(rapid.IntRange(0, 2).Draw(t, "rule")), a
		}
		ask := func(t *rapid.T, counts bool) {
			rule, host := pick(t)
			limit := rapid.IntRange(0, 6).Draw(t, "limit")
			window := time.Duration(rapid.IntRange(1, 90).Draw(t, "window")) * time.Second
			key := name{rule, Host(host)}
			var want Judgement
			if limit > 0 {
				m := model[key]
				if !m.end.After(now) {
					m = state{}
				}
				begun := !m.end.IsZero()
				if counts && !begun || begun && m.end.After(now.Add(window)) {
					m.end = now.Add(window)
				}
				want = Judgement{Count: m.count, Over: m.count >= limit, Until: m.end}
				if counts && m.count < limit {
					m.count++
					want.Count++
				}
				if counts {
					model[key] = m
				}
			}
			got := w.Look(rule, host, now, limit, window)
			if counts {
				got = w.Count(rule, host, now, limit, window)
			}
			if got != want {
				t.Fatalf("%v: %+v, want %+v", key, got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"count": func(t *rapid.T) { ask(t, true) },
			"again": func(t *rapid.T) { ask(t, true) },
			"look":  func(t *rapid.T) { ask(t, false) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			},
			"forget": func(t *rapid.T) {
				rule, host := pick(t)
				_, known := model[name{rule, Host(host)}]
				if had := w.Forget(rule, host); had && !known {
					t.Fatalf("forgot %s, which was never counted", host)
				}
				delete(model, name{rule, Host(host)})
			},
			"": func(t *rapid.T) { checkSlab(t, &w.shards[0].hosts) },
		})
	})
}

func TestExactlyTheLimitPassesAmongManyAtOnce(t *testing.T) {
	t.Parallel()
	const callers, hosts, limit = 8, 50, 40
	w := NewWindows(WindowsOptions{Keys: 1 << 14})
	var passed [hosts]atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range 20 * hosts {
				n := i % hosts
				if !w.Count(messages, host4(n<<8), time.Now(), limit, time.Hour).Over {
					passed[n].Add(1)
				}
				w.Look(messages, host6(n<<16), time.Now(), limit, time.Hour)
				w.Count(connections, host6(i), time.Now(), limit, time.Nanosecond)
				if i%100 == 0 {
					w.Forget(connections, host6(i))
					w.Stats()
				}
			}
		})
	}
	wg.Wait()
	for n := range passed {
		if got := passed[n].Load(); got != limit {
			t.Errorf("host %d: %d passed", n, got)
		}
	}
}

func BenchmarkWindows(b *testing.B) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		hosts int
	}{{"known", 1 << 10}, {"many", 1 << 19}, {"flood", 1 << 24}} {
		b.Run(c.name, func(b *testing.B) {
			w := NewWindows(WindowsOptions{})
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				n := int(next.Add(1)) << 20
				for pb.Next() {
					n++
					w.Count(connections, host4(n%c.hosts), now, 1<<30, time.Minute)
				}
			})
			s := w.Stats()
			b.ReportMetric(float64(w.octets())/float64(max(1, s.Keys)), "B/entry")
		})
	}
}

// octets is what all parts have allocated.
func (w *Windows) octets() int {
	n := wideSlots * 16
	for i := range w.shards {
		n += w.shards[i].hosts.octets() + w.shards[i].near.octets()
	}
	return n
}

func (s *slab) octets() int {
	return len(s.chunks)*chunkSize*40 + 4*len(s.heads) + 8*cap(s.ends) + 4*cap(s.slots)
}

func ExampleWindows() {
	w, now, client := NewWindows(WindowsOptions{}), time.Now(), netip.MustParseAddr("192.0.2.1")
	for range 3 {
		j := w.Count(connections, client, now, 2, time.Minute)
		fmt.Println(j.Count, j.Over, j.Until.Sub(now))
	}
	// Output:
	// 1 false 1m0s
	// 2 false 1m0s
	// 2 true 1m0s
}
