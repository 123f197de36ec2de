package report

import (
	"context"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/policy/evidence"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/dmarc"
)

const (
	// gathering is how long counts gather before they are written, sweeping how
	// often old ones are removed.
	gathering = time.Minute
	sweeping  = time.Hour
	// mostGathered bounds the combinations in memory, mostOfDay those of a day
	// in the store.
	mostGathered = 10_000
	mostOfDay    = 200_000
	// noteStep is how many are stored at once: others wait for no step long.
	noteStep = 500
	// lastWrite bounds the writing when it closes.
	lastWrite = 2 * time.Second
)

// MaterialOptions are what Material works with.
type MaterialOptions struct {
	Settings func() *Settings
	Reports  store.Reports
	Log      *event.Logger
}

// Material counts what our own reports will tell, and sweeps what is old.
type Material struct {
	o      MaterialOptions
	mu     sync.Mutex
	counts map[store.DMARCSeen]int64
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// NewMaterial starts counting. Close it before the store.
func NewMaterial(o MaterialOptions) *Material {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Material{o: o, counts: map[store.DMARCSeen]int64{}, cancel: cancel}
	m.ended.Go(func() { m.serve(ctx) })
	return m
}

// Close writes what was counted and ends.
func (m *Material) Close() {
	m.cancel()
	m.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastWrite)
	defer cancel()
	m.write(ctx)
}

// Judged counts a message that the rules have judged. It never waits and asks
// nobody: what was not looked up is not counted.
func (m *Material) Judged(f *policy.Facts, d *policy.Decision) {
	if !m.o.Settings().Collect {
		return
	}
	s, a, ok := f.Authenticated()
	if !ok {
		return
	}
	row, ok := evidence.Seen(f, s, a)
	if !ok {
		return
	}
	did(&row, d)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := row.Count
	row.Count = 0
	if _, known := m.counts[row]; known || len(m.counts) < mostGathered {
		m.counts[row] += n
	}
}

// did puts in what was really done to the message, if the house rules do
// something else than its domain asks for (RFC 7489 §7.2, local_policy).
func did(row *store.DMARCSeen, d *policy.Decision) {
	now := dmarc.PolicyNone
	switch {
	case d.Refuses() && d.Check == "dmarc":
		now = dmarc.PolicyReject
	case d.Refuses():
		return // for another reason: DMARC had no say
	case d.Effects.Junk != "" || d.Effects.Quarantine != "":
		now = dmarc.PolicyQuarantine
	}
	if row.Disposition != string(now) {
		row.Disposition, row.Override = string(now), "local_policy"
	}
}

func (m *Material) serve(ctx context.Context) {
	write, sweep := time.NewTicker(gathering), time.NewTicker(sweeping)
	defer write.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-write.C:
			m.write(ctx)
		case <-sweep.C:
			m.sweep(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// write stores the counts. Those that cannot be stored now are added again.
func (m *Material) write(ctx context.Context) {
	m.mu.Lock()
	counts := m.counts
	m.counts = map[store.DMARCSeen]int64{}
	m.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	rows := make([]store.DMARCSeen, 0, len(counts))
	for row, n := range counts {
		row.Count = n
		rows = append(rows, row)
	}
	for len(rows) > 0 {
		step := min(len(rows), noteStep)
		if err := m.o.Reports.Note(ctx, rows[:step], mostOfDay); err != nil {
			m.again(rows)
			if ctx.Err() == nil {
				m.o.Log.Log(event.StoreFailed, event.Err(err))
			}
			return
		}
		rows = rows[step:]
	}
}

// again keeps counts for the next time.
func (m *Material) again(rows []store.DMARCSeen) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range rows {
		n := row.Count
		row.Count = 0
		if _, known := m.counts[row]; known || len(m.counts) < mostGathered {
			m.counts[row] += n
		}
	}
}

// sweep removes what is older than the settings keep it.
func (m *Material) sweep(ctx context.Context) {
	s, now := m.o.Settings(), time.Now()
	for more := true; more && ctx.Err() == nil; {
		var err error
		_, more, err = m.o.Reports.SweepReports(ctx, now.Add(-s.KeepReceived), now.Add(-s.KeepCollected), s.MostRows)
		if err != nil {
			if ctx.Err() == nil {
				m.o.Log.Log(event.StoreFailed, event.Err(err))
			}
			return
		}
	}
}
