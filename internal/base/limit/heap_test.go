package limit

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/unit"
)

func TestAHeapNearItsBoundIsTightUntilItIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used, freed int64 = 700, 0
		var tidied, told int
		h := NewHeap(func() unit.Size { return 1000 }, func() { told++ })
		h.read, h.tidy = func() int64 { return used }, func() { used -= freed; tidied++ }
		if h.Tight() {
			t.Error("tight at 700 of 1000")
		}
		used = 900
		if h.Tight() {
			t.Error("it looks all the time")
		}
		time.Sleep(heapPeriod)
		if !h.Tight() || tidied != 1 {
			t.Errorf("not tight at 900 of 1000, or looked without a collection (%d)", tidied)
		}
		for range 20 {
			time.Sleep(heapPeriod)
			h.Tight()
		}
		if tidied != 1 {
			t.Errorf("%d collections in 2 s", tidied)
		}
		if told != 1 {
			t.Errorf("told %d times of one tight time", told)
		}
		freed = 500
		time.Sleep(heapTidy)
		if h.Tight() || tidied != 2 {
			t.Errorf("still tight after %d collections", tidied)
		}
	})
}

func TestTheRuntimeTellsWhatIsInUse(t *testing.T) {
	kept := make([]byte, 8<<20)
	runtime.GC()
	if n := inUse(); n < int64(len(kept)) {
		t.Errorf("%d octets in use with %d alive", n, len(kept))
	}
	runtime.KeepAlive(kept)
}
