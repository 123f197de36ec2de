package sqlstore

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// stranger is the i-th client of a benchmark, with texts of usual length.
func stranger(i int) store.GreylistRow {
	x := uint32(i) * 2654435761 // addresses come in no order
	return store.GreylistRow{Key: netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}).String(),
		Sender: fmt.Sprintf("sender%d@host%d.example", i, i%1000), Recipient: fmt.Sprintf("user%d@one.test", i%500),
		Helo: fmt.Sprintf("mail%d.example.net", i%5000)}
}

// BenchmarkGreylist notes attempts: of clients never seen, and of confirmed ones.
func BenchmarkGreylist(b *testing.B) {
	for _, engine := range []string{"SQLite", "PostgreSQL"} {
		for _, workers := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("%s/workers=%d", engine, workers), func(b *testing.B) {
				b.Run("new", func(b *testing.B) {
					benchmarkGreylist(b, benchEngine(b, engine), workers, func(i int) int { return i })
				})
				b.Run("known", func(b *testing.B) {
					s := benchEngine(b, engine)
					for i := range 1000 {
						if err := s.Greylist().Confirm(b.Context(), stranger(i).Key, time.Now()); err != nil {
							b.Fatal(err)
						}
					}
					benchmarkGreylist(b, s, workers, func(i int) int { return i % 1000 })
				})
			})
		}
	}
}

func benchEngine(b *testing.B, name string) *Store {
	if name == "SQLite" {
		return openTest(b, Options{})
	}
	return openPG(b, database(b))
}

func benchmarkGreylist(b *testing.B, s *Store, workers int, who func(i int) int) {
	before := used(b)
	b.ResetTimer()
	took := spread(b.N, workers, func(i int) {
		if _, _, err := s.Greylist().Attempt(context.Background(), stranger(who(i)), time.Now(), greylistRules); err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
	report(b, before, int64(b.N), took)
}

// BenchmarkGreylistFull fills a greylist with POSTHORN_GREYLIST entries (say
// 1000000) and reports what it takes on disk and in memory, and how long a list,
// an attempt, a sweep and a reset take then.
func BenchmarkGreylistFull(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("POSTHORN_GREYLIST"))
	if err != nil {
		b.Skip("POSTHORN_GREYLIST is not set")
	}
	full := func(name string, fill func(b *testing.B, s *Store, n int, begin time.Time), engine string) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				fullGreylist(b, benchEngine(b, engine), n, fill)
			}
		})
	}
	full("SQLite/usual", fillUsual, "SQLite")
	full("SQLite/hostile", fillHostile, "SQLite")
	full("PostgreSQL/usual", fillPostgres, "PostgreSQL")
}

// fillUsual confirms half of the clients; all texts are kept.
func fillUsual(b *testing.B, s *Store, n int, begin time.Time) {
	g := s.Greylist()
	spread(n, 512, func(i int) {
		a := stranger(i)
		if _, _, err := g.Attempt(context.Background(), a, begin.Add(time.Duration(i)*time.Microsecond), greylistRules); err != nil {
			b.Error(err)
		}
		if i%2 > 0 {
			return
		}
		if err := g.Confirm(context.Background(), a.Key, begin); err != nil {
			b.Error(err)
		}
	})
}

// fillHostile sends texts as long as they can be, up to the bound.
func fillHostile(b *testing.B, s *Store, n int, begin time.Time) {
	g, r, long := s.Greylist(), greylistRules, strings.Repeat("x", 300)
	r.Most = n
	spread(n, 512, func(i int) {
		a := store.GreylistRow{Key: stranger(i).Key, Sender: long, Recipient: long, Helo: long}
		if _, _, err := g.Attempt(context.Background(), a, begin.Add(time.Duration(i)*time.Microsecond), r); err != nil {
			b.Error(err)
		}
	})
}

