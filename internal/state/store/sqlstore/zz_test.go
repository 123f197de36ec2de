package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

func BenchmarkZZPGLease(b *testing.B) {
	s := openPG(b, database(b))
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for range b.N/64 + 1 {
				enqueue(b, s, 0, fmt.Sprintf("u%d@one.test", w))
			}
		})
	}
	wg.Wait()
	b.ResetTimer()
	work := make(chan store.Claim, 1000)
	for range 32 {
		wg.Go(func() {
			for c := range work {
				if err := s.Queue().Finish(context.Background(), c, outcomes(c, store.Outcome{Done: true})); err != nil {
					b.Error(err)
				}
			}
		})
	}
	var d time.Duration
	for {
		t0 := time.Now()
		claims, err := s.Queue().Claim(context.Background(), "n", false, 100, time.Hour)
		d += time.Since(t0)
		if err != nil {
			b.Fatal(err)
		}
		if len(claims) == 0 {
			break
		}
		for _, c := range claims {
			work <- c
		}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(d.Microseconds())/float64(b.N), "claim-us/op")
}
