package app

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatHangsDoesNotHoldAStopUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var workers sync.WaitGroup
		hangs := make(chan struct{})
		workers.Go(func() { <-hangs })
		begin := time.Now()
		if workEnds(&workers, time.Second) || time.Since(begin) != time.Second {
			t.Errorf("it ended after %v", time.Since(begin))
		}
		close(hangs)
		if !workEnds(&workers, time.Second) {
			t.Error("its end was not noticed")
		}
	})
}
