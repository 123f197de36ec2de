package app

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"posthorn/internal/policy"
	"posthorn/internal/policy/scan"
)

// pingTime bounds how long a scanner may take to say that it is there.
const pingTime = 5 * time.Second

// State implements policy.Scanners. All are asked side by side.
func (s *scanners) State(ctx context.Context) []policy.ScannerState {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	e := s.current()
	var all []policy.ScannerState
	var asks []func() (string, error)
	add := func(kind, address string, ask func() (string, error)) {
		all, asks = append(all, policy.ScannerState{Kind: kind, Address: address}), append(asks, ask)
	}
	if e.virus != nil {
		add("virus", e.of.Virus.Server, func() (string, error) { return e.virus.Version(ctx) })
	}
	if e.spam != nil {
		add("spam", e.of.Spam.URL, func() (string, error) { return "", e.spam.Ping(ctx) })
	}
	for i, m := range e.list {
		add("milter", m.Endpoint.String(), func() (string, error) { return "", s.meet(ctx, e, i) })
	}
	var asked sync.WaitGroup
	for i, ask := range asks {
		asked.Go(func() {
			version, err := ask()
			s.health.note(context.WithoutCancel(ctx), s.log, all[i].Kind, all[i].Address, err)
			if all[i].Version = version; err != nil {
				all[i].Problem = err.Error()
			}
		})
	}
	asked.Wait()
	return all
}

// meet greets one milter as this machine and leaves.
func (s *scanners) meet(ctx context.Context, e *engines, i int) error {
	session := scan.NewMilters(s.options(&e.of.Milters, e.list[i])).Session()
	defer session.Close()
	session.Connect(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), "localhost")
	return session.Err()
}
