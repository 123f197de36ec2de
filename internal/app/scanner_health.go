package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/policy/scan"
)

// health knows which scanners did not answer when they were last asked, so that
// an outage is told once, and is to be seen as long as it lasts.
type health struct {
	mu   sync.Mutex
	down []policy.ScannerState
}

// note keeps how a question went. A message that a scanner does not want, and a
// client that did not wait, say nothing about the scanner.
func (h *health) note(ctx context.Context, log *event.Logger, kind, address string, err error) {
	if errors.Is(err, scan.ErrTooLarge) || err != nil && ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.down, func(s policy.ScannerState) bool { return s.Kind == kind && s.Address == address })
	switch {
	case err == nil && at >= 0:
		h.down = slices.Delete(h.down, at, at+1)
	case err != nil && at >= 0:
		h.down[at].Problem = err.Error()
	case err != nil:
		h.down = append(h.down, policy.ScannerState{Kind: kind, Address: address, Problem: err.Error()})
		log.Log(event.ScanFailed, slog.String("kind", kind), slog.String("address", address), event.Err(err))
	}
}

// Down implements policy.Scanners. Scanners of new settings are asked first.
func (s *scanners) Down(ctx context.Context) (list []policy.ScannerState) {
	e := s.current()
	e.asked.Do(func() { s.State(ctx) })
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	for _, d := range s.health.down {
		if d.Address == e.of.Virus.Server || d.Address == e.of.Spam.URL || slices.ContainsFunc(e.list, func(m check.Milter) bool { return m.Endpoint.String() == d.Address }) {
			list = append(list, d)
		}
	}
	return list
}
