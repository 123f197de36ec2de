package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var reportTests = []test{
	{name: "ReportsComeBackWhole", run: reportsWhole},
	{name: "AReportIsKeptOnce", run: reportsOnce},
	{name: "ReportsAreListedNewestFirst", run: reportsListed},
	{name: "EqualCombinationsAddUp", run: seenAddsUp},
	{name: "EveryColumnMakesAnotherCombination", run: seenApart},
	{name: "TheBoundOfADayKeepsNewOnesOut", run: seenBound},
	{name: "TheBoundHoldsForNotesMadeTogether", run: seenTogether},
	{name: "OldReportsAndDaysAreSwept", run: reportsSwept},
	{name: "ADayIsSweptInSteps", run: seenSteps},
	{name: "ADayThatWasSweptHasRoomAgain", run: seenRoomAgain},
	{name: "ALongReportIsSweptInSteps", run: reportSteps},
	{name: "BeyondTheBoundOfRowsTheOldestReportsGo", run: reportRowsBound},
}

func report(id string) store.DMARCReport {
	return store.DMARCReport{Domain: domain, Organization: "Example Größe", Email: "dmarc@reporter.test", ReportID: id,
		Begin: noon.Add(-36 * time.Hour), End: noon.Add(-12 * time.Hour), Received: noon, Policy: "p=reject; sp=none",
		Rows: []store.DMARCRow{
			{Source: netip.MustParseAddr("2001:db8::1"), Count: 1 << 40, Disposition: "reject", DKIM: "fail", SPF: "pass", HeaderFrom: domain, Detail: "dkim=fail"},
			{Source: netip.MustParseAddr("192.0.2.1"), Count: 2, Disposition: "none", DKIM: "pass", SPF: "fail"},
			{},
		}}
}

func reportsWhole(e *env) {
	r := e.s.Reports()
	var err error
	want, plain := report("one"), store.DMARCReport{ReportID: "two"}
	want.ID, err = r.AddDMARC(e.ctx, want)
	e.must(err)
	plain.ID, err = r.AddDMARC(e.ctx, plain)
	e.must(err)
	for _, want := range []store.DMARCReport{want, plain} {
		if got, err := r.DMARC(e.ctx, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			e.t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
	}
	_, err = r.DMARC(e.ctx, plain.ID+1<<40)
	e.wants(err, store.ErrNotFound, "read a report nobody sent")
}

func reportsOnce(e *env) {
	r := e.s.Reports()
	id, err := r.AddDMARC(e.ctx, report("one"))
	e.must(err)
	again := report("one")
	again.Rows, again.Policy = again.Rows[:1], "p=none"
	_, err = r.AddDMARC(e.ctx, again)
	e.wants(err, store.ErrExists, "the report again")
	if got, err := r.DMARC(e.ctx, id); err != nil || len(got.Rows) != 3 || got.Policy != "p=reject; sp=none" {
		e.t.Errorf("%+v, %v", got, err)
	}
	for _, change := range []func(*store.DMARCReport){
		func(r *store.DMARCReport) { r.ReportID = "ONE" },
		func(r *store.DMARCReport) { r.Domain = "other.test" },
		func(r *store.DMARCReport) { r.Organization = "other" },
	} {
		other := report("one")
		change(&other)
		_, err := r.AddDMARC(e.ctx, other)
		e.must(err)
	}
	var won atomic.Int64
	e.must(together(8, func(int) error {
		_, err := r.AddDMARC(e.ctx, report("race"))
		if err == nil {
			won.Add(1)
		} else if errors.Is(err, store.ErrExists) {
			err = nil
		}
		return err
	}))
	if all, err := r.ListDMARC(e.ctx, "", 0, 0); err != nil || len(all) != 5 || won.Load() != 1 {
		e.t.Errorf("%d reports, %d won, %v", len(all), won.Load(), err)
	}
}

func reportsListed(e *env) {
	r := e.s.Reports()
	ids := map[string]int64{}
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		row := report(id)
		row.Domain = []string{"one.test", "two.test"}[i%2]
		var err error
		ids[id], err = r.AddDMARC(e.ctx, row)
		e.must(err)
	}
	for _, one := range []struct {
		domain, before string
		limit          int
		want           string
	}{{"", "", 0, "edcba"}, {"", "", 2, "ed"}, {"", "d", 2, "cb"}, {"one.test", "", 0, "eca"}, {"one.test", "e", 1, "c"}, {"far.test", "", 0, ""}} {
		got, err := r.ListDMARC(e.ctx, one.domain, ids[one.before], one.limit)
		var names []string
		for _, row := range got {
			names = append(names, row.ReportID)
			if row.Rows != nil || row.ID != ids[row.ReportID] || !row.Received.Equal(noon) {
				e.t.Errorf("%+v", row)
			}
		}
		if strings.Join(names, "") != one.want || err != nil {
			e.t.Errorf("%+v: %s, %v", one, names, err)
		}
	}
}

