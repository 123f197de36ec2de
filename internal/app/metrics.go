package app

import (
	"context"
	"maps"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/api"
	"posthorn/internal/state/store"
)

// meters gathers the figures for /metrics. Everything but the queue's depth is
// in memory already; the depth reads the queue, so it is kept for a while.
type meters struct {
	d *doors

	mu    sync.Mutex
	depth []store.QueueDepth
	asked time.Time
}

// depthAge is how old the queue's depth may be.
const depthAge = 10 * time.Second

// read returns the figures of this moment.
func (m *meters) read(ctx context.Context) []api.Metric {
	return slices.Concat(m.process(), m.connections(), m.events(), m.queue(ctx), m.store(ctx))
}

func one(name, help string, kind api.MetricKind, n float64) api.Metric {
	return api.Metric{Name: name, Help: help, Kind: kind, Values: []api.Value{{Number: n}}}
}

// process tells of the program itself.
func (m *meters) process() []api.Metric {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	h := m.d.h
	return []api.Metric{
		{Name: "posthorn_build_info", Help: "Version of posthorn and of Go.", Kind: api.Gauge,
			Values: []api.Value{{Labels: []string{"version", h.Version, "go", runtime.Version()}, Number: 1}}},
		one("posthorn_start_time_seconds", "When the process began, in Unix time.", api.Gauge, float64(h.Service.Began().UnixMilli())/1000),
		one("posthorn_goroutines", "Goroutines now.", api.Gauge, float64(runtime.NumGoroutine())),
		one("posthorn_heap_bytes", "Memory in use by objects.", api.Gauge, float64(samples[0].Value.Uint64())),
		one("posthorn_memory_bytes", "Memory taken from the system.", api.Gauge, float64(samples[1].Value.Uint64())),
		one("posthorn_gc_cycles_total", "Garbage collections.", api.Counter, float64(samples[2].Value.Uint64())),
	}
}

// connections tells of the doors.
func (m *meters) connections() []api.Metric {
	s := m.d.group.Stats()
	open := api.Metric{Name: "posthorn_connections", Help: "Connections open now, by listener.", Kind: api.Gauge}
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		open.Values = append(open.Values, api.Value{Labels: []string{"listener", name}, Number: float64(s.Listeners[name])})
	}
	c := m.d.h.counts.series
	return []api.Metric{open,
		one("posthorn_client_hosts", "Different client hosts connected now.", api.Gauge, float64(s.Hosts)),
		one("posthorn_connections_accepted_total", "Connections accepted.", api.Counter, float64(s.Accepted)),
		one("posthorn_connections_turned_away_total", "Connections turned away because a bound was reached.", api.Counter, float64(s.Refused)),
		{Name: "posthorn_sessions_total", Help: "Mail sessions begun, by listener.", Kind: api.Counter, Values: c.by(event.SessionOpened)},
		{Name: "posthorn_logins_total", Help: "Logins that succeeded, by listener.", Kind: api.Counter, Values: c.by(event.AuthSucceeded)},
		{Name: "posthorn_login_failures_total", Help: "Logins that failed, by listener.", Kind: api.Counter, Values: c.by(event.AuthFailed)},
		{Name: "posthorn_logins_blocked_total", Help: "Logins not looked at after too many failures, by listener.", Kind: api.Counter, Values: c.by(event.AuthBlocked)},
	}
}

// results pairs what became of something with the event that tells it.
func (m *meters) results(name, help string, of map[string]event.Event) api.Metric {
	out := api.Metric{Name: name, Help: help, Kind: api.Counter}
	for _, result := range slices.Sorted(maps.Keys(of)) {
		out.Values = append(out.Values, api.Value{Labels: []string{"result", result}, Number: m.d.h.counts.series.total(of[result])})
	}
	return out
}

