package storetest

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

var banTests = []test{
	{name: "BansComeBackWhole", run: bansWhole},
	{name: "ABanReplacesOneOfItsKindOnly", run: bansReplaced},
	{name: "ABanEndsAtItsTime", run: bansEnd},
	{name: "BeyondTheBoundTheFirstToEndGoes", run: bansBound},
	{name: "BansAreLiftedByHostAndByKind", run: bansLifted},
	{name: "BansAreListedInPages", run: bansListed},
	{name: "SearchTakesTextAsItIs", run: bansSearched},
	{name: "OldBansAreSwept", run: bansSwept},
	{name: "EveryChangeRaisesTheVersion", run: bansVersion},
	{name: "BansMadeTogetherAreAllThere", run: bansTogether},
	{name: "WhatWasRemovedMakesRoom", run: bansRoom},
	{name: "ALoweredBoundIsReachedInSteps", run: bansLowered},
}

// noon is where the times of lists begin.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456000, time.UTC)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func ban(host string, kind store.BanKind, until time.Duration) store.BanRow {
	return store.BanRow{Host: prefix(host), Kind: kind, Reason: "too many wrong passwords", First: noon.Add(-time.Minute), Last: noon,
		Failures: 15, Until: noon.Add(until)}
}

// forever is a ban without end.
func forever(host string, kind store.BanKind) store.BanRow {
	b := ban(host, kind, 0)
	b.Until, b.Author = time.Time{}, "ann@example.test"
	return b
}

// bans are those in force at a time.
func (e *env) bans(now time.Time) []store.BanRow {
	e.t.Helper()
	rows, _, err := e.s.Bans().All(e.ctx, now)
	e.must(err)
	return rows
}

// banned are the hosts and kinds of bans, in order.
func banned(rows []store.BanRow) string {
	var all []string
	for _, b := range rows {
		all = append(all, fmt.Sprint(b.Host, " ", b.Kind))
	}
	return strings.Join(all, ", ")
}

func bansWhole(e *env) {
	b := e.s.Bans()
	want := []store.BanRow{ban("192.0.2.1/32", store.BanFailures, time.Hour), forever("198.51.100.0/24", store.BanManual),
		{Host: prefix("2001:db8:1:2::/64"), Kind: store.BanDay, Until: noon.Add(time.Hour)}}
	for _, row := range want {
		e.must(b.Put(e.ctx, row, 0))
	}
	if got := e.bans(noon); !reflect.DeepEqual(got, want) {
		e.t.Errorf("in force %+v\nwant %+v", got, want)
	}
	if got, err := b.List(e.ctx, "", "", 0); err != nil || !reflect.DeepEqual(got, want) {
		e.t.Errorf("listed %+v, %v", got, err)
	}
	e.wants(b.Put(e.ctx, store.BanRow{}, 0), store.ErrInvalid, "a ban of no host")
}

func bansReplaced(e *env) {
	b := e.s.Bans()
	for kind := store.BanFailures; kind <= store.BanManual; kind++ {
		e.must(b.Put(e.ctx, ban("192.0.2.0/24", kind, time.Hour), 1))
	}
	again := ban("192.0.2.77/24", store.BanDay, 2*time.Hour) // the same network
	again.Failures, again.Reason, again.Author = 99, "again", "bob@example.test"
	e.must(b.Put(e.ctx, again, 1))
	got := e.bans(noon)
	if banned(got) != "192.0.2.0/24 failures, 192.0.2.0/24 day, 192.0.2.0/24 manual" {
		e.t.Fatalf("in force %s", banned(got))
	}
	again.Host = prefix("192.0.2.0/24")
	if got[1] != again || got[0].Failures != 15 {
		e.t.Errorf("in force %+v", got)
	}
}

