package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPausedQueueKeepsMailAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { return delivered(j), nil })
		w.s.Paused = true
		w.shelf.add(nil, "a@far.test")
		stop := w.start()
		defer stop()
		rest(time.Minute)
		if r := w.shelf.rows[0]; r.gone || r.owner != "" {
			t.Errorf("paused: %+v", r)
		}
		w.mu.Lock()
		w.s.Paused = false
		w.mu.Unlock()
		rest(idle + time.Second)
		if !w.shelf.rows[0].gone {
			t.Error("not delivered after the pause")
		}
	})
}

func TestAPauseGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			time.Sleep(time.Minute)
			return delivered(j), nil
		})
		for i := range 10 {
			w.shelf.add(nil, fmt.Sprintf("u%d@far.test", i))
		}
		stop := w.start()
		defer stop()
		rest(time.Second)
		w.mu.Lock()
		w.s.Paused = true
		w.mu.Unlock()
		rest(5 * time.Minute)
		gone := 0
		for _, r := range w.shelf.rows {
			if r.gone {
				gone++
			} else if r.owner != "" || r.rcpt.Attempts != 0 {
				t.Errorf("not given back: %+v", r)
			}
		}
		if gone != firstLimit {
			t.Errorf("%d were delivered, of %d under way", gone, firstLimit)
		}
	})
}

// A change that is announced needs no time to pass.
func TestAPauseBeginsAndEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			if j.To.Key == "slow.test" {
				time.Sleep(time.Minute)
			}
			return delivered(j), nil
		})
		for i := range 10 {
			w.shelf.add(nil, fmt.Sprintf("u%d@slow.test", i))
		}
		stop := w.start()
		defer stop()
		rest(time.Second)
		begin := time.Now()
		w.pause(true)
		synctest.Wait()
		claimed := 0
		for _, r := range w.shelf.rows {
			if r.owner != "" {
				claimed++
			}
		}
		if claimed != firstLimit {
			t.Errorf("%d are claimed in a pause, of %d under way", claimed, firstLimit)
		}
		w.shelf.add(nil, "a@quick.test")
		synctest.Wait()
		w.pause(false)
		synctest.Wait()
		if !w.shelf.of("@quick.test")[0].gone {
			t.Error("not delivered when the pause ended")
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("%v passed", took)
		}
	})
}

// Not even what waits in memory begins, before the runner has looked up.
func TestNothingBeginsInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			begun.Add(1)
			time.Sleep(time.Second)
			return delivered(j), nil
		})
		for i := range 10 {
			w.shelf.add(nil, fmt.Sprintf("u%d@far.test", i))
		}
		w.o.Changed = nil
		stop := w.start()
		defer stop()
		rest(time.Second / 2)
		w.pause(true)
		rest(2 * time.Second)
		if n := begun.Load(); n != firstLimit {
			t.Errorf("%d attempts began, %d of them before the pause", n, firstLimit)
		}
		w.pause(false) // before the runner noticed: nothing was given back
		rest(idle)
		if n := begun.Load(); n != 10 {
			t.Errorf("%d attempts after the pause", n)
		}
	})
}
