package sqlstore

import (
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

// meter counts commits by size and by the time they took. It costs a commit two
// additions.
type meter struct {
	sizes, times counted
}

const (
	sizeSteps = 9 // 1, 2, 4 … 256 operations
	timeSteps = 9
)

// timeBounds are upper bounds in seconds; a commit on a good disk takes about a
// millisecond.
func timeBounds() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5}
}

func sizeBounds() []float64 { return []float64{1, 2, 4, 8, 16, 32, 64, 128, 256} }

// counted is one histogram; the sum is in millionths.
type counted struct {
	counts [max(sizeSteps, timeSteps) + 1]atomic.Int64
	sum    atomic.Int64
}

func (c *counted) observe(bounds []float64, v float64) {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	c.counts[i].Add(1)
	c.sum.Add(int64(v * 1e6))
}

func (c *counted) read(bounds []float64) store.Histogram {
	h := store.Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1), Sum: float64(c.sum.Load()) / 1e6}
	for i := range h.Counts {
		h.Counts[i] = c.counts[i].Load()
	}
	return h
}

// commit books one commit of n operations that began at a time.
func (m *meter) commit(n int, began time.Time) {
	m.sizes.observe(sizeBounds(), float64(n))
	m.times.observe(timeBounds(), time.Since(began).Seconds())
}

// fill puts the figures into the statistics.
func (m *meter) fill(s store.Stats) store.Stats {
	s.CommitSizes, s.CommitTimes = m.sizes.read(sizeBounds()), m.times.read(timeBounds())
	return s
}
