package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// ticking is a list that changes so often.
type ticking struct {
	changed chan struct{}
	version int64
	fails   error
}

func (l *ticking) Version(context.Context) (int64, error) { return l.version, l.fails }
func (l *ticking) Changed() <-chan struct{}               { return l.changed }

func (l *ticking) change() {
	l.version++
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// follow runs Follow in a bubble; each load takes so long.
func follow(t *testing.T, takes time.Duration, test func(l *ticking, loads, faults *int)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, loads, faults := &ticking{changed: make(chan struct{}, 1)}, 0, 0
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Follow(ctx, l, 0, 2*time.Second, func(context.Context) (int64, error) {
				loads++
				time.Sleep(takes)
				return l.version, nil
			}, func(error) { faults++ })
		}()
		test(l, &loads, &faults)
		stop()
		<-ended
	})
}

func TestAChangeIsLoadedAtOnceAndNothingElse(t *testing.T) {
	follow(t, 0, func(l *ticking, loads, _ *int) {
		time.Sleep(time.Minute)
		if *loads != 0 {
			t.Errorf("%d loads of a list that did not change", *loads)
		}
		for i := range 5 {
			l.change()
			synctest.Wait()
			if *loads != i+1 {
				t.Errorf("%d loads after change %d", *loads, i+1)
			}
			time.Sleep(time.Millisecond)
		}
		l.version++ // by another node
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if *loads != 6 {
			t.Errorf("%d loads: the change of another node was not seen", *loads)
		}
	})
}

func TestALongListIsNotReadAllTheTime(t *testing.T) {
	follow(t, 50*time.Millisecond, func(l *ticking, loads, _ *int) {
		for range 10_000 {
			l.change()
			time.Sleep(time.Millisecond)
		}
		if *loads < 9 || *loads > 11 {
			t.Errorf("%d loads of 50 ms in ten seconds", *loads)
		}
		time.Sleep(3 * time.Second)
		before := *loads
		time.Sleep(time.Minute)
		if *loads != before {
			t.Errorf("%d loads after the last change", *loads-before)
		}
	})
}

func TestAnOutageIsToldOnceAndEnds(t *testing.T) {
	follow(t, 0, func(l *ticking, loads, faults *int) {
		l.fails = errors.New("down")
		time.Sleep(time.Minute)
		l.version++
		l.fails = nil
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if *faults != 1 || *loads != 1 {
			t.Errorf("told %d times, %d loads", *faults, *loads)
		}
	})
}