func seen() store.DMARCSeen {
	return store.DMARCSeen{Day: noon.Truncate(24 * time.Hour), Domain: domain, Source: netip.MustParseAddr("192.0.2.1"), HeaderFrom: domain,
		EnvelopeFrom: "bounce.example.test", Disposition: "none", Override: "mailing_list", DKIM: "pass", SPF: "fail",
		DKIMDomain: domain, DKIMSelector: "s1", DKIMRaw: "pass", SPFDomain: "bounce.example.test", SPFRaw: "softfail", Policy: "v=DMARC1; p=none", Count: 1}
}

// material is what there is of a day.
func (e *env) material(day time.Time, of string) []store.DMARCSeen {
	e.t.Helper()
	got, err := e.s.Reports().Seen(e.ctx, day, of, 0)
	e.must(err)
	return got
}

func seenAddsUp(e *env) {
	r := e.s.Reports()
	one, late, other, tomorrow := seen(), seen(), seen(), seen()
	late.Day, late.Count = noon, 10 // the same day
	other.Domain, other.Count = "a.test", 3
	tomorrow.Day, tomorrow.Count = one.Day.Add(24*time.Hour), 5
	e.must(r.Note(e.ctx, nil, 0))
	e.must(r.Note(e.ctx, []store.DMARCSeen{one, other, tomorrow, late}, 0))
	e.must(r.Note(e.ctx, []store.DMARCSeen{late}, 0))
	one.Count = 21
	for _, c := range []struct {
		day  time.Time
		of   string
		want []store.DMARCSeen
	}{
		{noon, "", []store.DMARCSeen{other, one}}, {noon, domain, []store.DMARCSeen{one}}, {noon, "b.test", nil},
		{tomorrow.Day, "", []store.DMARCSeen{tomorrow}}, {noon.Add(-24 * time.Hour), "", nil},
	} {
		if got := e.material(c.day, c.of); !reflect.DeepEqual(got, c.want) {
			e.t.Errorf("%v %s: %+v\nwant %+v", c.day, c.of, got, c.want)
		}
	}
	if got, err := r.Seen(e.ctx, noon, "", 1); err != nil || !reflect.DeepEqual(got, []store.DMARCSeen{other}) {
		e.t.Errorf("at most one: %+v, %v", got, err)
	}
}

func seenApart(e *env) {
	want := []store.DMARCSeen{seen()}
	v := reflect.ValueOf(seen())
	for i := range v.NumField() {
		d := seen()
		switch field := reflect.ValueOf(&d).Elem().Field(i).Addr().Interface().(type) {
		case *string:
			*field += "x"
		case *netip.Addr:
			*field = netip.Addr{}
		default:
			continue // Day and Count
		}
		want = append(want, d)
	}
	// What ends one text may begin the next.
	d := seen()
	d.DKIM, d.SPF = "pas", "sfail"
	want = append(want, d)
	e.must(e.s.Reports().Note(e.ctx, want, 0))
	for _, of := range []string{domain, domain + "x"} {
		for _, d := range e.material(noon, of) {
			i := slices.Index(want, d)
			if i < 0 {
				e.t.Fatalf("%+v was not noted so", d)
			}
			want = slices.Delete(want, i, i+1)
		}
	}
	if len(want) != 0 {
		e.t.Errorf("missing: %+v", want)
	}
}

