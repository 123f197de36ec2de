package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var greylistTests = []test{
	{name: "AttemptsPassByTheTable", run: greylistTable},
	{name: "AConfirmationEndsByTheRules", run: greylistExpiry},
	{name: "AnEntryTellsOfTheLastAttempt", run: greylistWhole},
	{name: "AClockSetBackLocksNobodyOut", run: greylistClock},
	{name: "OfFirstAttemptsTogetherNonePasses", run: greylistTogether},
	{name: "ConfirmLetsAClientInNow", run: greylistConfirm},
	{name: "PassesAreAddedToConfirmedClients", run: greylistPassed},
	{name: "RemovedAndResetClientsAreUnknown", run: greylistRemoved},
	{name: "BeyondTheBoundTheOldestUnconfirmedGo", run: greylistBound},
	{name: "ACrowdKeepsNoTexts", run: greylistCrowd},
	{name: "SweepRemovesWhatIsOver", run: greylistSwept},
	{name: "SweepRemovesWhatIsTooMuch", run: greylistShrunk},
	{name: "SweepGoesInSteps", run: greylistSteps},
}

const (
	interval = time.Minute
	wait     = 8 * time.Hour
	expiry   = 72 * time.Hour
	tick     = time.Microsecond // the resolution of a store
)

var rules = store.GreylistRules{Interval: interval, Wait: wait, Expiry: expiry}

// client is an attempt of a client.
func client(key string) store.GreylistRow {
	return store.GreylistRow{Key: key, Sender: "ann@example.test", Recipient: "bob@one.test", Helo: "mx.example.test"}
}

// attempt notes an attempt so long after noon and returns how long the client
// has to wait.
func (e *env) attempt(key string, after time.Duration, r store.GreylistRules) time.Duration {
	e.t.Helper()
	row, wait, err := e.s.Greylist().Attempt(e.ctx, client(key), noon.Add(after), r)
	e.must(err)
	if got := e.entry(key); got != row {
		e.t.Errorf("%s: Attempt returned %+v\nstored is %+v", key, row, got)
	}
	if passed := !row.Confirmed.IsZero(); passed != (wait == 0) {
		e.t.Errorf("%s: wait %v, entry %+v", key, wait, row)
	}
	return wait
}

func (e *env) entry(key string) store.GreylistRow {
	e.t.Helper()
	row, err := e.s.Greylist().Get(e.ctx, key)
	e.must(err)
	return row
}

// tries are attempts of one client: when, and how long it must wait then.
type tries []struct{ after, wait time.Duration }

// check runs the attempts of one client.
func (list tries) check(e *env, name string, r store.GreylistRules) {
	e.t.Helper()
	for _, a := range list {
		if got := e.attempt(name, a.after, r); got != a.wait {
			e.t.Errorf("%s, %v after the first: wait %v, want %v", name, a.after, got, a.wait)
		}
	}
}

// The rows of the table in requirements.md 1.11, each with its bounds.
func greylistTable(e *env) {
	for name, list := range map[string]tries{
		"unknown":                 {{0, interval}},
		"early":                   {{0, interval}, {time.Second, interval - time.Second}, {30 * time.Second, 30 * time.Second}},
		"early to the last":       {{0, interval}, {interval - tick, tick}, {interval, 0}},
		"in time":                 {{0, interval}, {interval, 0}},
		"at the last moment":      {{0, interval}, {wait, 0}},
		"too late":                {{0, interval}, {wait + tick, interval}, {wait + tick + interval - tick, tick}, {wait + tick + interval, 0}},
		"early, then too late":    {{0, interval}, {interval / 2, interval / 2}, {wait + tick, interval}},
		"confirmed":               {{0, interval}, {interval, 0}, {interval, 0}, {wait, 0}, {wait + time.Hour, 0}},
		"confirmed to the last":   {{0, interval}, {interval, 0}, {interval + expiry, 0}},
		"confirmed and expired":   {{0, interval}, {interval, 0}, {interval + expiry + tick, interval}, {interval + expiry + interval, tick}, {interval + expiry + tick + interval, 0}},
		"expired, then too late":  {{0, interval}, {interval, 0}, {2 * expiry, interval}, {2*expiry + wait + tick, interval}},
		"expired, then confirmed": {{0, interval}, {interval, 0}, {2 * expiry, interval}, {2*expiry + wait, 0}, {3*expiry + wait, 0}, {3*expiry + wait + tick, interval}},
	} {
		list.check(e, name, rules)
	}
	none := rules
	none.Interval = 0
	if got := e.attempt("no interval", 0, none); got <= 0 {
		e.t.Errorf("a first attempt passes: wait %v", got)
	}
	tries{{0, 0}}.check(e, "no interval", none)
	_, _, err := e.s.Greylist().Attempt(e.ctx, store.GreylistRow{}, noon, rules)
	e.wants(err, store.ErrInvalid, "an attempt of nobody")
}

