package sqlstore

import (
	"fmt"
	"testing"
)

// BenchmarkDeliverPostgres is BenchmarkDeliver on PostgreSQL; CPU is the
// client's alone.
func BenchmarkDeliverPostgres(b *testing.B) {
	for _, workers := range []int{1, 10, 64, 1000} {
		b.Run(fmt.Sprintf("size=2000/workers=%d", workers), func(b *testing.B) {
			s := openPG(b, database(b))
			benchmarkDeliver(b, s, 2000, workers)
		})
	}
}