// events tells what the log told.
func (m *meters) events() []api.Metric {
	c := m.d.h.counts.series
	return []api.Metric{
		m.results("posthorn_messages_total", "Messages and recipients offered, by what became of them.", map[string]event.Event{"accepted": event.MessageAccepted,
			"refused": event.MessageRefused, "deferred": event.MessageDeferred, "discarded": event.MessageDropped}),
		{Name: "posthorn_policy_decisions_total", Help: "Decisions of checks other than to let pass, by check, stage, action and mode.", Kind: api.Counter, Values: c.by(event.PolicyDecision)},
		m.results("posthorn_deliveries_total", "Recipients the queue worked on, by what became of them.", map[string]event.Event{"delivered": event.QueueDelivered,
			"deferred": event.QueueDeferred, "failed": event.QueueFailed, "expired": event.QueueExpired}),
		one("posthorn_notices_total", "Notices to senders.", api.Counter, c.total(event.BounceQueued)),
		{Name: "posthorn_events_total", Help: "Lines of the log from level info on, written or not, by event (docs/events.md).", Kind: api.Counter, Values: c.all()},
	}
}

// queue tells what waits.
func (m *meters) queue(ctx context.Context) []api.Metric {
	out := api.Metric{Name: "posthorn_queue_recipients", Help: "Recipients waiting, by where they go and in which state.", Kind: api.Gauge}
	for _, d := range m.depths(ctx) {
		to := "remote"
		if d.Local {
			to = "local"
		}
		out.Values = append(out.Values, api.Value{Labels: []string{"destination", to, "state", d.State.String()}, Number: float64(d.Recipients)})
	}
	return []api.Metric{out}
}

// depths asks the store, seldom.
func (m *meters) depths(ctx context.Context) []store.QueueDepth {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.asked.IsZero() && time.Since(m.asked) < depthAge {
		return m.depth
	}
	depth, err := m.d.h.Store.Queue().Depth(ctx)
	if err != nil {
		m.d.h.Log.Log(event.StoreFailed, event.Err(err))
		return nil // no figure is better than an old one
	}
	all := []store.QueueDepth{{State: store.Queued}, {State: store.Held}, {Local: true, State: store.Queued}, {Local: true, State: store.Held}}
	for i := range all {
		for _, d := range depth {
			if d.Local == all[i].Local && d.State == all[i].State {
				all[i] = d
			}
		}
	}
	m.depth, m.asked = all, time.Now()
	return m.depth
}

// store tells of the disk and the commits.
func (m *meters) store(ctx context.Context) []api.Metric {
	h := m.d.h
	s, r := h.Store.Stats(), h.Records.Stats()
	out := []api.Metric{
		one("posthorn_store_commits_total", "Transactions made durable.", api.Counter, float64(s.Commits)),
		one("posthorn_store_writes_total", "Operations in them.", api.Counter, float64(s.Writes)),
		histogram("posthorn_store_commit_operations", "Operations in one commit.", s.CommitSizes),
		histogram("posthorn_store_commit_seconds", "Time of one commit.", s.CommitTimes),
		one("posthorn_records_kept_total", "Decision records kept.", api.Counter, float64(r.Kept)),
		one("posthorn_records_dropped_total", "Decision records dropped because they came too fast.", api.Counter, float64(r.Dropped)),
	}
	if s.Syncs >= 0 {
		out = append(out, one("posthorn_store_syncs_total", "Calls that make data durable.", api.Counter, float64(s.Syncs)))
	}
	room, err := h.Store.Room(ctx)
	if err != nil {
		h.Log.Log(event.StoreFailed, event.Err(err))
		return out
	}
	readOnly := 0.0
	if room.ReadOnly != nil {
		readOnly = 1
	}
	return append(out, one("posthorn_disk_free_bytes", "Room left where mail lies.", api.Gauge, float64(room.Free)),
		one("posthorn_disk_total_bytes", "Size of the disk where mail lies.", api.Gauge, float64(room.Total)),
		one("posthorn_store_read_only", "1: the store takes nothing since an input or output error.", api.Gauge, readOnly))
}

func histogram(name, help string, h store.Histogram) api.Metric {
	return api.Metric{Name: name, Help: help, Kind: api.KindHistogram, Histogram: &api.Histogram{Bounds: h.Bounds, Counts: h.Counts, Sum: h.Sum}}
}
