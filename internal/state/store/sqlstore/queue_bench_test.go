package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// BenchmarkQueue asks a queue of 100,000 messages what an administrator asks
// and reports the milliseconds. Run it with -benchtime 1x.
func BenchmarkQueue(b *testing.B) {
	for range b.N {
		benchmarkQueue(b, openTest(b, Options{}))
	}
}

// BenchmarkQueuePostgres is BenchmarkQueue on PostgreSQL.
func BenchmarkQueuePostgres(b *testing.B) {
	for range b.N {
		benchmarkQueue(b, openPG(b, database(b)))
	}
}

func benchmarkQueue(b *testing.B, s *Store) {
	const n = 100_000
	keys := make([]ident.ID, n)
	spread(n, 64, func(i int) { keys[i-1] = enqueue(b, s, 0, fmt.Sprintf("a%d@d%d.test", i, i%1000)) })
	q, ctx, held := s.Queue(), b.Context(), store.Held
	list := func(f store.QueueFilter, want int) func() error {
		return func() error {
			got, err := q.List(ctx, f)
			if err == nil && len(got) != want {
				err = fmt.Errorf("%d entries, want %d", len(got), want)
			}
			return err
		}
	}
	for _, x := range []struct {
		name string
		run  func() error
	}{
		{"List", list(store.QueueFilter{}, 100)},
		{"ListPage", list(store.QueueFilter{After: keys[n/2], Limit: 100}, 100)},
		{"ListSender", list(store.QueueFilter{Sender: "sender.test"}, 100)},
		{"ListNoSender", list(store.QueueFilter{Sender: "nobody@sender.test"}, 0)},
		{"ListDomain", list(store.QueueFilter{Recipient: "d7.test"}, 100)},
		{"ListRecipient", list(store.QueueFilter{Recipient: "a99999@d999.test"}, 1)},
		{"Hold", func() error { _, err := q.Hold(ctx, store.QueueFilter{ID: keys[n-1]}); return err }},
		{"ListHeld", list(store.QueueFilter{State: &held}, 1)},
		{"Count", func() error { _, _, err := q.Count(ctx); return err }},
		{"NextDue", func() error { _, _, err := q.NextDue(ctx, false); return err }},
		{"Claim", func() error { _, err := q.Claim(ctx, "n", false, 100, time.Minute); return err }},
		{"Abandon", func() error { _, err := q.Abandon(ctx, "n"); return err }},
		{"LeaseAndFinish1000", func() error { return leaseAndFinish(b, q, 10) }},
		{"ClaimWindow", func() error { return claimWindow(b, q) }},
		// What a restart does with what the process before had in its hand.
		{"AbandonWindow", func() error { _, err := q.Abandon(ctx, "n"); return err }},
		{"RetryDomain", func() error { _, err := q.Retry(ctx, store.QueueFilter{Recipient: "d7.test"}); return err }},
		{"HoldAll", func() error { _, err := q.Hold(ctx, store.QueueFilter{Sender: "sender.test"}); return err }},
	} {
		start := time.Now()
		if err := x.run(); err != nil {
			b.Fatal(x.name, err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, x.name+"-ms")
	}
}

// leaseAndFinish claims hundreds and finishes them, many at once.
func leaseAndFinish(b *testing.B, q store.Queue, hundreds int) error {
	for range hundreds {
		claims, err := q.Claim(b.Context(), "n", false, 100, time.Minute)
		if err != nil {
			return err
		}
		spread(len(claims), 64, func(i int) {
			c := claims[i-1]
			if err := q.Finish(b.Context(), c, outcomes(c, store.Outcome{NextTry: time.Now().Add(time.Hour), LastError: "450", Route: "far.test"}), nil); err != nil {
				b.Error(err)
			}
		})
	}
	return nil
}

// claimWindow claims as much as a runner holds in memory.
func claimWindow(b *testing.B, q store.Queue) error {
	for range 20 {
		if _, err := q.Claim(b.Context(), "n", false, 100, time.Minute); err != nil {
			return err
		}
	}
	return nil
}
