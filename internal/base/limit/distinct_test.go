package limit

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // zones whose midnight is skipped

	"pgregory.net/rapid"
)

func item(n int) string { return "nobody" + strconv.Itoa(n) + "@example.com" }

// checkItems sees that no block is lost and none is in two lists.
func checkItems(t interface{ Fatalf(string, ...any) }, s *distinctShard) {
	checkSlab(t, &s.hosts.slab)
	checkSlab(t, &s.near.slab)
	blocks := 0
	for _, of := range []*tallies{&s.hosts, &s.near} {
		for slot, list := range of.lists {
			if list != 0 && (slot == 0 || of.at(uint32(slot)).place >= uint32(of.len) || of.slots[of.at(uint32(slot)).place] != uint32(slot)) {
				t.Fatalf("slot %d is free and has items", slot)
			}
			for b := list; b != 0; b = s.items.at(b).next {
				blocks++
			}
		}
	}
	if blocks != s.items.len || blocks > s.items.most {
		t.Fatalf("%d blocks in lists, %d taken of %d", blocks, s.items.len, s.items.most)
	}
}

func TestOnlyDifferentItemsCountUntilTheLimit(t *testing.T) {
	t.Parallel()
	d := NewDistinct(DistinctOptions{})
	host := Host(netip.MustParseAddr("2001:db8::1"))
	for i, step := range []struct {
		item string
		day  Day
		want Tally
	}{
		{"a", 7, Tally{Count: 1}},
		{"a", 7, Tally{Count: 1}},
		{"b", 7, Tally{Count: 2}},
		{"A", 7, Tally{Count: 3, Reached: true}},
		{"a", 7, Tally{Count: 3, Reached: true}},
		{"z", 7, Tally{Count: 3, Reached: true}},
		{"z", 8, Tally{Count: 1}}, // a new day
		{"y", 7, Tally{Count: 2}}, // a caller just before midnight
		{"y", 8, Tally{Count: 2}},
		{"x", 8, Tally{Count: 3, Reached: true}},
		{"x", 4000, Tally{Count: 1}},             // the clock set forward,
		{"y", 8, Tally{Count: 2}},                // and back
		{"x", 8, Tally{Count: 2}},                //
		{"z", 8, Tally{Count: 3, Reached: true}}, //
		{"z", 9, Tally{Count: 1}},                // midnight all the same
		{"z", -9000, Tally{Count: 1}},            //
		{"y", -9000, Tally{Count: 2}},            //
		{"y", -8999, Tally{Count: 1}},            //
		{"y", 30_000, Tally{Count: 1}},           //
	} {
		if got := d.Note(host, step.item, step.day, 3); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
	if !d.Forget(host) || d.Forget(host) || d.Forget(netip.Prefix{}) {
		t.Error("Forget does not tell what was there")
	}
	if got := d.Note(host, "q", 30_000, 0); got != (Tally{}) {
		t.Errorf("without a limit: %+v", got)
	}
	if got := d.Note(netip.Prefix{}, "q", 30_000, 3); got != (Tally{}) {
		t.Errorf("without a host: %+v", got)
	}
}

func TestHostsAreWhatTheCallerSaysTheyAre(t *testing.T) {
	t.Parallel()
	d := NewDistinct(DistinctOptions{})
	one, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	for i, p := range []netip.Prefix{
		netip.PrefixFrom(one, 128), netip.PrefixFrom(other, 128), netip.PrefixFrom(one, 64),
		netip.PrefixFrom(one, 32), Host(netip.MustParseAddr("192.0.2.1")),
	} {
		if got := d.Note(p, item(i), 1, 9); got != (Tally{Count: 1}) {
			t.Errorf("%s: %+v", p, got)
		}
	}
	if got := d.Note(netip.PrefixFrom(other, 64), item(9), 1, 9); got.Count != 2 {
		t.Errorf("the same /64: %+v", got)
	}
}

func TestDistinctFollowsItsModelBelowTheCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, day, limit := NewDistinct(DistinctOptions{Hosts: 64, Items: 7 * 64 * 10}), Day(0), rapid.IntRange(1, 30).Draw(t, "limit")
		model := map[netip.Prefix]map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"note": func(t *rapid.T) {
				host := Host(host4(rapid.IntRange(0, 9).Draw(t, "host") << 8))
				for range rapid.IntRange(1, 20).Draw(t, "times") {
					it := item(rapid.IntRange(0, 40).Draw(t, "item"))
					if model[host] == nil {
						model[host] = map[string]bool{}
					}
					if len(model[host]) < limit {
						model[host][it] = true
					}
					want := Tally{Count: len(model[host]), Reached: len(model[host]) >= limit}
					if got := d.Note(host, it, day, limit); got != want {
						t.Fatalf("%s, %s: %+v, want %+v", host, it, got, want)
					}
				}
			},
			"forget": func(t *rapid.T) {
				host := Host(host4(rapid.IntRange(0, 9).Draw(t, "host") << 8))
				d.Forget(host)
				delete(model, host)
			},
			"midnight": func(t *rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "really") == 0 {
					day++
					clear(model)
				}
			},
			"restart": func(t *rapid.T) {
				next := NewDistinct(DistinctOptions{Hosts: 64, Items: 7 * 64 * 10, Key: d.key})
				next.Restore(d.All(), day, limit)
				d = next
			},
			"": func(t *rapid.T) { checkItems(t, &d.shards[0]) },
		})
	})
}

