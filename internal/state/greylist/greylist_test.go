package greylist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/state/greylist"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

var (
	_ policy.Greylist = (*greylist.List)(nil)
	_ policy.Greylist = greylist.Looking{}
)

// counted is a real store that counts what is asked of it and fails when told so.
type counted struct {
	store.Greylist
	attempts, passes, sweeps atomic.Int64
	fails                    atomic.Bool
}

func (c *counted) Attempt(ctx context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	c.attempts.Add(1)
	return c.Greylist.Attempt(ctx, a, now, r)
}

func (c *counted) Pass(ctx context.Context, rows []store.GreylistRow, r store.GreylistRules) ([]string, error) {
	if c.fails.Load() {
		return nil, store.ErrUnavailable
	}
	if len(rows) > 0 {
		c.passes.Add(1)
	}
	return c.Greylist.Pass(ctx, rows, r)
}

func (c *counted) Sweep(ctx context.Context, now time.Time, r store.GreylistRules) (int, bool, error) {
	c.sweeps.Add(1)
	return c.Greylist.Sweep(ctx, now, r)
}

// world is a greylist on a real store, with the factory's numbers.
type world struct {
	*greylist.List
	store *counted
	t     *testing.T
	rules store.GreylistRules
	swept atomic.Pointer[store.GreylistRules] // what sweeping goes by
	log   bytes.Buffer
}

func open(t *testing.T, s store.Greylist) *world {
	w := &world{store: &counted{Greylist: s}, t: t, rules: store.GreylistRules{Interval: time.Minute, Wait: 8 * time.Hour, Expiry: 72 * time.Hour, Most: 100_000}}
	w.set(w.rules)
	w.List = greylist.Open(w.store, greylist.Options{Rules: func() store.GreylistRules { return *w.swept.Load() }, Log: event.New(event.Handler(&w.log, event.Options{}))})
	return w
}

// set changes the numbers.
func (w *world) set(r store.GreylistRules) {
	w.rules = r
	w.swept.Store(&r)
}

func newStore(t *testing.T) store.Greylist {
	t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Greylist()
}

func run(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t, newStore(t))
		test(w)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// attempt is one of a client now; it returns how long the client has to wait.
func (w *world) attempt(key, from string) (store.GreylistRow, time.Duration) {
	w.t.Helper()
	row, wait, err := w.Attempt(w.t.Context(), store.GreylistRow{Key: key, Sender: from, Recipient: "ann@ours.test", Helo: "mx.away.test"}, time.Now(), w.rules)
	if err != nil {
		w.t.Fatal(err)
	}
	return row, wait
}

// known makes a client that is confirmed.
func (w *world) known(key string) {
	w.t.Helper()
	w.attempt(key, "first@away.test")
	time.Sleep(w.rules.Interval)
	if _, wait := w.attempt(key, "second@away.test"); wait != 0 {
		w.t.Fatalf("%s waits %v", key, wait)
	}
}

