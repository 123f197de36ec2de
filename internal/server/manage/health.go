package manage

import (
	"context"
	"sync"
)

// Health is whether the server does its work, part by part.
type Health struct {
	// Ready: mail can be accepted and is delivered.
	Ready bool          `json:"ready"`
	Parts []HealthOfOne `json:"parts"`
}

// HealthOfOne is the state of one part. Reason says in general words what is
// wrong: strangers may read it.
type HealthOfOne struct {
	Part   string `json:"part"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

// probes are what only a running server can ask about.
type probes struct {
	mu   sync.Mutex
	list []probe
}

type probe struct {
	part string
	// wrong returns why the part does not work, "" when it does.
	wrong func() string
}

// Watch adds a part to the server's health. wrong is called at any time and
// must not wait; it returns "" while the part works.
func (s *Service) Watch(part string, wrong func() string) {
	s.probes.mu.Lock()
	defer s.probes.mu.Unlock()
	s.probes.list = append(s.probes.list, probe{part, wrong})
}

// minRoom is what a disk needs free before mail is accepted; the store keeps as
// much for itself.
const minRoom = 16 << 20

// Health asks every part. It costs no commit, for anybody may ask.
func (s *Service) Health(ctx context.Context) Health {
	h := Health{Ready: true}
	add := func(part, reason string) {
		h.Parts = append(h.Parts, HealthOfOne{Part: part, Ready: reason == "", Reason: reason})
		h.Ready = h.Ready && reason == ""
	}
	room, err := s.o.Store.Room(ctx)
	switch {
	case err != nil:
		add("store", "the store does not answer")
	case room.ReadOnly != nil:
		add("store", "the store takes nothing since an input or output error; look at the disk, then restart")
	default:
		add("store", "")
	}
	if err == nil && room.Total > 0 && room.Free < minRoom {
		add("disk", "no room is left")
	} else if err == nil {
		add("disk", "")
	}
	s.probes.mu.Lock()
	list := s.probes.list
	s.probes.mu.Unlock()
	for _, p := range list {
		add(p.part, p.wrong())
	}
	return h
}
