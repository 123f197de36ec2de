package access_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

var (
	_ policy.Access = (*access.Lists)(nil)
	_ policy.Access = access.Looking{}
)

func newStore(t *testing.T) store.Access {
	t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), t.TempDir(), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Access()
}

// deaf is a node of its own: it is not told of changes by others, and its store
// fails when told so.
type deaf struct {
	store.Access
	fails atomic.Bool
	loads atomic.Int64
}

func (*deaf) Changed() <-chan struct{} { return nil }

func (d *deaf) All(ctx context.Context, now time.Time) ([]store.AccessRow, int64, error) {
	d.loads.Add(1)
	if d.fails.Load() {
		return nil, 0, store.ErrUnavailable
	}
	return d.Access.All(ctx, now)
}

func (d *deaf) Hit(ctx context.Context, hits map[int64]int64, last time.Time) error {
	if d.fails.Load() {
		return store.ErrUnavailable
	}
	return d.Access.Hit(ctx, hits, last)
}

func add(t *testing.T, s store.Access, kind, value string) {
	t.Helper()
	if _, err := s.Add(t.Context(), store.AccessRow{Name: value, Kind: kind, Value: value, Block: true}); err != nil {
		t.Fatal(err)
	}
}

var client = netip.MustParseAddr("192.0.2.1")

func TestRulesOfThisNodeAreInForceAtOnceThoseOfOthersSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		here, err := access.Open(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		other := &deaf{Access: s}
		there, err := access.Open(t.Context(), other, nil)
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, "ip", "192.0.2.1")
		synctest.Wait()
		if len(here.Client(client)) != 1 || len(there.Client(client)) != 0 {
			t.Errorf("at once: %d here, %d there", len(here.Client(client)), len(there.Client(client)))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(there.Client(client)) != 1 {
			t.Error("the other node has not seen it after two seconds")
		}
		loads := other.loads.Load()
		time.Sleep(time.Minute)
		if now := other.loads.Load(); now != loads {
			t.Errorf("nothing changed and the rules were read %d times more", now-loads)
		}
		if err := errors.Join(here.Close(), there.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestHitsAreWrittenEveryTenSecondsAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &deaf{Access: newStore(t)}
		add(t, s, "ip", "192.0.2.1")
		l, err := access.Open(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		hits := func(want int64, what string) {
			t.Helper()
			r, err := s.Get(t.Context(), "192.0.2.1")
			if err != nil || r.Hits != want {
				t.Errorf("%s: %d hits, want %d (%v)", what, r.Hits, want, err)
			}
		}
		r := l.Client(client)[0]
		l.Hit(r)
		l.Hit(r)
		l.Looking().Hit(r)
		hits(0, "at once")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		hits(2, "after ten seconds")
		s.fails.Store(true)
		l.Hit(r)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		hits(2, "while the store fails")
		s.fails.Store(false)
		l.Hit(r)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		hits(4, "at the end")
		if got, err := s.Get(t.Context(), "192.0.2.1"); err != nil || time.Since(got.LastHit) > time.Second {
			t.Errorf("the last hit was at %v, %v", got.LastHit, err)
		}
	})
}

func TestAStoreThatFailsLeavesTheRulesInForceAndIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &deaf{Access: newStore(t)}
		add(t, s, "ip", "192.0.2.1")
		l, err := access.Open(t.Context(), s, event.New(event.Handler(&log, event.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		s.fails.Store(true)
		add(t, s, "ip", "192.0.2.2")
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(l.Client(client)) != 1 || strings.Count(log.String(), "store.failed") != 1 {
			t.Errorf("%d rules, log:\n%s", len(l.Client(client)), log.String())
		}
		s.fails.Store(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(l.Client(netip.MustParseAddr("192.0.2.2"))) != 1 {
			t.Error("the rule of the outage is not in force after it")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		s.fails.Store(true)
		if _, err := access.Open(t.Context(), s, nil); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("without the rules it opens: %v", err)
		}
	})
}

func TestARuleThatCannotBeReadIsLeftOutAndTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newStore(t)
		add(t, s, "country", "de")
		add(t, s, "ip", "192.0.2.1")
		l, err := access.Open(t.Context(), s, event.New(event.Handler(&log, event.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Client(client)) != 1 || !strings.Contains(log.String(), "country") {
			t.Errorf("log: %s", log.String())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestExpiredRulesAreKeptForAMonth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		if _, err := s.Add(t.Context(), store.AccessRow{Name: "old", Kind: "ip", Value: "192.0.2.1", Expires: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		l, err := access.Open(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := l.Client(client)[0]
		time.Sleep(time.Minute)
		if r.Live(time.Now()) || r.Ended(time.Now()) != "expired" {
			t.Error("it is live a minute too long")
		}
		// A month of two-second polls is too many to wait through.
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), "old"); err != nil {
			t.Error(err)
		}
		time.Sleep(31 * 24 * time.Hour)
		if l, err = access.Open(t.Context(), s, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, err := s.Get(t.Context(), "old"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it is there for longer than a month: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