func greylistExpiry(e *env) {
	const confirmed = 2 * time.Hour
	begin := tries{{0, interval}, {confirmed, 0}}
	for name, c := range map[string]struct {
		renew, fromFirst bool
		list             tries
	}{
		"from confirmation":      {list: tries{{expiry + tick, 0}, {expiry + confirmed, 0}, {expiry + confirmed + tick, interval}}},
		"from the first":         {fromFirst: true, list: tries{{expiry, 0}, {expiry + tick, interval}}},
		"renewed":                {renew: true, list: tries{{confirmed + expiry, 0}, {confirmed + 2*expiry, 0}, {confirmed + 3*expiry + tick, interval}}},
		"renewed, not the first": {renew: true, fromFirst: true, list: tries{{confirmed + expiry, 0}, {confirmed + 2*expiry + tick, interval}}},
	} {
		r := rules
		r.Renew, r.FromFirst = c.renew, c.fromFirst
		begin.check(e, name, r)
		c.list.check(e, name, r)
	}
}

func greylistWhole(e *env) {
	g := e.s.Greylist()
	try := func(sender string, after time.Duration, want store.GreylistRow) {
		e.t.Helper()
		a := client("2001:db8::/64")
		a.Sender, a.Deferred, a.First = sender, 99, noon // only the key and the texts count
		_, _, err := g.Attempt(e.ctx, a, noon.Add(after), rules)
		e.must(err)
		want.Key, want.Sender, want.Recipient, want.Helo, want.Last = a.Key, sender, a.Recipient, a.Helo, noon.Add(after)
		if got := e.entry(a.Key); got != want {
			e.t.Errorf("%v later: %+v\nwant %+v", after, got, want)
		}
	}
	_, err := g.Get(e.ctx, "2001:db8::/64")
	e.wants(err, store.ErrNotFound, "get a client nobody saw")
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	try("a", 0, store.GreylistRow{First: noon, Deferred: 1})
	try("b", 5*time.Second, store.GreylistRow{First: noon, Deferred: 2})
	late := wait + time.Hour
	try("c", late, store.GreylistRow{First: at(late), Deferred: 1}) // a new one
	in := late + time.Hour
	try("größe", in, store.GreylistRow{First: at(late), Confirmed: at(in), Deferred: 1, Passed: 1})
	try("", in+time.Hour, store.GreylistRow{First: at(late), Confirmed: at(in), Deferred: 1, Passed: 2})
	again := in + 2*expiry
	try("f", again, store.GreylistRow{First: at(again), Deferred: 2, Passed: 2}) // the same once more

	long := client("192.0.2.1")
	long.Sender, long.Helo = strings.Repeat("ä", 200), strings.Repeat("x", 64)+"y"
	row, _, err := g.Attempt(e.ctx, long, noon, rules)
	if err != nil || row.Sender != strings.Repeat("ä", 32) || row.Helo != strings.Repeat("x", 64) {
		e.t.Errorf("%+v, %v", row, err)
	}
	long.Sender, long.Helo = "x"+strings.Repeat("ä", 200), "\xff\x00"
	if row, _, err = g.Attempt(e.ctx, long, noon, rules); err != nil || row.Sender != "x"+strings.Repeat("ä", 31) || row.Helo != "\xff\x00" {
		e.t.Errorf("%+v, %v", row, err)
	}
	if got := e.entry(long.Key); got != row {
		e.t.Errorf("stored %+v, want %+v", got, row)
	}
}

func greylistClock(e *env) {
	const year = 365 * 24 * time.Hour
	tries{{year, interval}, {0, interval}, {interval - tick, tick}, {interval, 0}}.check(e, "unconfirmed", rules)
	tries{{year, interval}, {year + interval, 0}, {0, 0}, {expiry, 0}, {expiry + tick, interval}}.check(e, "confirmed", rules)
	renew := rules
	renew.Renew = true
	tries{{year, interval}, {year + interval, 0}, {0, 0}, {expiry + tick, interval}}.check(e, "renewed", renew)
}

