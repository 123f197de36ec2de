package store

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ticking is a list that changes so often.
type ticking struct {
	changed chan struct{}
	version atomic.Int64
	fails   atomic.Bool
}

func (l *ticking) Changed() <-chan struct{} { return l.changed }

func (l *ticking) Version(context.Context) (int64, error) {
	if l.fails.Load() {
		return 0, ErrUnavailable
	}
	return l.version.Load(), nil
}

func (l *ticking) change() {
	l.version.Add(1)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// follow runs Follow in a bubble; each load takes so long.
func follow(t *testing.T, takes time.Duration, test func(l *ticking, loads, faults *atomic.Int64)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ticking{changed: make(chan struct{}, 1)}
		var loads, faults atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Follow(ctx, l, 0, 2*time.Second, func(context.Context) (int64, error) {
				loads.Add(1)
				time.Sleep(takes)
				return l.version.Load(), nil
			}, func(error) { faults.Add(1) })
		}()
		test(l, &loads, &faults)
		stop()
		<-ended
	})
}

func TestAChangeIsLoadedAtOnceAndNothingElse(t *testing.T) {
	follow(t, 0, func(l *ticking, loads, _ *atomic.Int64) {
		time.Sleep(time.Minute)
		if loads.Load() != 0 {
			t.Errorf("%d loads of a list that did not change", loads.Load())
		}
		for i := range 5 {
			l.change()
			synctest.Wait()
			if loads.Load() != int64(i+1) {
				t.Errorf("%d loads after change %d", loads.Load(), i+1)
			}
			time.Sleep(time.Millisecond)
		}
		l.version.Add(1) // by another node
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if loads.Load() != 6 {
			t.Errorf("%d loads: the change of another node was not seen", loads.Load())
		}
	})
}

func TestALongListIsNotReadAllTheTime(t *testing.T) {
	follow(t, 50*time.Millisecond, func(l *ticking, loads, _ *atomic.Int64) {
		for range 10_000 {
			l.change()
			time.Sleep(time.Millisecond)
		}
		if loads.Load() < 9 || loads.Load() > 11 {
			t.Errorf("%d loads of 50 ms in ten seconds", loads.Load())
		}
		time.Sleep(3 * time.Second)
		before := loads.Load()
		time.Sleep(time.Minute)
		if loads.Load() != before {
			t.Errorf("%d loads after the last change", loads.Load()-before)
		}
	})
}

func TestAnOutageIsToldOnceAndEnds(t *testing.T) {
	follow(t, 0, func(l *ticking, loads, faults *atomic.Int64) {
		l.fails.Store(true)
		time.Sleep(time.Minute)
		l.version.Add(1)
		l.fails.Store(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if faults.Load() != 1 || loads.Load() != 1 {
			t.Errorf("told %d times, %d loads", faults.Load(), loads.Load())
		}
	})
}
