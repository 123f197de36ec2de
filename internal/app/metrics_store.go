package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// askTime bounds what a scrape asks the store.
const askTime = 5 * time.Second

// depths remembers the queue's depth: all other figures are in memory, this one
// reads the queue.
type depths struct {
	h     *House
	mu    sync.Mutex
	last  []store.QueueDepth
	asked time.Time
}

// depthAge is how old the queue's depth may be.
const depthAge = 10 * time.Second

// metrics tells what waits.
func (q *depths) metrics() figures {
	waiting := gauge("queue_recipients", "Recipients waiting, by where they go and in which state.", "destination", "state")
	return figures{[]metric{waiting}, func(out chan<- prometheus.Metric) {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		for _, d := range q.now(ctx) {
			to := "remote"
			if d.Local {
				to = "local"
			}
			waiting.to(out)(float64(d.Recipients), to, d.State.String())
		}
	}}
}

// now asks the store, seldom.
func (q *depths) now(ctx context.Context) []store.QueueDepth {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.asked.IsZero() && time.Since(q.asked) < depthAge {
		return q.last
	}
	depth, err := q.h.Store.Queue().Depth(ctx)
	if err != nil {
		q.h.Log.Log(event.StoreFailed, event.Err(err))
		return nil // no figure is better than an old one
	}
	all := []store.QueueDepth{{State: store.Queued}, {State: store.Held}, {State: store.Quarantined},
		{Local: true, State: store.Queued}, {Local: true, State: store.Held}, {Local: true, State: store.Quarantined}}
	for i := range all {
		for _, d := range depth {
			if d.Local == all[i].Local && d.State == all[i].State {
				all[i] = d
			}
		}
	}
	q.last, q.asked = all, time.Now()
	return q.last
}

// storeMetrics tells of the disk and the commits.
func (h *House) storeMetrics() figures {
	commits := counter("store_commits_total", "Transactions made durable.")
	writes := counter("store_writes_total", "Operations in them.")
	syncs := counter("store_syncs_total", "Calls that make data durable.")
	sizes := distribution("store_commit_operations", "Operations in one commit.")
	times := distribution("store_commit_seconds", "Time of one commit.")
	kept := counter("records_kept_total", "Decision records kept.")
	dropped := counter("records_dropped_total", "Decision records dropped because they came too fast.")
	free := gauge("disk_free_bytes", "Room left where mail lies.")
	size := gauge("disk_total_bytes", "Size of the disk where mail lies.")
	readOnly := gauge("store_read_only", "1: the store takes nothing since an input or output error.")
	return figures{[]metric{commits, writes, syncs, sizes, times, kept, dropped, free, size, readOnly}, func(out chan<- prometheus.Metric) {
		s, r := h.Store.Stats(), h.Records.Stats()
		commits.to(out)(float64(s.Commits))
		writes.to(out)(float64(s.Writes))
		if s.Syncs >= 0 {
			syncs.to(out)(float64(s.Syncs))
		}
		sizes.histogram(out, s.CommitSizes)
		times.histogram(out, s.CommitTimes)
		kept.to(out)(float64(r.Kept))
		dropped.to(out)(float64(r.Dropped))
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		room, err := h.Store.Room(ctx)
		if err != nil {
			h.Log.Log(event.StoreFailed, event.Err(err))
			return
		}
		free.to(out)(float64(room.Free))
		size.to(out)(float64(room.Total))
		readOnly.to(out)(truth(room.ReadOnly != nil))
	}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// histogram sends what the store counted by size: cumulative here, not there.
func (m metric) histogram(out chan<- prometheus.Metric, h store.Histogram) {
	var n uint64
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, count := range h.Counts {
		if n += uint64(count); i < len(h.Bounds) {
			buckets[h.Bounds[i]] = n
		}
	}
	v, err := prometheus.NewConstHistogram(m.desc, n, h.Sum, buckets)
	if err != nil {
		v = prometheus.NewInvalidMetric(m.desc, err)
	}
	out <- v
}

// dnsMetrics tells how well the resolver remembers.
func (h *House) dnsMetrics() figures {
	lookups := counter("dns_lookups_total", "Look-ups of names, by where the answer came from.", "source")
	failures := counter("dns_failures_total", "Look-ups that no server answered.")
	entries := gauge("dns_cache_entries", "Answers remembered.")
	bytes := gauge("dns_cache_bytes", "Memory they take, about.")
	return figures{[]metric{lookups, failures, entries, bytes}, func(out chan<- prometheus.Metric) {
		s := h.Resolver.Stats()
		lookups.to(out)(float64(s.Hits), "memory")
		lookups.to(out)(float64(s.Misses), "server")
		failures.to(out)(float64(s.Failures))
		entries.to(out)(float64(s.Entries))
		bytes.to(out)(float64(s.Bytes))
	}}
}