func fullGreylist(b *testing.B, s *Store, n int, fill func(b *testing.B, s *Store, n int, begin time.Time)) {
	ctx, g, r := b.Context(), s.Greylist(), greylistRules
	start := time.Now()
	fill(b, s, n, start.Add(-time.Hour))
	took := time.Since(start)
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	b.Logf("%d entries made in %v, heap %d MB, resident %d MB, %s", n, took.Round(time.Second), mem.HeapAlloc>>20, resident(b), diskUse(b, s))
	timed := func(what string, f func() error) {
		at, before := time.Now(), used(b)
		if err := f(); err != nil {
			b.Error(what, err)
		}
		b.Logf("%-40s %v, %v of CPU", what, time.Since(at).Round(10*time.Microsecond), (used(b).cpu - before.cpu).Round(10*time.Microsecond))
	}
	list := func(f store.GreylistFilter) func() error {
		return func() error { _, err := g.List(ctx, f); return err }
	}
	timed("Count", func() error { _, _, err := g.Count(ctx); return err })
	for _, sort := range []string{"key", "last", "first"} {
		timed("List by "+sort, list(store.GreylistFilter{Sort: sort}))
	}
	timed("List with a search that finds nothing", list(store.GreylistFilter{Search: "nobody"}))
	r.Most = n
	timed("Attempt beyond the bound", func() error { _, _, err := g.Attempt(ctx, stranger(n+1), start, r); return err })
	r.Most = n / 2
	sweepAll(b, s, "too many", start, r)
	sweepAll(b, s, "too old", start.Add(100*time.Hour), r)
	timed("Reset", func() error { _, err := g.Reset(ctx); return err })
}

// fillPostgres makes entries in one statement: a commit each would take an hour.
func fillPostgres(b *testing.B, s *Store, n int, begin time.Time) {
	err := s.write(b.Context(), func(t *txn) error {
		return t.put(`INSERT INTO greylist (client, first, confirmed, last, deferred, passed, sender, recipient, helo)
			SELECT '100.' || i / 65536 || '.' || i / 256 % 256 || '.' || i % 256, CAST(? AS BIGINT) + i, i % 2 * CAST(? AS BIGINT), CAST(? AS BIGINT) + i, 1, 0,
			'sender' || i || '@host' || i % 1000 || '.example', 'user' || i % 500 || '@one.test', 'mail' || i % 5000 || '.example.net'
			FROM generate_series(1, ?) AS i`, begin, begin, begin, n)
	})
	if err != nil {
		b.Fatal(err)
	}
}

// sweepAll sweeps to the end and reports the longest step.
func sweepAll(b *testing.B, s *Store, what string, now time.Time, r store.GreylistRules) {
	var longest time.Duration
	removed, steps, start, before := 0, 0, time.Now(), used(b)
	for more := true; more; steps++ {
		var n int
		var err error
		at := time.Now()
		if n, more, err = s.Greylist().Sweep(context.Background(), now, r); err != nil {
			b.Fatal(err)
		}
		removed += n
		longest = max(longest, time.Since(at))
	}
	b.Logf("swept %d, %s, in %d steps and %v, the longest %v, %v of CPU each", removed, what, steps,
		time.Since(start).Round(time.Millisecond), longest.Round(10*time.Microsecond), (used(b).cpu-before.cpu)/time.Duration(steps))
}

// resident is the process's memory in MB.
func resident(b *testing.B) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// diskUse says how large the tables of the greylist are.
func diskUse(b *testing.B, s *Store) string {
	if e, ok := s.engine.(*sqliteEngine); ok {
		info, err := os.Stat(filepath.Join(e.dir, "posthorn.db"))
		if err != nil {
			b.Fatal(err)
		}
		return fmt.Sprintf("file %d MB", info.Size()>>20)
	}
	var text string
	_, err := s.get(b.Context(), `SELECT 'table ' || pg_relation_size('greylist') / 1048576 || ' MB, with indexes ' || pg_total_relation_size('greylist') / 1048576 || ' MB'`,
		nil, func(r row) error { text = r.text(0); return nil })
	if err != nil {
		b.Fatal(err)
	}
	return text
}