// TestDistinctKeepsItsBoundsWhateverComes runs small tables at their caps.
func TestDistinctKeepsItsBoundsWhateverComes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := NewDistinct(DistinctOptions{
			Hosts: rapid.IntRange(1, 40).Draw(t, "hosts"),
			Items: rapid.IntRange(1, 300).Draw(t, "items"),
		})
		day := Day(0)
		for range rapid.IntRange(1, 150).Draw(t, "notes") {
			host, limit := Host(host4(rapid.IntRange(0, 60).Draw(t, "host")<<6)), rapid.IntRange(1, 20).Draw(t, "limit")
			got := d.Note(host, item(rapid.IntRange(0, 50).Draw(t, "item")), day, limit)
			if got.Count < 1 || got.Count > limit || got.Reached != (got.Count == limit) {
				t.Fatalf("limit %d: %+v", limit, got)
			}
			if rapid.IntRange(0, 40).Draw(t, "midnight") == 0 {
				day++
			}
			checkItems(t, &d.shards[0])
		}
	})
}

func TestWithoutRoomForHostsNewOnesShareATally(t *testing.T) {
	t.Parallel()
	const limit = 4
	d := NewDistinct(DistinctOptions{Hosts: 32, Items: 1000})
	for n := range 32 {
		for i := range limit {
			d.Note(Host(host4(n)), item(i), 1, limit)
		}
	}
	for n, want := range []Tally{
		{Count: 1, Shared: true}, {Count: 2, Shared: true}, {Count: 3, Shared: true},
		{Count: 4, Shared: true, Reached: true}, {Count: 4, Shared: true, Reached: true},
	} {
		if got := d.Note(Host(host4(1<<8+n)), item(n), 1, limit); got != want {
			t.Errorf("stranger %d: %+v, want %+v", n, got, want)
		}
	}
	d.Note(Host(host4(2<<8)), item(1), 1, limit)
	if got := d.Note(Host(host4(2<<8+1)), item(1), 1, limit); got != (Tally{Count: 1, Shared: true}) {
		t.Errorf("the same item in another network: %+v", got)
	}
	for n := range 100 {
		for i := range 2 * limit {
			d.Note(Host(host4(n<<8)), item(i), 1, limit)
		}
	}
	if got := d.Note(Host(host4(200<<8)), item(0), 1, limit); !got.Reached || !got.Shared {
		t.Errorf("the last resort lets the /8 in: %+v", got)
	}
	if got := d.Note(Host(netip.MustParseAddr("192.0.2.1")), item(0), 1, limit); got != (Tally{Count: 1, Shared: true}) {
		t.Errorf("another /8: %+v", got)
	}
	if got := d.Note(Host(host4(200<<8)), item(0), 2, limit); got != (Tally{Count: 1}) {
		t.Errorf("the next day: %+v", got)
	}
}

func TestWithoutRoomForItemsEachIsNew(t *testing.T) {
	t.Parallel()
	d := NewDistinct(DistinctOptions{Hosts: 16, Items: blockItems})
	for i := range blockItems + 3 {
		d.Note(Host(host4(1)), item(i), 1, 12)
	}
	if got := d.Note(Host(host4(1)), item(0), 1, 12); got.Count != blockItems+3 {
		t.Errorf("an item kept: %+v", got)
	}
	if got := d.Note(Host(host4(1)), item(blockItems+1), 1, 12); got.Count != blockItems+4 {
		t.Errorf("an item not kept: %+v", got)
	}
}