func greylistTogether(e *env) {
	g := e.s.Greylist()
	for round := range e.o.size(2, 5, 50) {
		key := fmt.Sprint("192.0.2.", round)
		both := func(after time.Duration) (passed int64) {
			var n atomic.Int64
			e.must(together(8, func(int) error {
				_, wait, err := g.Attempt(e.ctx, client(key), noon.Add(after), rules)
				if wait == 0 {
					n.Add(1)
				}
				return err
			}))
			return n.Load()
		}
		if n := both(0); n != 0 {
			e.t.Errorf("%d first attempts passed", n)
		}
		if n := both(interval); n != 8 {
			e.t.Errorf("%d of 8 retries passed", n)
		}
		if got := e.entry(key); got.Deferred != 8 || got.Passed != 8 || !got.Confirmed.Equal(noon.Add(interval)) {
			e.t.Errorf("%+v", got)
		}
	}
}

func greylistConfirm(e *env) {
	g := e.s.Greylist()
	for name, r := range map[string]store.GreylistRules{
		"from confirmation": rules,
		"from the first":    {Interval: interval, Wait: wait, Expiry: expiry, FromFirst: true},
		"renewed":           {Interval: interval, Wait: wait, Expiry: expiry, Renew: true},
	} {
		for _, known := range []bool{false, true} {
			key := fmt.Sprint(name, known)
			if known {
				e.attempt(key, -2*expiry, r)
			}
			e.must(g.Confirm(e.ctx, key, noon))
			if got := e.entry(key); !got.Confirmed.Equal(noon) || !got.First.Equal(noon) || known && (got.Deferred != 1 || got.Sender == "") {
				e.t.Errorf("%s: %+v", key, got)
			}
			tries{{expiry, 0}}.check(e, key, r)
			if r.Renew {
				tries{{2 * expiry, 0}, {3*expiry + tick, interval}}.check(e, key, r)
			} else {
				tries{{expiry + tick, interval}}.check(e, key, r)
			}
		}
	}
	e.must(g.Confirm(e.ctx, "never came", noon))
	renew := rules
	renew.Renew = true
	tries{{expiry + tick, interval}}.check(e, "never came", renew)
	e.wants(g.Confirm(e.ctx, "", noon), store.ErrInvalid, "confirm nobody")
}

func greylistRemoved(e *env) {
	g := e.s.Greylist()
	tries{{0, interval}, {interval, 0}}.check(e, "one", rules)
	e.attempt("two", 0, rules)
	e.must(g.Remove(e.ctx, "one"))
	e.wants(g.Remove(e.ctx, "one"), store.ErrNotFound, "remove it again")
	tries{{interval, interval}, {2 * interval, 0}}.check(e, "one", rules)
	e.counts(2, 1)
	for _, want := range []int{2, 0} {
		if n, err := g.Reset(e.ctx); err != nil || n != want {
			e.t.Errorf("forgot %d, %v, want %d", n, err, want)
		}
	}
	e.counts(0, 0)
	tries{{interval, interval}}.check(e, "two", rules)
}

// counts sees how many entries there are.
func (e *env) counts(total, confirmed int64) {
	e.t.Helper()
	n, c, err := e.s.Greylist().Count(e.ctx)
	if err != nil || n != total || c != confirmed {
		e.t.Errorf("%d entries, %d confirmed, %v; want %d and %d", n, c, err, total, confirmed)
	}
}

// keys are those of all entries.
func (e *env) keys() string {
	e.t.Helper()
	page, err := e.s.Greylist().List(e.ctx, store.GreylistFilter{Limit: 1000})
	e.must(err)
	return keysOf(page.Rows)
}

func keysOf(rows []store.GreylistRow) string {
	var all []string
	for _, g := range rows {
		all = append(all, g.Key)
	}
	return strings.Join(all, " ")
}

func greylistBound(e *env) {
	r := rules
	r.Most = 4
	tries{{0, interval}, {interval, 0}}.check(e, "a", r)
	tries{{0, interval}, {interval + time.Second, 0}}.check(e, "b", r)
	for i, key := range []string{"f", "e", "d", "c"} { // the oldest unconfirmed go
		e.attempt(key, time.Duration(i+2)*interval, r)
	}
	if got := e.keys(); got != "a b c d" {
		e.t.Errorf("left %s", got)
	}
	tries{{10 * interval, 0}}.check(e, "c", r)
	tries{{10 * interval, 0}}.check(e, "d", r)
	tries{{11 * interval, 0}}.check(e, "a", r)
	e.attempt("g", 12*interval, r) // all are confirmed: the one not seen for longest goes
	if got := e.keys(); got != "a c d g" {
		e.t.Errorf("left %s", got)
	}
	e.attempt("h", 12*interval, r)
	if got := e.keys(); got != "a c d h" {
		e.t.Errorf("left %s", got)
	}
}

