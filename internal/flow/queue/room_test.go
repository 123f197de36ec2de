package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// stalling delivers to all but stalled hosts, which hold a delivery for half an
// hour, or for as long as one in a hurry waits.
func stalling(stalled func(string) bool) deliverer {
	return func(ctx context.Context, j Job) ([]Result, error) {
		if !stalled(j.To.Key) {
			return delivered(j), nil
		}
		most := 30 * time.Minute
		if j.Hurry {
			most = 2 * time.Minute
		}
		select {
		case <-ctx.Done():
		case <-time.After(most):
		}
		return busy(j), nil
	}
}

func others(key string) bool { return key != "good.test" && key != "new.test" }

// More destinations than there are workers stall at once, with one message each
// or with many: one that took mail before is served at once, and a new one soon.
func TestManyStalledDestinationsLeaveRoom(t *testing.T) {
	t.Parallel()
	for _, messages := range []int{110, 2000} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, stalling(others))
			stop := w.start()
			defer stop()
			w.shelf.add(nil, "a@good.test")
			rest(time.Second)
			for i := range messages {
				w.shelf.add(nil, fmt.Sprintf("u%d@stalled%d.test", i, i%110))
			}
			rest(10 * time.Second)
			w.shelf.add(nil, "b@new.test")
			for i := range 30 {
				w.shelf.add(nil, fmt.Sprintf("b%d@good.test", i))
				rest(time.Second)
			}
			for _, r := range w.shelf.of("@good.test") {
				if !r.gone {
					t.Errorf("of %d, nothing was left for a destination known to be good", messages)
					break
				}
			}
			rest(9 * time.Minute)
			if !w.shelf.of("@new.test")[0].gone {
				t.Errorf("of %d, nothing was left for a new destination", messages)
			}
		})
	}
}

// Notices go where strangers want: not even a hundred senders with slow hosts,
// which were quick before, get the workers that are kept.
func TestNoticesLeaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := false
		w := newWorld(t, stalling(func(key string) bool { return slow && others(key) }))
		null := func(m *store.QueueMessage, _ *store.QueueRecipient) { m.Sender = mail.Address{} }
		notices := func() {
			for i := range 150 {
				w.shelf.add(null, fmt.Sprintf("n@sender%d.test", i))
			}
		}
		stop := w.start()
		defer stop()
		notices()
		rest(time.Second)
		slow = true
		notices()
		w.shelf.add(null, "a@good.test")
		rest(time.Second)
		w.shelf.add(nil, "b@new.test")
		w.shelf.add(nil, "c@good.test")
		rest(time.Second)
		for _, r := range append(w.shelf.of("@new.test"), w.shelf.of("c@good.test")...) {
			if !r.gone {
				t.Errorf("%s waits behind notices", r.rcpt.Address)
			}
		}
		rest(5 * time.Minute)
		for _, r := range w.shelf.rows {
			if !r.gone && r.rcpt.Attempts == 0 {
				t.Fatalf("%s was not tried", r.rcpt.Address)
			}
		}
	})
}
