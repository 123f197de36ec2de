package sqlstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever gave a write a deadline has told that it did not happen when it
// ended; the disk may stand still for longer.
func TestWhatNobodyBeganBeforeItsDeadlineIsNeverDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		do := func(most time.Duration) (ended func() (time.Duration, error)) {
			began := time.Now()
			var err error
			var took time.Duration
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), most)
				defer cancel()
				err = l.do(ctx, operation{})
				took = time.Since(began)
			}()
			synctest.Wait()
			return func() (time.Duration, error) { return took, err }
		}
		begun := do(time.Minute)
		batch := l.next(nil)
		waits := do(time.Minute)
		time.Sleep(20 * time.Minute) // the commit stands still
		synctest.Wait()
		if took, err := waits(); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
			t.Error(err, took)
		}
		if took, _ := begun(); took != 0 {
			t.Error("what has begun was given up after", took)
		}
		answer(batch)
		synctest.Wait()
		if took, err := begun(); err != nil || took != 20*time.Minute {
			t.Error(err, took)
		}
		l.close()
		if left := l.next(nil); left != nil {
			t.Errorf("%d operations would still be done", len(left))
		}
	})
}

func TestAWriteWhoseTimeIsOverWakesNobody(t *testing.T) {
	l := newLine()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.do(ctx, operation{}); !errors.Is(err, context.Canceled) || len(l.wake) > 0 {
		t.Error(err, len(l.wake))
	}
}