func seenBound(e *env) {
	r := e.s.Reports()
	from := func(i int) store.DMARCSeen {
		d := seen()
		d.Source = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		return d
	}
	var four []store.DMARCSeen
	for i := range 4 {
		four = append(four, from(i))
	}
	e.must(r.Note(e.ctx, four, 5))
	next := from(100)
	next.Day = next.Day.Add(24 * time.Hour)
	e.must(r.Note(e.ctx, []store.DMARCSeen{from(0), from(7), from(1), from(8), from(2), from(9), from(3), next}, 5))
	got := e.material(noon, "")
	counts := map[int64]int{}
	for _, d := range got {
		counts[d.Count]++
	}
	if len(got) != 5 || counts[2] != 4 || counts[1] != 1 {
		e.t.Errorf("of 7 combinations there are %+v", got)
	}
	if n := len(e.material(next.Day, "")); n != 1 {
		e.t.Errorf("%d of the next day", n)
	}
	e.must(r.Note(e.ctx, []store.DMARCSeen{from(50), from(51)}, 5))
	if n := len(e.material(noon, "")); n != 5 {
		e.t.Errorf("%d when it was full", n)
	}
}

func seenTogether(e *env) {
	r := e.s.Reports()
	e.must(together(8, func(i int) error {
		var all []store.DMARCSeen
		for j := range 10 {
			d := seen()
			d.Source = netip.AddrFrom4([4]byte{192, 0, byte(j % 5 * i), byte(j)})
			all = append(all, d)
		}
		if i%2 == 1 {
			slices.Reverse(all)
		}
		return r.Note(e.ctx, all, 20)
	}))
	var total int64
	got := e.material(noon, "")
	for _, d := range got {
		total += d.Count
	}
	if len(got) != 20 || total < 20 || total > 80 {
		e.t.Errorf("%d combinations, %d messages", len(got), total)
	}
}

func reportsSwept(e *env) {
	r := e.s.Reports()
	var ids []int64
	for i := range 5 {
		row := report(fmt.Sprint(i))
		row.Received = noon.Add(time.Duration(i) * time.Hour)
		id, err := r.AddDMARC(e.ctx, row)
		e.must(err)
		ids = append(ids, id)
	}
	for i := range 4 {
		d := seen()
		d.Day = d.Day.Add(time.Duration(i-2) * 24 * time.Hour)
		e.must(r.Note(e.ctx, []store.DMARCSeen{d}, 0))
	}
	// Two reports, and the days before yesterday and yesterday.
	for _, want := range []int{4, 0} {
		if n, more, err := r.SweepReports(e.ctx, noon.Add(2*time.Hour), noon.Add(2*time.Hour), 0); err != nil || n != want || more {
			e.t.Errorf("swept %d, %v, %v, want %d", n, more, err, want)
		}
	}
	for i, id := range ids {
		if got, err := r.DMARC(e.ctx, id); i >= 2 && (err != nil || len(got.Rows) != 3) || i < 2 && !errors.Is(err, store.ErrNotFound) {
			e.t.Errorf("report %d: %+v, %v", i, got, err)
		}
	}
	if len(e.material(noon, "")) != 1 || len(e.material(noon.Add(-24*time.Hour), "")) != 0 {
		e.t.Error("the wrong days are gone")
	}
	again, err := r.AddDMARC(e.ctx, report("0"))
	if err != nil || again <= ids[4] {
		e.t.Errorf("id %d, %v", again, err)
	}
	over := e.material(noon, "")[0].Day.Add(24 * time.Hour)
	if n, _, err := r.SweepReports(e.ctx, over, over.Add(-time.Hour), 0); err != nil || n != 4 {
		e.t.Errorf("swept %d, %v; four reports are old, no day is over", n, err)
	}
	if n, _, err := r.SweepReports(e.ctx, noon.Add(-time.Hour), over, 0); err != nil || n != 1 {
		e.t.Errorf("swept %d, %v; the day was over", n, err)
	}
}