func TestABlockedHostTakesNoItems(t *testing.T) {
	t.Parallel()
	d := NewDistinct(DistinctOptions{Hosts: 16})
	for i := range 20 {
		d.Note(Host(host4(1)), item(i), 1, 20)
		if got, want := d.shards[0].items.len, (i+blockItems)/blockItems; i < 19 && got != want {
			t.Errorf("%d items in %d blocks, want %d", i+1, got, want)
		}
	}
	if n := d.shards[0].items.len; n != 0 {
		t.Errorf("%d blocks are kept to tell nothing apart", n)
	}
}

func TestSavedTalliesComeBack(t *testing.T) {
	t.Parallel()
	d := NewDistinct(DistinctOptions{Key: [16]byte{1}})
	for n := range 3 {
		for i := range 8 * (n + 1) {
			d.Note(Host(host4(n<<8)), item(i), 5, 20)
		}
	}
	d.Note(Host(host6(0)), item(0), 5, 20)
	saved := slices.Collect(d.All())
	for _, c := range []struct {
		key    byte
		today  Day
		counts [4]int // after item 0 came once more
	}{
		{1, 5, [4]int{8, 16, 20, 1}},
		{2, 5, [4]int{9, 17, 20, 2}}, // hashes under another key tell nothing
		{1, 6, [4]int{1, 1, 1, 1}},
	} {
		again := NewDistinct(DistinctOptions{Key: [16]byte{c.key}})
		again.Restore(slices.Values(saved), c.today, 20)
		var got [4]int
		for n := range 3 {
			got[n] = again.Note(Host(host4(n<<8)), item(0), c.today, 20).Count
		}
		got[3] = again.Note(Host(host6(0)), item(0), c.today, 20).Count
		if got != c.counts {
			t.Errorf("key %d, day %d: %v, want %v", c.key, c.today, got, c.counts)
		}
	}
	for range d.All() {
		break
	}
}

func TestManyHostsNoteAtOnce(t *testing.T) {
	t.Parallel()
	const hosts, items = 40, 60
	d := NewDistinct(DistinctOptions{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for i := range hosts * items {
				d.Note(Host(host4(i%hosts<<8)), item(i/hosts), 3, 1000)
				d.Note(Host(host6(i)), item(i), 3, 5)
			}
			for range d.All() {
				d.Stats()
				break
			}
		})
	}
	wg.Wait()
	for n := range hosts {
		if got := d.Note(Host(host4(n<<8)), item(0), 3, 1000); got.Count != items {
			t.Errorf("host %d: %+v", n, got)
		}
	}
}

func TestDaysEndAtTheNextMidnight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, now, end string }{
		{"UTC", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"},
		{"UTC", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
		{"Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T22:00:00Z"},     // 23 hours
		{"Europe/Berlin", "2026-10-24T22:30:00Z", "2026-10-25T23:00:00Z"},     // 25 hours
		{"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"}, // no midnight: 01:00
		{"Asia/Tokyo", "2026-01-01T15:00:00Z", "2026-01-02T15:00:00Z"},
		{"Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z"}, // 30 December was left out
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		day := DayOf(now, zone)
		end := day.End(zone)
		if got := end.UTC().Format(time.RFC3339); got != c.end {
			t.Errorf("%s in %s: ends %s, want %s", c.now, c.zone, got, c.end)
		}
		if DayOf(end, zone) <= day || DayOf(end.Add(-time.Nanosecond), zone) != day {
			t.Errorf("%s in %s: %s is not its end", c.now, c.zone, end)
		}
	}
}

func TestMomentsFallIntoTheDayThatHasNotEnded(t *testing.T) {
	t.Parallel()
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), 0)
		day := DayOf(now, zone)
		if end := day.End(zone); !end.After(now) || end.Sub(now) > 26*time.Hour || DayOf(end, zone) != day+1 {
			t.Fatalf("%s: day %d ends %s", now.In(zone), day, end)
		}
	})
}

func BenchmarkDistinct(b *testing.B) {
	d := NewDistinct(DistinctOptions{})
	b.ReportAllocs()
	for i := range b.N {
		d.Note(Host(floodHost(i)), "nobody@example.com", 1, 20)
	}
}

func ExampleDistinct() {
	d := NewDistinct(DistinctOptions{})
	client, today := Host(netip.MustParseAddr("192.0.2.1")), DayOf(time.Now(), time.Local)
	for _, recipient := range []string{"a@example.com", "b@example.com", "a@example.com", "c@example.com"} {
		fmt.Println(d.Note(client, recipient, today, 3))
	}
	// Output:
	// {1 false false}
	// {2 false false}
	// {2 false false}
	// {3 true false}
}