func greylistCrowd(e *env) {
	r := rules
	r.Most = 12
	for i, want := range []bool{true, true, true, false, false} {
		key := fmt.Sprint(i)
		e.attempt(key, 0, r)
		if got := e.entry(key); (got.Sender != "") != want || (got.Recipient != "") != want || (got.Helo != "") != want {
			e.t.Errorf("entry %d: %+v", i, got)
		}
	}
}

// sweep sweeps to the end.
func (e *env) sweep(after time.Duration, r store.GreylistRules) (removed int) {
	e.t.Helper()
	for range 1000 {
		n, more, err := e.s.Greylist().Sweep(e.ctx, noon.Add(after), r)
		e.must(err)
		if removed += n; !more {
			return removed
		}
	}
	e.t.Fatal("sweeping does not end")
	return 0
}

func greylistSwept(e *env) {
	for name, c := range map[string]struct {
		renew, fromFirst bool
		ends             time.Duration // of the client confirmed after an hour and seen after two
	}{"confirmation": {ends: time.Hour + expiry}, "first": {fromFirst: true, ends: expiry}, "renewed": {renew: true, ends: 2*time.Hour + expiry}} {
		r := rules
		r.Renew, r.FromFirst = c.renew, c.fromFirst
		tries{{0, interval}, {time.Hour, 0}, {2 * time.Hour, 0}}.check(e, "confirmed", r)
		e.attempt("waiting", 0, r)
		e.must(e.s.Greylist().Confirm(e.ctx, "later", noon.Add(c.ends)))
		for _, step := range []struct {
			after time.Duration
			left  string
		}{{wait, "confirmed later waiting"}, {wait + tick, "confirmed later"}, {c.ends, "confirmed later"}, {c.ends + tick, "later"}, {c.ends + expiry, "later"}, {c.ends + expiry + tick, ""}} {
			before := len(strings.Fields(e.keys()))
			n := e.sweep(step.after, r)
			if got := e.keys(); got != step.left || n != before-len(strings.Fields(got)) {
				e.t.Errorf("%s, after %v: %d removed, left %q, want %q", name, step.after, n, got, step.left)
			}
		}
	}
}

func greylistShrunk(e *env) {
	for i := range 8 {
		e.attempt(fmt.Sprint("u", i), time.Duration(100-i)*time.Second, rules)
		tries{{0, interval}, {2*interval - time.Duration(i)*time.Second, 0}}.check(e, fmt.Sprint("c", i), rules)
	}
	for _, step := range []struct {
		most int
		left string
	}{{0, "c0 c1 c2 c3 c4 c5 c6 c7 u0 u1 u2 u3 u4 u5 u6 u7"}, {16, "c0 c1 c2 c3 c4 c5 c6 c7 u0 u1 u2 u3 u4 u5 u6 u7"},
		{11, "c0 c1 c2 c3 c4 c5 c6 c7 u0 u1 u2"}, {3, "c0 c1 c2"}, {3, "c0 c1 c2"}} {
		r := rules
		r.Most = step.most
		e.sweep(2*interval, r)
		if got := e.keys(); got != step.left {
			e.t.Errorf("at most %d: left %s, want %s", step.most, got, step.left)
		}
	}
}

func greylistSteps(e *env) {
	g := e.s.Greylist()
	const n = 2500
	put := func() {
		e.must(together(8, func(i int) error {
			for j := i; j < n; j += 8 {
				if _, _, err := g.Attempt(e.ctx, client(fmt.Sprint("k", j)), noon.Add(time.Duration(j)*time.Microsecond), rules); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	tight := rules
	tight.Most = 10
	for what, sweep := range map[string]struct {
		after time.Duration
		r     store.GreylistRules
		left  int
	}{"too old": {2 * wait, rules, 0}, "too many": {interval, tight, 10}} {
		put()
		removed, more, err := g.Sweep(e.ctx, noon.Add(sweep.after), sweep.r)
		if err != nil || !more || removed == 0 || removed > 1000 {
			e.t.Errorf("%s: a step removed %d, more %v, %v", what, removed, more, err)
		}
		if removed += e.sweep(sweep.after, sweep.r); removed != n-sweep.left {
			e.t.Errorf("%s: removed %d", what, removed)
		}
		e.counts(int64(sweep.left), 0)
		_, err = g.Reset(e.ctx)
		e.must(err)
	}
}
