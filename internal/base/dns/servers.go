package dns

import (
	"sync"
	"time"
)

// A server that does not answer is asked last for a while.
const (
	strikes = 2                // silences in a row until a server counts as failing
	bench   = 30 * time.Second // how long it is asked last
)

// health remembers which servers fail. The map has the servers of the list
// only and is emptied when the list changes.
type health struct {
	mu     sync.Mutex
	states map[string]*state
	first  string // who was asked first the last time
}

type state struct {
	failures int
	until    time.Time
	answered time.Time // the last time it did
}

func (h *health) state(server string) *state {
	s := h.states[server]
	if s == nil {
		s = &state{}
		h.states[server] = s
	}
	return s
}

// order puts failing servers last. When the time of one is over, one question
// alone goes to it first, as a probe. switched tells that another server than
// before comes first.
func (h *health) order(list []string, now time.Time, probe time.Duration) (ordered []string, switched bool) {
	if len(list) < 2 {
		return list, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var failing []string
	ordered = make([]string, 0, len(list))
	probing := false
	for _, server := range list {
		s := h.state(server)
		switch {
		case s.failures < strikes:
			ordered = append(ordered, server)
		case now.Before(s.until):
			failing = append(failing, server)
		default:
			s.until = now.Add(probe)
			ordered = append(ordered, server)
			probing = true
		}
	}
	ordered = append(ordered, failing...)
	if probing {
		return ordered, false
	}
	switched = h.first != "" && h.first != ordered[0]
	h.first = ordered[0]
	return ordered, switched
}

// failed notes that a server did not answer; at once when it cannot be
// reached or refuses us. Silence while it answered others is the fault of the
// name, whose own servers may be slow on purpose.
func (h *health) failed(server string, began, now time.Time, atOnce bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state(server)
	if !atOnce && s.answered.After(began) {
		return
	}
	s.failures++
	if atOnce {
		s.failures = max(s.failures, strikes)
	}
	if s.failures >= strikes {
		s.until = now.Add(bench)
	}
}

func (h *health) worked(server string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*h.state(server) = state{answered: now}
}

func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.states)
	h.first = ""
}
