package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/state/store"
)

// A store that turned read-only (reliability.md row 7) still says what is due.
func TestARunnerThatCannotClaimDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { return delivered(j), nil })
		w.shelf.add(nil, "a@far.test")
		w.shelf.deaf = store.ErrReadOnly
		w.during(time.Minute)
		if w.shelf.claims < 10 || w.shelf.claims > 15 {
			t.Errorf("%d claims in a minute", w.shelf.claims)
		}
	})
}

// crowded is a queue where something is due that another has.
type crowded struct{ *shelf }

func (c crowded) NextDue(context.Context, bool) (time.Time, bool, error) {
	return time.Now().Add(-time.Hour), true, nil
}

func TestWhatIsDueAndTakenByOthersIsAskedForInPeace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { return delivered(j), nil })
		w.o.Queue = crowded{w.shelf}
		w.during(time.Minute)
		if most := int(time.Minute/breath) + 2; w.shelf.claims > most {
			t.Errorf("%d claims in a minute", w.shelf.claims)
		}
	})
}

func TestAMessageThatPanicsIsDeferred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(context.Context, Job) ([]Result, error) { panic("broken invariant") })
		w.shelf.add(nil, "a@far.test")
		w.during(time.Second)
		if r := w.shelf.rows[0]; r.gone || r.rcpt.Attempts != 1 || r.rcpt.LastError != "451 4.3.0 internal error" || !r.due.After(time.Now()) {
			t.Errorf("%+v", r)
		}
		if !strings.Contains(w.log.String(), "broken invariant") {
			t.Error("the log does not say why")
		}
	})
}

// One destination stalls with 10,000 messages; another is served at once.
func TestAStalledDestinationStarvesNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var most, running atomic.Int64
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			if j.To.Key != "stalled.test" {
				return delivered(j), nil
			}
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Minute):
			}
			return busy(j), nil
		})
		for i := range 10_000 {
			w.shelf.add(nil, fmt.Sprintf("u%d@stalled.test", i))
		}
		stop := w.start()
		rest(30 * time.Second)
		for i := range 50 {
			w.shelf.add(nil, fmt.Sprintf("u@other%d.test", i))
		}
		rest(time.Second)
		for i := range 50 {
			if r := w.shelf.of(fmt.Sprintf("@other%d.test", i))[0]; !r.gone {
				t.Fatalf("%s waits behind the stalled ones", r.rcpt.Address)
			}
		}
		held := 0
		w.shelf.do(func() {
			for _, r := range w.shelf.rows {
				if r.owner != "" {
					held++
				}
			}
		})
		if held > window/4+1 {
			t.Errorf("one destination holds %d of %d places", held, window)
		}
		if most.Load() > firstLimit {
			t.Errorf("%d at once to a destination that never answered", most.Load())
		}
		stop()
		for _, r := range w.shelf.of("@stalled.test") {
			if r.rcpt.Attempts != 0 || r.owner != "" {
				t.Fatalf("what was not tried counts, or is still claimed: %+v", r)
			}
		}
	})
}

// A flood to a good destination is worked off as fast as it takes it.
func TestAFloodIsDeliveredAsFastAsItIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var most, running atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(100 * time.Millisecond)
			return delivered(j), nil
		})
		const n = 5000 // 25 seconds at 20 a tenth of a second
		for i := range n {
			w.shelf.add(nil, fmt.Sprintf("u%d@far.test", i))
		}
		w.during(40 * time.Second)
		left := 0
		for _, r := range w.shelf.rows {
			if !r.gone {
				left++
			}
		}
		if left > 0 {
			t.Errorf("%d of %d are left", left, n)
		}
		if most.Load() != 20 {
			t.Errorf("%d ran at once", most.Load())
		}
	})
}

func TestAnOutageDefersAllThatWaitsAndIsAskedAgainLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var tries []time.Time
		down := true
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			mu.Lock()
			tries = append(tries, time.Now())
			bad := down
			mu.Unlock()
			time.Sleep(time.Second)
			if bad {
				return nil, &Outage{Reply: reply.New(451, reply.E(4, 4, 1), "nobody answers")}
			}
			return delivered(j), nil
		})
		for i := range 300 {
			w.shelf.add(nil, fmt.Sprintf("u%d@far.test", i))
		}
		begin := time.Now()
		stop := w.start()
		rest(2 * time.Second)
		for _, r := range w.shelf.of("@far.test") {
			if r.rcpt.Attempts != 1 || r.rcpt.LastError != "451 4.4.1 nobody answers" || r.due.Sub(begin) < 4*time.Minute || r.due.Sub(begin) > 6*time.Minute {
				t.Fatalf("after the outage: %+v", r.rcpt)
			}
		}
		mu.Lock()
		if len(tries) > firstLimit {
			t.Errorf("asked %d times", len(tries))
		}
		mu.Unlock()
		// What comes meanwhile is not tried either.
		w.shelf.add(nil, "late@far.test")
		rest(time.Second)
		if r := w.shelf.of("late@far.test")[0]; r.rcpt.Attempts != 1 {
			t.Errorf("while it is dead: %+v", r.rcpt)
		}
		// Unless an administrator wants it (M-REL-06).
		mu.Lock()
		down, tries = false, nil
		mu.Unlock()
		w.shelf.do(func() {
			r := w.shelf.rows[0]
			r.due, r.rcpt.Asked = time.Now(), true
			w.shelf.hint()
		})
		rest(2 * time.Second)
		if r := w.shelf.rows[0]; !r.gone || len(tries) != 1 {
			t.Errorf("asked for: %+v, %d tries", r.rcpt, len(tries))
		}
		w.shelf.add(nil, "more@far.test")
		rest(2 * time.Second)
		if !w.shelf.of("more@far.test")[0].gone {
			t.Error("the destination is still taken for dead")
		}
		rest(10 * time.Minute)
		stop()
		for _, r := range w.shelf.rows {
			if !r.gone {
				t.Errorf("not delivered after the outage: %+v", r.rcpt)
			}
		}
	})
}

func TestRecipientsOfADestinationTravelTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var jobs []string
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			mu.Lock()
			defer mu.Unlock()
			jobs = append(jobs, fmt.Sprint(j.To.Key, " ", len(j.Claim.Message.Recipients)))
			return delivered(j), nil
		})
		w.shelf.add(nil, "a@one.test", "b@two.test", "c@one.test")
		w.during(time.Second)
		slices.Sort(jobs)
		if want := []string{"one.test 2", "two.test 1"}; !slices.Equal(jobs, want) {
			t.Errorf("jobs %q", jobs)
		}
	})
}

// A stop lets deliveries end for a while, keeps what they know, and gives the
// rest back uncounted.
func TestAStopHandsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			switch j.Claim.Message.Recipients[0].Address.Local {
			case "quick":
				time.Sleep(2 * time.Second)
				return delivered(j), nil
			case "half":
				<-ctx.Done()
				return delivered(j)[:1], nil
			}
			<-ctx.Done()
			return busy(j), ctx.Err()
		})
		w.shelf.add(nil, "quick@far.test")
		w.shelf.add(nil, "half@far.test", "other@far.test")
		w.shelf.add(nil, "slow@far.test")
		w.shelf.add(nil, "waits@far.test")
		stop := w.start()
		rest(time.Second)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > grace+stopTime {
			t.Errorf("the stop took %v", took)
		}
		for _, x := range []struct {
			name string
			gone bool
		}{{"quick", true}, {"half", true}, {"other", false}, {"slow", false}, {"waits", false}} {
			if r := w.shelf.of(x.name + "@far.test")[0]; r.gone != x.gone || r.owner != "" || !x.gone && (r.rcpt.Attempts != 0 || r.due.After(time.Now())) {
				t.Errorf("%s: %+v", x.name, r)
			}
		}
	})
}

func TestALongDeliveryKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			tries.Add(1)
			time.Sleep(time.Hour)
			return delivered(j), nil
		})
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		defer stop()
		w.o.Owner = "other node"
		other := w.start()
		defer other()
		rest(time.Hour + time.Second)
		if tries.Load() != 1 || !w.shelf.rows[0].gone || w.shelf.extends < 10 {
			t.Errorf("%d tries, %d extensions, %+v", tries.Load(), w.shelf.extends, w.shelf.rows[0])
		}
	})
}

func TestADeliveryWhoseClaimIsLostIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cause atomic.Value
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			<-ctx.Done()
			cause.CompareAndSwap(nil, context.Cause(ctx))
			return busy(j), ctx.Err()
		})
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		rest(time.Second)
		w.shelf.do(func() { r := w.shelf.rows[0]; r.owner, r.fence, r.due = "thief", 77, time.Now().Add(time.Hour) })
		rest(5 * time.Minute)
		if got, _ := cause.Load().(error); !errors.Is(got, errLost) {
			t.Errorf("interrupted by %v", got)
		}
		if r := w.shelf.rows[0]; r.rcpt.Attempts != 0 || r.fence != 77 {
			t.Errorf("the loser stored %+v", r)
		}
		stop()
	})
}

// When the store does not answer, the lease ends some time; another node may
// have taken over then.
func TestADeliveryIsInterruptedWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var took atomic.Int64
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			begin := time.Now()
			<-ctx.Done()
			took.CompareAndSwap(0, int64(time.Since(begin)))
			return nil, ctx.Err()
		})
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		defer stop()
		rest(time.Second)
		w.shelf.do(func() { w.shelf.deaf = store.ErrUnavailable })
		rest(time.Hour)
		if d := time.Duration(took.Load()); d < 9*time.Minute || d > 11*time.Minute {
			t.Errorf("interrupted after %v", d)
		}
	})
}

// A job that waited for so long that its claim is gone is not begun.
func TestAnOldClaimIsNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { tries.Add(1); return delivered(j), nil })
		w.shelf.add(nil, "a@far.test")
		claims, err := w.shelf.Claim(t.Context(), "node", false, 1, time.Minute)
		if err != nil || len(claims) != 1 {
			t.Fatal(err)
		}
		w.shelf.do(func() { w.shelf.rows[0].fence++ })
		r := New(w.o)
		c := contexts{t.Context(), t.Context()}
		r.sort(c, claims)
		synctest.Wait()
		if tries.Load() != 0 || r.lanes.room() != window {
			t.Errorf("%d tries, room for %d", tries.Load(), r.lanes.room())
		}
	})
}
