package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/store"
)

// cut is a store across a line that was cut: nothing comes back for an hour,
// and no context ends the waiting.
type cut struct{ *shelf }

func (c cut) Extend(context.Context, store.Claim, time.Duration) (time.Time, error) {
	time.Sleep(time.Hour)
	return time.Time{}, store.ErrUnavailable
}

func TestADeliveryDoesNotOutlastItsLeaseWhateverTheStoreDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var took atomic.Int64
		w := newWorld(t, func(ctx context.Context, j Job) ([]Result, error) {
			begin := time.Now()
			<-ctx.Done()
			took.CompareAndSwap(0, int64(time.Since(begin)))
			return nil, ctx.Err()
		})
		w.o.Queue = cut{w.shelf}
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		rest(11 * time.Minute)
		if d := time.Duration(took.Load()); d < 9*time.Minute || d > 10*time.Minute {
			t.Errorf("interrupted after %v, the lease is of ten minutes", d)
		}
		begin := time.Now()
		stop()
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("the stop took %v", d)
		}
		time.Sleep(2 * time.Hour) // until the answers come
	})
}

// The outcome is stored, the next delivery begins and a stop comes to its end
// while an extension hangs.
func TestAnExtensionThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			time.Sleep(5 * time.Minute)
			return delivered(j), nil
		})
		w.o.Queue, w.o.Workers = cut{w.shelf}, 1
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		rest(5*time.Minute + time.Second)
		w.shelf.add(nil, "b@far.test")
		rest(5*time.Minute + time.Second)
		for _, r := range w.shelf.rows {
			if !r.gone {
				t.Errorf("%+v", r)
			}
		}
		begin := time.Now()
		stop()
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("the stop took %v", d)
		}
		time.Sleep(2 * time.Hour)
	})
}
