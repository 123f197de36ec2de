package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"posthorn/internal/base/event"
	"posthorn/internal/server/api"
)

// counts is a log handler that counts the events on their way to the log: what
// is worth a line is worth a figure, and nothing has to be counted twice. Lines
// the log's level leaves out are counted too.
type counts struct {
	next slog.Handler
	// series are shared by all handlers made from the first one.
	series *series
}

// countFrom is the least urgent level that is counted: below it a line is for
// looking at one session.
const countFrom = slog.LevelInfo

// labelled are the events whose attributes are labels. Every one of these has
// few values: names of listeners, checks, stages and modes.
func labelled(name string) []string {
	switch name {
	case event.SessionOpened.String(), event.AuthSucceeded.String(), event.AuthFailed.String(), event.AuthBlocked.String(), event.ConnectionRefused.String():
		return []string{"listener"}
	case event.PolicyDecision.String():
		return []string{"check", "stage", "action", "mode"}
	}
	return nil
}

// maxSeries bounds what one event's labels can make; the rest is counted as
// "other".
const maxSeries = 500

// series counts by event and labels.
type series struct {
	events  map[string]*atomic.Int64 // every event there is; never written to
	mu      sync.RWMutex
	details map[string]*atomic.Int64 // "auth.failed\x00listener\x00imap"
}

func newCounts(next slog.Handler) *counts {
	s := &series{events: map[string]*atomic.Int64{}, details: map[string]*atomic.Int64{}}
	for _, row := range event.All() {
		s.events[row.Name] = new(atomic.Int64)
	}
	return &counts{next: next, series: s}
}

// Enabled implements slog.Handler.
func (c *counts) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= countFrom || c.next.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (c *counts) Handle(ctx context.Context, r slog.Record) error {
	if n := c.series.events[r.Message]; n != nil {
		n.Add(1)
		if labels := labelled(r.Message); labels != nil {
			c.series.detail(r, labels)
		}
	}
	if !c.next.Enabled(ctx, r.Level) {
		return nil
	}
	return c.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c *counts) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &counts{next: c.next.WithAttrs(attrs), series: c.series}
}

// WithGroup implements slog.Handler.
func (c *counts) WithGroup(name string) slog.Handler {
	return &counts{next: c.next.WithGroup(name), series: c.series}
}

// detail counts an event with its labels.
func (s *series) detail(r slog.Record, labels []string) {
	key := make([]string, 1, 1+2*len(labels))
	key[0] = r.Message
	r.Attrs(func(a slog.Attr) bool {
		if slices.Contains(labels, a.Key) {
			key = append(key, a.Key, a.Value.String())
		}
		return true
	})
	s.of(strings.Join(key, "\x00"), r.Message).Add(1)
}

// of returns the counter of a key.
func (s *series) of(key, name string) *atomic.Int64 {
	s.mu.RLock()
	n := s.details[key]
	s.mu.RUnlock()
	if n != nil {
		return n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.details[key] == nil && len(s.details) >= maxSeries {
		key = name + "\x00other\x00yes"
	}
	if s.details[key] == nil {
		s.details[key] = new(atomic.Int64)
	}
	return s.details[key]
}

// total is how often an event happened.
func (s *series) total(e event.Event) float64 { return float64(s.events[e.String()].Load()) }

// all are the events as one metric.
func (s *series) all() (out []api.Value) {
	for _, row := range event.All() {
		if n := s.events[row.Name].Load(); n > 0 {
			out = append(out, api.Value{Labels: []string{"event", row.Name}, Number: float64(n)})
		}
	}
	return out
}

// by are the counters of one event by its labels, in a fixed order.
func (s *series) by(e event.Event) (out []api.Value) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(s.details)) {
		parts := strings.Split(key, "\x00")
		if parts[0] == e.String() {
			out = append(out, api.Value{Labels: parts[1:], Number: float64(s.details[key].Load())})
		}
	}
	return out
}
