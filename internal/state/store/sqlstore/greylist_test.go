package sqlstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

var greylistRules = store.GreylistRules{Interval: time.Minute, Wait: 8 * time.Hour, Expiry: 72 * time.Hour}

// A retry may come to another node than the first attempt, or to two at once
// (B1G-GREY-08).
func TestNodesShareTheGreylist(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	nodes := []*Store{openPG(t, dsn), openPG(t, dsn), openPG(t, dsn)}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for round := range 20 {
		key := fmt.Sprint("192.0.2.", round)
		all := func(now time.Time) (passed int) {
			waits := make([]time.Duration, len(nodes))
			errs := make([]error, len(nodes))
			var wg sync.WaitGroup
			for i, s := range nodes {
				wg.Go(func() {
					_, waits[i], errs[i] = s.Greylist().Attempt(t.Context(), store.GreylistRow{Key: key}, now, greylistRules)
				})
			}
			wg.Wait()
			for i := range nodes {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				if waits[i] == 0 {
					passed++
				}
			}
			return passed
		}
		if n := all(noon); n != 0 {
			t.Fatalf("%d first attempts passed", n)
		}
		if n := all(noon.Add(time.Minute)); n != len(nodes) {
			t.Fatalf("%d of %d retries passed", n, len(nodes))
		}
		got, err := nodes[0].Greylist().Get(t.Context(), key)
		if err != nil || !got.First.Equal(noon) || !got.Confirmed.Equal(noon.Add(time.Minute)) || got.Deferred != 3 || got.Passed != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// Nodes that evict and sweep at once neither fail nor remove more than what is
// over or too much.
func TestNodesSweepTheGreylistTogether(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	nodes := []*Store{openPG(t, dsn), openPG(t, dsn)}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	r := greylistRules
	r.Most = 100
	var wg sync.WaitGroup
	for n, s := range nodes {
		wg.Go(func() {
			for i := range 300 {
				if _, _, err := s.Greylist().Attempt(t.Context(), store.GreylistRow{Key: fmt.Sprint(n, " ", i)}, now, r); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					if _, _, err := s.Greylist().Sweep(t.Context(), now, r); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for more := true; more; {
		var err error
		if _, more, err = nodes[0].Greylist().Sweep(t.Context(), now, r); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := nodes[0].Greylist().Count(t.Context()); err != nil || n > 100 || n < 80 {
		t.Errorf("%d entries, %v", n, err)
	}
}

// Names, ids and versions are those of one list, whichever node adds to it.
func TestNodesAddToListsTogether(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	here, there := openPG(t, dsn), openPG(t, dsn)
	var wg sync.WaitGroup
	for n, s := range []*Store{here, there} {
		wg.Go(func() {
			for i := range 20 {
				if _, err := s.Access().Add(t.Context(), store.AccessRow{Name: fmt.Sprint(n, " ", i), Kind: "ip", Value: "192.0.2.1"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rows, version, err := there.Access().All(t.Context(), time.Now())
	if err != nil || len(rows) != 40 || version != 40 {
		t.Errorf("%d rules, version %d, %v", len(rows), version, err)
	}
	ids := map[int64]bool{}
	for _, r := range rows {
		ids[r.ID] = true
	}
	if len(ids) != 40 {
		t.Errorf("%d ids", len(ids))
	}
}
