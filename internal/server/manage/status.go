package manage

import (
	"context"
	"sync"
	"time"

	"posthorn/internal/policy"
)

// Listener is an open door.
type Listener struct {
	Listener string `json:"listener"`
	Addr     string `json:"addr"`
}

// doors is what only a running server knows.
type doors struct {
	mu        sync.Mutex
	listeners []Listener
	sessions  func() int
}

// Status is what the server is doing.
type Status struct {
	Version    string     `json:"version"`
	Hostname   string     `json:"hostname"`
	Node       string     `json:"node" doc:"Name of this data folder among all nodes, as claimed_by of the queue tells it"`
	Running    bool       `json:"running" doc:"A server runs; otherwise the answer comes from its data folder alone"`
	Since      time.Time  `json:"since"`
	Listeners  []Listener `json:"listeners"`
	Sessions   int        `json:"sessions" doc:"Connections open now"`
	Queue      int64      `json:"queue" doc:"Messages waiting"`
	Recipients int64      `json:"queue_recipients"`
	Free       Octets     `json:"free" doc:"Room left on the disk"`
	Total      Octets     `json:"total"`
	ReadOnly   string     `json:"read_only,omitempty" doc:"Why the store takes nothing any more"`
	Store      StoreStats `json:"store"`
	Records    struct {
		Kept    int64 `json:"kept"`
		Dropped int64 `json:"dropped"`
	} `json:"records"`
	OnTrial  int64                 `json:"setting_on_trial,omitempty" doc:"Version of the settings that waits to be confirmed"`
	Restart  []string              `json:"restart,omitempty" doc:"Settings that wait for the next start"`
	Problems []string              `json:"problems,omitempty" doc:"Stored settings that could not be put into force"`
	Scanners []policy.ScannerState `json:"scanners_down,omitempty" doc:"Scanners that do not answer; mail is treated as their settings say"`
}

// StoreStats counts the store's work since the start.
type StoreStats struct {
	Commits   int64  `json:"commits"`
	Writes    int64  `json:"writes"`
	Syncs     int64  `json:"syncs"`
	BodyBytes Octets `json:"body_bytes"`
	MaxBatch  int    `json:"max_batch"`
}

func statusOperations() []Operation {
	return []Operation{declare("status", get, "/status", reader, "What the server is doing", (*Service).status)}
}

// Opened tells the service which doors the server opened, and how to count its
// sessions.
func (s *Service) Opened(listeners []Listener, sessions func() int) {
	s.doors.mu.Lock()
	defer s.doors.mu.Unlock()
	s.doors.listeners, s.doors.sessions = listeners, sessions
}

func (s *Service) status(ctx context.Context, _ *None) (Status, error) {
	st := Status{Version: s.o.Version, Hostname: s.o.Hostname(), Node: s.o.Node, Since: s.began.UTC(), Listeners: []Listener{}}
	s.doors.mu.Lock()
	if s.doors.sessions != nil {
		st.Running, st.Listeners, st.Sessions = true, s.doors.listeners, s.doors.sessions()
	}
	s.doors.mu.Unlock()
	room, err := s.o.Store.Room(ctx)
	if err != nil {
		return st, err
	}
	st.Free, st.Total = Octets(room.Free), Octets(room.Total)
	if room.ReadOnly != nil {
		st.ReadOnly = room.ReadOnly.Error()
	}
	if st.Queue, st.Recipients, err = s.o.Store.Queue().Count(ctx); err != nil {
		return st, err
	}
	x := s.o.Store.Stats()
	st.Store = StoreStats{Commits: x.Commits, Writes: x.Writes, Syncs: x.Syncs, BodyBytes: Octets(x.BodyBytes), MaxBatch: x.MaxBatch}
	r := s.o.Records.Stats()
	st.Records.Kept, st.Records.Dropped = r.Kept, r.Dropped
	st.OnTrial, _, _, _ = s.o.Settings.OnTrial()
	st.Restart = s.o.Settings.PendingRestart()
	for _, p := range s.o.Settings.Problems() {
		st.Problems = append(st.Problems, p.String())
	}
	if s.o.Sources.Scanners != nil {
		st.Scanners = s.o.Sources.Scanners.Down(ctx)
	}
	return st, nil
}
