package limit

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"posthorn/internal/base/unit"
)

const (
	heapPeriod = 100 * time.Millisecond // between two looks at the heap
	heapTidy   = 10 * time.Second       // between two collections made only to look
)

// Heap tells when the process holds nearly as much memory as it may
// (reliability row 8). It asks the runtime, so it sees what no holder declares.
// Use NewHeap.
type Heap struct {
	most  func() unit.Size
	read  func() int64
	tidy  func()
	told  func()
	start time.Time
	look  atomic.Int64 // when to look again, since start
	swept atomic.Int64 // when to collect again
	tight atomic.Bool
}

// NewHeap returns a Heap of at most so many octets; the function is asked again
// and again, so that a changed setting works at once. told is called each time that
// it becomes tight.
func NewHeap(most func() unit.Size, told func()) *Heap {
	return &Heap{most: most, read: inUse, tidy: runtime.GC, told: told, start: time.Now()}
}

// Tight reports that more than seven eighths are in use; a door may then refuse
// newcomers, so that those inside can finish. It costs next to nothing.
func (h *Heap) Tight() bool {
	now := int64(time.Since(h.start))
	if due := h.look.Load(); now >= due && h.look.CompareAndSwap(due, now+int64(heapPeriod)) {
		if tight := h.over(now); h.tight.Swap(tight) != tight && tight {
			h.told()
		}
	}
	return h.tight.Load()
}

// over compares what was alive at the last collection. A house that refuses
// everybody makes no garbage and so no collection: that is made here then.
func (h *Heap) over(now int64) bool {
	most := int64(h.most())
	most -= most / 8
	if h.read() <= most {
		return false
	}
	if now >= h.swept.Load() {
		h.swept.Store(now + int64(heapTidy))
		h.tidy()
	}
	return h.read() > most
}

// inUse is what was alive at the last collection, and all stacks.
func inUse() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	var sum int64
	for i := range s {
		if s[i].Value.Kind() == metrics.KindUint64 {
			sum += int64(s[i].Value.Uint64())
		}
	}
	return sum
}
