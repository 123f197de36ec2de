package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/store"
)

// strict looks at the context as real stores do.
type strict struct{ *shelf }

func (s strict) Finish(ctx context.Context, c store.Claim, o []store.Outcome, n *store.Acceptance) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.shelf.Finish(ctx, c, o, n)
}

// A deliverer may hear from a host a while after it was interrupted: what it
// says then is stored all the same.
func TestWhatAHostSaysAfterTheInterruptionIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			<-ctx.Done()
			time.Sleep(4 * time.Second)
			return delivered(j), nil
		})
		w.o.Queue = strict{w.shelf}
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		rest(time.Second)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took != grace+4*time.Second || !w.shelf.rows[0].gone {
			t.Errorf("after %v: %+v\n%s", took, w.shelf.rows[0], w.log)
		}
	})
}

// A store that takes nothing holds a stop up for a bounded time.
func TestAStopDoesNotWaitLongForTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			if j.To.Key == "far.test" {
				<-ctx.Done()
				time.Sleep(4 * time.Second)
			}
			return delivered(j), nil
		})
		w.shelf.refuse = func(store.Claim, []store.Outcome) error { return store.ErrUnavailable }
		w.shelf.add(nil, "a@far.test")
		w.shelf.add(nil, "a@other.test")
		stop := w.start()
		rest(time.Second)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 9*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}
