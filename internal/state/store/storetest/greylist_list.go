package storetest

import (
	"fmt"
	"reflect"
	"time"

	"posthorn/internal/state/store"
)

var greylistListTests = []test{
	{name: "PagesFollowEachOtherInEverySort", run: greylistPages},
	{name: "EntriesAreListedByState", run: greylistByState},
	{name: "SearchTakesTextAsItIs", run: greylistSearched},
	{name: "AnUnknownSortOrCursorIsRefused", run: greylistRefused},
}

// walk reads a list page by page.
func (e *env) walk(f store.GreylistFilter) (all []store.GreylistRow) {
	e.t.Helper()
	for range 100 {
		page, err := e.s.Greylist().List(e.ctx, f)
		e.must(err)
		if all = append(all, page.Rows...); page.Next == "" {
			return all
		}
		if f.Limit > 0 && len(page.Rows) != f.Limit {
			e.t.Fatalf("a page of %d entries that is not the last, limit %d", len(page.Rows), f.Limit)
		}
		f.After = page.Next
	}
	e.t.Fatal("the list does not end")
	return nil
}

func greylistPages(e *env) {
	// First and last attempts in different orders, with equal times.
	for key, times := range map[string][2]time.Duration{"a": {3, 50}, "b": {2, 40}, "c": {3, 50}, "d": {1, 60}, "e e": {3, 50}} {
		e.attempt(key, times[0]*time.Microsecond, rules)
		e.attempt(key, times[1]*time.Microsecond, rules)
	}
	for sort, want := range map[string]string{"": "a b c d e e", "key": "a b c d e e", "last": "d a c e e b", "first": "a c e e b d"} {
		for limit := range 7 {
			if got := keysOf(e.walk(store.GreylistFilter{Sort: sort, Limit: limit})); got != want {
				e.t.Errorf("sort %q, limit %d: %s, want %s", sort, limit, got, want)
			}
		}
	}
	if page, err := e.s.Greylist().List(e.ctx, store.GreylistFilter{Limit: 5}); err != nil || page.Next != "" {
		e.t.Errorf("a page with all of them goes on at %q, %v", page.Next, err)
	}
}

func greylistByState(e *env) {
	yes, no := true, false
	tries{{0, interval}, {interval, 0}}.check(e, "confirmed", rules)
	e.attempt("waiting", 0, rules)
	tries{{0, interval}, {2 * interval, 0}}.check(e, "also confirmed", rules)
	for _, c := range []struct {
		f    store.GreylistFilter
		want string
	}{
		{store.GreylistFilter{Confirmed: &yes}, "also confirmed confirmed"},
		{store.GreylistFilter{Confirmed: &no}, "waiting"},
		{store.GreylistFilter{Confirmed: &yes, Sort: "last", Limit: 1}, "also confirmed confirmed"},
		{store.GreylistFilter{Confirmed: &yes, Search: "also"}, "also confirmed"},
		{store.GreylistFilter{Confirmed: &no, Search: "also"}, ""},
	} {
		if got := keysOf(e.walk(c.f)); got != c.want {
			e.t.Errorf("%+v: %s, want %s", c.f, got, c.want)
		}
	}
	e.counts(3, 2)
	want := []store.GreylistRow{e.entry("also confirmed"), e.entry("confirmed"), e.entry("waiting")}
	if got := e.walk(store.GreylistFilter{}); !reflect.DeepEqual(got, want) {
		e.t.Errorf("listed %+v\nwant %+v", got, want)
	}
}

func greylistSearched(e *env) {
	for i, text := range searches {
		a := store.GreylistRow{Key: fmt.Sprint("192.0.2.", 200+i)}
		*[]*string{&a.Sender, &a.Recipient, &a.Helo}[i%3] = "because " + text
		_, _, err := e.s.Greylist().Attempt(e.ctx, a, noon, rules)
		e.must(err)
	}
	for _, text := range append([]string{"%", "_", "!", "WOW", "O'B"}, searches...) {
		if got := e.walk(store.GreylistFilter{Search: text, Limit: 2, Sort: "first"}); len(got) != finds(text) {
			e.t.Errorf("%q finds %s; want %d", text, keysOf(got), finds(text))
		}
	}
	if got := keysOf(e.walk(store.GreylistFilter{Search: "2.203"})); got != "192.0.2.203" {
		e.t.Errorf("a key finds %s", got)
	}
}

func greylistRefused(e *env) {
	for _, f := range []store.GreylistFilter{{Sort: "helo"}, {Sort: "last", After: "x"}, {Sort: "first", After: "1x a"}} {
		_, err := e.s.Greylist().List(e.ctx, f)
		e.wants(err, store.ErrInvalid, "%+v", f)
	}
}