func seenSteps(e *env) {
	r := e.s.Reports()
	const n = 2500
	var all []store.DMARCSeen
	for i := range n + 7 {
		d := seen()
		d.Source = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		if i >= n {
			d.Day = d.Day.Add(24 * time.Hour)
		}
		all = append(all, d)
	}
	e.must(r.Note(e.ctx, all, 0))
	removed := 0
	for more := true; more; {
		some, again, err := r.SweepReports(e.ctx, noon, noon.Add(24*time.Hour), 0)
		e.must(err)
		removed, more = removed+some, again
		if some > 1000 {
			e.t.Errorf("a step removed %d", some)
		}
	}
	if left := len(e.material(noon.Add(24*time.Hour), "")); removed != n || left != 7 {
		e.t.Errorf("removed %d, left %d of the next day", removed, left)
	}
}

func seenRoomAgain(e *env) {
	r := e.s.Reports()
	two := []store.DMARCSeen{seen(), seen()}
	two[1].Domain = "other.test"
	for range 2 {
		e.must(r.Note(e.ctx, two, 2))
		if n := len(e.material(noon, "")); n != 2 {
			e.t.Errorf("%d combinations", n)
		}
		n, _, err := r.SweepReports(e.ctx, noon, noon.Add(48*time.Hour), 0)
		if e.must(err); n != 2 {
			e.t.Errorf("swept %d", n)
		}
	}
}

// longReport has so many rows.
func longReport(id string, received time.Time, rows int) store.DMARCReport {
	r := report(id)
	r.Received, r.Rows = received, make([]store.DMARCRow, rows)
	return r
}

// sweepAll sweeps to the end and returns the reports and combinations removed,
// and how many steps it took.
func (e *env) sweepAll(received time.Time, mostRows int) (removed, steps int) {
	e.t.Helper()
	for more := true; more; steps++ {
		n, again, err := e.s.Reports().SweepReports(e.ctx, received, noon.Add(-72*time.Hour), mostRows)
		e.must(err)
		removed, more = removed+n, again
		if steps > 100 {
			e.t.Fatal("the sweep has no end")
		}
	}
	return removed, steps
}

func reportSteps(e *env) {
	r := e.s.Reports()
	old, err := r.AddDMARC(e.ctx, longReport("old", noon, 2500))
	e.must(err)
	young, err := r.AddDMARC(e.ctx, longReport("young", noon.Add(time.Hour), 7))
	e.must(err)
	if n, more, err := r.SweepReports(e.ctx, noon.Add(time.Minute), noon.Add(-72*time.Hour), 0); err != nil || n != 1 || !more {
		e.t.Errorf("the first step removed %d, more %v, %v", n, more, err)
	}
	_, err = r.DMARC(e.ctx, old)
	e.wants(err, store.ErrNotFound, "a report half removed")
	if list, err := r.ListDMARC(e.ctx, "", 0, 0); err != nil || len(list) != 1 || list[0].ID != young {
		e.t.Errorf("listed %+v, %v", list, err)
	}
	if n, steps := e.sweepAll(noon.Add(time.Minute), 0); n != 0 || steps < 2 {
		e.t.Errorf("then %d in %d steps", n, steps)
	}
	again, err := r.AddDMARC(e.ctx, longReport("old", noon, 3)) // its name is free
	e.must(err)
	for id, want := range map[int64]int{young: 7, again: 3} {
		if got, err := r.DMARC(e.ctx, id); err != nil || len(got.Rows) != want {
			e.t.Errorf("%d rows, %v, want %d", len(got.Rows), err, want)
		}
	}
}

func reportRowsBound(e *env) {
	r := e.s.Reports()
	for i, rows := range []int{300, 10, 20, 30, 600} {
		_, err := r.AddDMARC(e.ctx, longReport(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Hour), rows))
		e.must(err)
	}
	for _, step := range []struct {
		most, removed int
		left          string
	}{{960, 0, "4 3 2 1 0"}, {959, 1, "4 3 2 1"}, {660, 0, "4 3 2 1"}, {650, 1, "4 3 2"}, {649, 1, "4 3"}, {1, 2, ""}, {1, 0, ""}} {
		n, _ := e.sweepAll(time.Time{}, step.most)
		list, err := r.ListDMARC(e.ctx, "", 0, 0)
		e.must(err)
		var left []string
		for _, one := range list {
			left = append(left, one.ReportID)
		}
		if got := strings.Join(left, " "); n != step.removed || got != step.left {
			e.t.Errorf("at most %d rows: removed %d, left %s; want %d, %s", step.most, n, got, step.removed, step.left)
		}
	}
}