func bansEnd(e *env) {
	b := e.s.Bans()
	e.must(b.Put(e.ctx, ban("192.0.2.1/32", store.BanFailures, time.Hour), 0))
	e.must(b.Put(e.ctx, forever("192.0.2.2/32", store.BanManual), 0))
	for after, want := range map[time.Duration]string{
		time.Hour - time.Microsecond: "192.0.2.1/32 failures, 192.0.2.2/32 manual",
		time.Hour:                    "192.0.2.2/32 manual",
		100 * 365 * 24 * time.Hour:   "192.0.2.2/32 manual",
	} {
		if got := banned(e.bans(noon.Add(after))); got != want {
			e.t.Errorf("%v later: %s, want %s", after, got, want)
		}
	}
}

func bansBound(e *env) {
	b := e.s.Bans()
	e.must(b.Put(e.ctx, forever("192.0.2.9/32", store.BanManual), 3))
	for i, minutes := range []int{50, 10, 40, 20} {
		e.must(b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", i), store.BanManual, time.Duration(minutes)*time.Minute), 3))
	}
	// Each new one stays; of the others the first to end goes, those for ever last.
	if got := banned(e.bans(noon)); got != "192.0.2.0/32 manual, 192.0.2.3/32 manual, 192.0.2.9/32 manual" {
		e.t.Errorf("in force %s", got)
	}
	e.must(b.Put(e.ctx, ban("192.0.2.5/32", store.BanDay, time.Minute), 1))
	if n := len(e.bans(noon)); n != 4 {
		e.t.Errorf("%d bans: another kind counts", n)
	}
	older := forever("192.0.2.8/32", store.BanManual)
	older.Last = noon.Add(-time.Hour)
	e.must(b.Put(e.ctx, older, 0))
	e.must(b.Put(e.ctx, forever("192.0.2.7/32", store.BanManual), 2)) // a lower bound
	if got := banned(e.bans(noon)); got != "192.0.2.5/32 day, 192.0.2.7/32 manual, 192.0.2.9/32 manual" {
		e.t.Errorf("in force %s", got)
	}
	e.must(b.Put(e.ctx, ban("192.0.2.7/32", store.BanManual, time.Second), 2)) // it is there already
	if n := len(e.bans(noon)); n != 3 {
		e.t.Errorf("%d bans after one was replaced", n)
	}
}

func bansLifted(e *env) {
	b := e.s.Bans()
	fill := func() {
		for _, host := range []string{"192.0.2.1/32", "192.0.2.2/32"} {
			for kind := store.BanFailures; kind <= store.BanManual; kind++ {
				e.must(b.Put(e.ctx, ban(host, kind, time.Hour), 0))
			}
		}
	}
	fill()
	e.must(b.Lift(e.ctx, prefix("192.0.2.1/32")))
	if got := banned(e.bans(noon)); got != "192.0.2.2/32 failures, 192.0.2.2/32 day, 192.0.2.2/32 manual" {
		e.t.Errorf("in force %s", got)
	}
	for _, host := range []string{"192.0.2.1/32", "192.0.2.0/24"} {
		e.wants(b.Lift(e.ctx, prefix(host)), store.ErrNotFound, "lift %s", host)
	}
	fill()
	for _, kind := range []store.BanKind{store.BanFailures, store.BanDay} {
		if n, err := b.LiftAll(e.ctx, &kind); err != nil || n != 2 {
			e.t.Errorf("lifted %d of kind %v, %v", n, kind, err)
		}
	}
	if got := banned(e.bans(noon)); got != "192.0.2.1/32 manual, 192.0.2.2/32 manual" {
		e.t.Errorf("in force %s", got)
	}
	for _, want := range []int{2, 0} {
		if n, err := b.LiftAll(e.ctx, nil); err != nil || n != want {
			e.t.Errorf("lifted %d, %v, want %d", n, err, want)
		}
	}
}

func bansListed(e *env) {
	b := e.s.Bans()
	for i := range 5 {
		for kind := store.BanFailures; kind <= store.BanManual; kind++ {
			e.must(b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", i), kind, -time.Hour), 0)) // ended ones are listed
		}
	}
	var seen []store.BanRow
	for after, pages := "", 0; ; pages++ {
		page, err := b.List(e.ctx, "", after, 2)
		e.must(err)
		if len(page) == 0 {
			break
		}
		if len(page) > 6 || pages > 5 {
			e.t.Fatalf("page %d has %d bans", pages, len(page))
		}
		seen = append(seen, page...)
		after = page[len(page)-1].Host.String()
	}
	if len(seen) != 15 {
		e.t.Fatalf("pages had %d bans", len(seen))
	}
	for i, row := range seen {
		if row.Host.Addr().As4()[3] != byte(i/3) || row.Kind != store.BanKind(i%3) {
			e.t.Errorf("place %d has %v %v", i, row.Host, row.Kind)
		}
	}
}

// searches are texts of which each is found by itself alone, in a list where
// every entry has one of them.
var searches = []string{"100%", "100 of 100", "a_b", "axb", `back\slash`, "wow!", "wow", "o'brien", `"quoted"`, "?1", "größe"}

// finds counts in how many of the searches the text is.
func finds(text string) (n int) {
	for _, s := range searches {
		if strings.Contains(strings.ToLower(s), strings.ToLower(text)) {
			n++
		}
	}
	return n
}

func bansSearched(e *env) {
	b := e.s.Bans()
	for i, text := range searches {
		row := ban(fmt.Sprintf("192.0.2.%d/32", 100+i), store.BanManual, time.Hour)
		row.Reason = "because " + text
		e.must(b.Put(e.ctx, row, 0))
	}
	row := ban("198.51.100.7/32", store.BanManual, time.Hour)
	row.Reason, row.Author = "", "Ann@example.test"
	e.must(b.Put(e.ctx, row, 0))
	for _, text := range append([]string{"%", "_", "!", "WOW", "O'B"}, searches...) {
		if got, err := b.List(e.ctx, text, "", 0); err != nil || len(got) != finds(text) {
			e.t.Errorf("%q finds %s, %v; want %d", text, banned(got), err, finds(text))
		}
	}
	for _, text := range []string{"198.51", "aNN@"} {
		if got, err := b.List(e.ctx, text, "", 0); err != nil || banned(got) != "198.51.100.7/32 manual" {
			e.t.Errorf("%q finds %s, %v", text, banned(got), err)
		}
	}
	if got, err := b.List(e.ctx, "because", "192.0.2.101/32", 2); err != nil || banned(got) != "192.0.2.102/32 manual, 192.0.2.103/32 manual" {
		e.t.Errorf("a page of a search: %s, %v", banned(got), err)
	}
}

func bansSwept(e *env) {
	b := e.s.Bans()
	for i, until := range []time.Duration{-time.Hour, -time.Microsecond, 0, time.Hour} {
		e.must(b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", i), store.BanKind(i%3), until), 0))
	}
	e.must(b.Put(e.ctx, forever("192.0.2.9/32", store.BanManual), 0))
	for _, want := range []int{2, 0} {
		if n, err := b.Sweep(e.ctx, noon); err != nil || n != want {
			e.t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	got, err := b.List(e.ctx, "", "", 0)
	if err != nil || banned(got) != "192.0.2.2/32 manual, 192.0.2.3/32 failures, 192.0.2.9/32 manual" {
		e.t.Errorf("left %s, %v", banned(got), err)
	}
}

// versions is what lists have that tell of their changes.
type versions struct {
	e       *env
	version func() int64
	changed <-chan struct{}
}

// raised runs a change, which must succeed, and sees that it is told of.
func (v versions) raised(what string, change func() error) {
	v.e.t.Helper()
	old := v.version()
	v.e.must(change())
	if now := v.version(); now <= old {
		v.e.t.Errorf("%s: version %d after %d", what, now, old)
	}
	select {
	case <-v.changed:
	case <-time.After(time.Second):
		v.e.t.Errorf("%s woke nobody", what)
	}
}

// same runs what must not change the version.
func (v versions) same(what string, f func()) {
	v.e.t.Helper()
	old := v.version()
	f()
	if now := v.version(); now != old {
		v.e.t.Errorf("%s: version %d after %d", what, now, old)
	}
}

func bansVersion(e *env) {
	b := e.s.Bans()
	v := versions{e: e, changed: b.Changed(), version: func() int64 {
		n, err := b.Version(e.ctx)
		e.must(err)
		_, m, err := b.All(e.ctx, noon)
		if e.must(err); n != m {
			e.t.Errorf("version %d, and %d with the bans", n, m)
		}
		return n
	}}
	if n := v.version(); n != 0 {
		e.t.Errorf("version %d at first", n)
	}
	row := ban("192.0.2.1/32", store.BanDay, time.Hour)
	put := func() error { return b.Put(e.ctx, row, 0) }
	v.raised("Put", put)
	v.same("a failed Lift", func() { e.wants(b.Lift(e.ctx, prefix("192.0.2.2/32")), store.ErrNotFound, "lift") })
	v.raised("Lift", func() error { return b.Lift(e.ctx, row.Host) })
	v.raised("Put", put)
	v.raised("LiftAll", func() error { _, err := b.LiftAll(e.ctx, nil); return err })
	v.raised("Put", put)
	v.same("a sweep of nothing", func() { _, err := b.Sweep(e.ctx, noon); e.must(err) })
	v.raised("Sweep", func() error { _, err := b.Sweep(e.ctx, noon.Add(2*time.Hour)); return err })
}

func bansTogether(e *env) {
	b := e.s.Bans()
	e.must(together(20, func(i int) error {
		return b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", i%10), store.BanFailures, time.Duration(i)*time.Minute), 5)
	}))
	if n := len(e.bans(noon.Add(-time.Hour))); n != 5 {
		e.t.Errorf("%d bans, want 5", n)
	}
	if v, err := b.Version(e.ctx); err != nil || v != 20 {
		e.t.Errorf("version %d, %v", v, err)
	}
}

// A live ban never goes for a new one while there is room: what was lifted,
// swept or replaced does not count any more.
func bansRoom(e *env) {
	b := e.s.Bans()
	kind := store.BanDay
	fill := func() {
		e.t.Helper()
		for i := range 3 {
			for range 2 { // the second replaces the first
				e.must(b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", i), kind, time.Hour), 3))
			}
		}
		if n := len(e.bans(noon)); n != 4 {
			e.t.Errorf("%d bans, want all 4", n)
		}
	}
	e.must(b.Put(e.ctx, ban("192.0.2.1/32", store.BanFailures, 10*time.Hour), 1))
	fill()
	for _, host := range []string{"192.0.2.0/32", "192.0.2.2/32"} {
		e.must(b.Lift(e.ctx, prefix(host)))
	}
	fill()
	_, err := b.LiftAll(e.ctx, &kind)
	e.must(err)
	fill()
	if n, err := b.Sweep(e.ctx, noon.Add(2*time.Hour)); err != nil || n != 3 {
		e.t.Errorf("swept %d, %v", n, err)
	}
	fill()
	_, err = b.LiftAll(e.ctx, nil)
	e.must(err)
	e.must(b.Put(e.ctx, ban("192.0.2.1/32", store.BanFailures, 10*time.Hour), 1))
	fill()
	e.must(b.Put(e.ctx, ban("192.0.2.9/32", kind, 2*time.Hour), 3))
	if n := len(e.bans(noon)); n != 4 {
		e.t.Errorf("%d bans with one more, want 4", n)
	}
}

func bansLowered(e *env) {
	b := e.s.Bans()
	const all = 1200
	e.must(together(all, func(i int) error {
		return b.Put(e.ctx, ban(fmt.Sprintf("10.0.%d.%d/32", i>>8, i&255), store.BanDay, time.Duration(i+1)*time.Minute), 0)
	}))
	for _, want := range []int{all + 1 - 1000, 100, 100} {
		e.must(b.Put(e.ctx, ban(fmt.Sprintf("192.0.2.%d/32", want), store.BanDay, time.Hour*1000), 100))
		if n := len(e.bans(noon)); n != want {
			e.t.Errorf("%d bans, want %d", n, want)
		}
	}
}
