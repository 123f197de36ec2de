package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"posthorn/internal/base/event"
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

// labelled are the events whose attributes are labels, in this order. Every one
// of these has few values: names of listeners, checks, stages and modes.
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
	details map[string]*atomic.Int64 // "auth.failed\x00imap"
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

// detail counts an event with its labels; one it lacks is empty.
func (s *series) detail(r slog.Record, labels []string) {
	key := make([]string, 1+len(labels))
	key[0] = r.Message
	r.Attrs(func(a slog.Attr) bool {
		if i := slices.Index(labels, a.Key); i >= 0 {
			key[1+i] = a.Value.String()
		}
		return true
	})
	s.of(strings.Join(key, "\x00"), r.Message, len(labels)).Add(1)
}

// of returns the counter of a key.
func (s *series) of(key, name string, labels int) *atomic.Int64 {
	s.mu.RLock()
	n := s.details[key]
	s.mu.RUnlock()
	if n != nil {
		return n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.details[key] == nil && len(s.details) >= maxSeries {
		key = name + strings.Repeat("\x00other", labels)
	}
	if s.details[key] == nil {
		s.details[key] = new(atomic.Int64)
	}
	return s.details[key]
}

// total is how often an event happened.
func (s *series) total(e event.Event) float64 { return float64(s.events[e.String()].Load()) }

// all calls f with every event that happened.
func (s *series) all(f func(n float64, event ...string)) {
	for _, row := range event.All() {
		if n := s.events[row.Name].Load(); n > 0 {
			f(float64(n), row.Name)
		}
	}
}

// by calls f with the counters of one event by its labels.
func (s *series) by(e event.Event, f func(n float64, labels ...string)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key, n := range s.details {
		if name, labels, _ := strings.Cut(key, "\x00"); name == e.String() {
			f(float64(n.Load()), strings.Split(labels, "\x00")...)
		}
	}
}