func (w *world) entry(key string) store.GreylistRow {
	w.t.Helper()
	row, err := w.store.Get(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func TestAKnownClientCostsNoWriteForEachMessage(t *testing.T) {
	run(t, func(w *world) {
		w.known("192.0.2.1")
		before := w.store.attempts.Load()
		for i := range 100 {
			row, wait := w.attempt("192.0.2.1", fmt.Sprintf("%d@away.test", i))
			if wait != 0 || row.Passed != int64(i+2) || row.Sender != fmt.Sprintf("%d@away.test", i) {
				w.t.Fatalf("%d: wait %v, %+v", i, wait, row)
			}
			time.Sleep(time.Second)
		}
		if w.store.attempts.Load() != before || w.store.passes.Load() > 2 {
			w.t.Errorf("%d attempts and %d writes for 100 messages", w.store.attempts.Load()-before, w.store.passes.Load())
		}
		if err := w.Close(); err != nil {
			w.t.Error(err)
		}
		row := w.entry("192.0.2.1")
		if row.Passed != 101 || row.Sender != "99@away.test" || time.Since(row.Last) > 2*time.Second {
			w.t.Errorf("stored: %+v", row)
		}
	})
}

func TestAnIdleClientIsAskedAboutAnew(t *testing.T) {
	run(t, func(w *world) {
		w.known("192.0.2.1")
		time.Sleep(3 * time.Minute)
		before := w.store.attempts.Load()
		w.attempt("192.0.2.1", "a@away.test")
		if w.store.attempts.Load() != before+1 {
			w.t.Error("an answer three minutes old was taken")
		}
	})
}

func TestWhoIsForgottenWaitsAgain(t *testing.T) {
	run(t, func(w *world) {
		for name, forget := range map[string]func() error{
			"removed": func() error { return w.Remove(w.t.Context(), "192.0.2.1") },
			"reset":   func() error { _, err := w.Reset(w.t.Context()); return err },
		} {
			w.known("192.0.2.1")
			w.attempt("192.0.2.1", "a@away.test")
			if err := forget(); err != nil {
				w.t.Fatal(err)
			}
			if _, wait := w.attempt("192.0.2.1", "b@away.test"); wait != time.Minute {
				w.t.Errorf("%s: waits %v", name, wait)
			}
		}
		if err := w.Confirm(w.t.Context(), "192.0.2.1", time.Now()); err != nil {
			w.t.Fatal(err)
		}
		if _, wait := w.attempt("192.0.2.1", "c@away.test"); wait != 0 {
			w.t.Errorf("confirmed by hand, and waits %v", wait)
		}
		if err := w.Remove(w.t.Context(), "203.0.113.1"); !errors.Is(err, store.ErrNotFound) {
			w.t.Errorf("removing a stranger: %v", err)
		}
	})
}

func TestWhoIsForgottenByAnotherNodeWaitsAgainSoon(t *testing.T) {
	run(t, func(w *world) {
		w.known("192.0.2.1")
		if err := w.store.Remove(w.t.Context(), "192.0.2.1"); err != nil {
			w.t.Fatal(err)
		}
		for i := range 62 {
			if _, wait := w.attempt("192.0.2.1", "a@away.test"); wait > 0 {
				return
			}
			if i == 61 {
				w.t.Error("a minute later it is still let through")
			}
			time.Sleep(time.Second)
		}
	})
}

func TestAConfirmationEndsInMemoryToo(t *testing.T) {
	run(t, func(w *world) {
		w.rules.Expiry = 90 * time.Second
		w.set(w.rules)
		w.known("192.0.2.1")
		for range 90 {
			time.Sleep(time.Second)
			if _, wait := w.attempt("192.0.2.1", "a@away.test"); wait != 0 {
				w.t.Fatal("it ends too early")
			}
		}
		time.Sleep(time.Second)
		if _, wait := w.attempt("192.0.2.1", "a@away.test"); wait != time.Minute {
			w.t.Errorf("after its end it waits %v", wait)
		}
		w.rules.Renew = true
		w.set(w.rules)
		w.known("192.0.2.2")
		for range 300 {
			time.Sleep(time.Second)
			if _, wait := w.attempt("192.0.2.2", "a@away.test"); wait != 0 {
				w.t.Fatal("a confirmation that every message renews has ended")
			}
		}
	})
}

func TestPassesOutliveAStoreThatFails(t *testing.T) {
	run(t, func(w *world) {
		w.known("192.0.2.1")
		w.store.fails.Store(true)
		for range 100 {
			w.attempt("192.0.2.1", "a@away.test")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := strings.Count(w.log.String(), "store.failed"); n != 1 {
			w.t.Errorf("told %d times", n)
		}
		w.store.fails.Store(false)
		if err := w.Close(); err != nil {
			w.t.Error(err)
		}
		if row := w.entry("192.0.2.1"); row.Passed != 101 {
			w.t.Errorf("stored: %+v", row)
		}
	})
}

func TestWhatIsOverIsSwept(t *testing.T) {
	run(t, func(w *world) {
		w.rules.Wait = 2 * time.Minute
		w.set(w.rules)
		for i := range 1001 {
			w.attempt(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "a@away.test")
		}
		time.Sleep(5*time.Minute + 5*time.Second)
		synctest.Wait()
		if total, _, err := w.store.Count(w.t.Context()); total != 0 || err != nil || w.store.sweeps.Load() < 2 {
			w.t.Errorf("%d left after %d sweeps, %v", total, w.store.sweeps.Load(), err)
		}
	})
}

// Whatever clients do, List says what the store alone would, and Looking said
// so before and changed nothing.
func TestListSaysWhatTheStoreWould(t *testing.T) {
	t.Parallel()
	for i, r := range []store.GreylistRules{{}, {Renew: true}, {FromFirst: true}} {
		t.Run(fmt.Sprintf("renew %v from first %v", r.Renew, r.FromFirst), func(t *testing.T) {
			t.Parallel()
			r.Interval, r.Wait, r.Expiry = time.Minute, 10*time.Minute, 20*time.Minute
			random := rand.New(rand.NewPCG(uint64(i), 1))
			synctest.Test(t, func(t *testing.T) { compare(t, r, random) })
		})
	}
}

// unswept keeps what is over, as a store does that nobody sweeps.
type unswept struct{ store.Greylist }

func (unswept) Sweep(context.Context, time.Time, store.GreylistRules) (int, bool, error) {
	return 0, false, nil
}

// compare makes the same attempts with both.
func compare(t *testing.T, rules store.GreylistRules, random *rand.Rand) {
	plain, w := newStore(t), open(t, unswept{newStore(t)})
	w.set(rules)
	pauses := []int{1, 2, 5, 10, 30, 60, 90, 300, 650, 1300}
	for i := range 500 {
		time.Sleep(time.Duration(pauses[random.IntN(len(pauses))]) * time.Second)
		a := store.GreylistRow{Key: string(rune('a' + random.IntN(4))), Sender: "x@away.test"}
		_, looked, err1 := w.Looking().Attempt(t.Context(), a, time.Now(), rules)
		got, wait, err2 := w.Attempt(t.Context(), a, time.Now(), rules)
		want, wanted, err3 := plain.Attempt(t.Context(), a, time.Now(), rules)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if wait != wanted || !rules.Renew && looked != wanted || got != want {
			t.Fatalf("step %d, %s: wait %v (looked %v), the store %v\n got %+v\nwant %+v", i, a.Key, wait, looked, wanted, got, want)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkKnownClient(b *testing.B) {
	s, err := sqlstore.OpenSQLite(b.Context(), b.TempDir(), sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	rules := store.GreylistRules{Interval: time.Minute, Wait: time.Hour, Expiry: 72 * time.Hour, Most: 1000}
	l := greylist.Open(s.Greylist(), greylist.Options{Rules: func() store.GreylistRules { return rules }})
	if err := l.Confirm(b.Context(), "192.0.2.1", time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, wait, err := l.Attempt(b.Context(), store.GreylistRow{Key: "192.0.2.1", Sender: "a@away.test"}, time.Now(), rules); err != nil || wait > 0 {
			b.Fatal(wait, err)
		}
	}
	if err := errors.Join(l.Close(), s.Close()); err != nil {
		b.Fatal(err)
	}
}
