package storetest

import (
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

// passed is what a node noted of a client: n messages, the last so long after noon.
func passed(key string, n int64, after time.Duration) store.GreylistRow {
	return store.GreylistRow{Key: key, Passed: n, Last: noon.Add(after), Sender: strings.Repeat("é", 40), Recipient: "eve@two.test", Helo: "late.example.test"}
}

func greylistPassed(e *env) {
	g := e.s.Greylist()
	for _, key := range []string{"known", "other"} {
		tries{{0, interval}, {interval, 0}}.check(e, key, rules)
	}
	tries{{0, interval}}.check(e, "waiting", rules)
	before := e.entry("waiting")
	gone, err := g.Pass(e.ctx, []store.GreylistRow{passed("waiting", 1, time.Hour), passed("other", 2, 0), passed("nobody", 1, time.Hour), passed("known", 7, time.Hour)}, rules)
	e.must(err)
	slices.Sort(gone)
	if !slices.Equal(gone, []string{"nobody", "waiting"}) {
		e.t.Errorf("gone are %q", gone)
	}
	want := store.GreylistRow{Key: "known", First: noon, Confirmed: noon.Add(interval), Last: noon.Add(time.Hour), Deferred: 1, Passed: 8,
		Sender: strings.Repeat("é", 32), Recipient: "eve@two.test", Helo: "late.example.test"}
	if got := e.entry("known"); got != want {
		e.t.Errorf("stored is %+v\nwant      %+v", got, want)
	}
	if got := e.entry("other"); got.Passed != 3 || !got.Last.Equal(noon.Add(interval)) {
		e.t.Errorf("an older time went before a newer one: %+v", got)
	}
	if got := e.entry("waiting"); got != before {
		e.t.Errorf("an unconfirmed client changed: %+v", got)
	}
	gone, err = g.Pass(e.ctx, nil, rules)
	if err != nil || gone != nil {
		e.t.Errorf("nothing to note: %q, %v", gone, err)
	}
}
