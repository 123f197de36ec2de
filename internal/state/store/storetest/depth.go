package storetest

import (
	"slices"
	"time"

	"posthorn/internal/state/store"
)

var depthTests = []test{
	{name: "CountsByKindAndState", run: depthCounts},
	{name: "CommitsAreCountedBySize", run: commitsCounted},
}

func depthCounts(e *env) {
	q, now := e.s.Queue(), time.Now()
	if d, err := q.Depth(e.ctx); err != nil || len(d) != 0 {
		e.t.Errorf("an empty queue has the depth %+v, %v", d, err)
	}
	a := e.account()
	held := e.enqueue("x", nil, rcpt("a", now), rcpt("b", now.Add(time.Hour)))
	_, err := q.Hold(e.ctx, store.QueueFilter{ID: held})
	e.must(err)
	here := rcpt("c", now)
	here.Local = a.ID()
	e.enqueue("y", nil, here, rcpt("d", now))
	want := []store.QueueDepth{{State: store.Queued, Recipients: 1}, {State: store.Held, Recipients: 2}, {Local: true, State: store.Queued, Recipients: 1}}
	if d, err := q.Depth(e.ctx); err != nil || !slices.Equal(d, want) {
		e.t.Errorf("depth %+v, %v; want %+v", d, err, want)
	}
}

func commitsCounted(e *env) {
	e.account()
	s := e.s.Stats()
	var sizes, times int64
	for i := range s.CommitSizes.Counts {
		sizes += s.CommitSizes.Counts[i]
	}
	for i := range s.CommitTimes.Counts {
		times += s.CommitTimes.Counts[i]
	}
	if sizes == 0 || times != sizes || s.CommitSizes.Sum < float64(sizes) {
		e.t.Errorf("%d commits by size (%v operations), %d by time", sizes, s.CommitSizes.Sum, times)
	}
}
