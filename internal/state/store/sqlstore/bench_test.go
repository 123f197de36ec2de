package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// usage is what the process has used so far.
type usage struct {
	cpu     time.Duration
	written int64
}

func used(b testing.TB) usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	u := usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano())}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			u.written, _ = strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return u
}

// report prints what one operation cost.
func report(b *testing.B, before usage, n int64, took time.Duration) {
	after := used(b)
	b.ReportMetric(float64((after.cpu-before.cpu).Microseconds())/float64(n), "cpu-µs/op")
	b.ReportMetric(float64(after.written-before.written)/float64(n), "written/op")
	b.ReportMetric(float64(n)/took.Seconds(), "op/s")
}

// BenchmarkDeliver files messages into the inboxes of 64 accounts. of-log is
// its rate as a part of the bare log's, batch the messages in a commit.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{2000, 50_000} {
		for _, workers := range []int{1, 10, 64, 1000} {
			b.Run(fmt.Sprintf("size=%d/workers=%d", size, workers), func(b *testing.B) {
				s := openTest(b, Options{})
				benchmarkDeliver(b, s, size, workers)
			})
		}
	}
}

func benchmarkDeliver(b *testing.B, s *Store, size, workers int) {
	accounts := benchAccounts(b, s, 64)
	body := bytes.Repeat([]byte("Subject: 0123456789 abcdefgh\r\n"), size/30+1)[:size]
	before, stats := used(b), s.Stats()
	b.ResetTimer()
	took := spread(b.N, workers, func(i int) { deliver(b, s, accounts[i%len(accounts)], body) })
	b.StopTimer()
	now := s.Stats()
	report(b, before, int64(b.N), took)
	if now.Syncs >= 0 {
		b.ReportMetric(float64(now.Syncs-stats.Syncs)/float64(b.N), "syncs/op")
	}
	b.ReportMetric(float64(now.Writes-stats.Writes)/float64(now.Commits-stats.Commits), "batch")
	ofTheLog(b, size, b.N, workers, took)
}

// spread runs n jobs on so many goroutines.
func spread(n, workers int, job func(i int)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				job(int(i))
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func benchAccounts(b testing.TB, s *Store, n int) []store.AccountID {
	var list []store.AccountID
	for i := range n {
		list = append(list, addAccount(b, s, fmt.Sprint("user", i)))
	}
	return list
}

// BenchmarkBareLog is the floor: records of 2 KB appended to one file by a
// group-committing goroutine, one fdatasync a batch.
func BenchmarkBareLog(b *testing.B) {
	for _, workers := range []int{1, 10, 64, 1000} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			before := used(b)
			report(b, before, int64(b.N), bareLog(b, 2000, b.N, workers))
		})
	}
}

// ofTheLog reports the rate of n operations as a part of what the bare log
// does with records of that size, measured right after.
func ofTheLog(b *testing.B, size, n, workers int, took time.Duration) {
	records := min(max(n, 1000), 50_000)
	log := bareLog(b, size, records, workers)
	b.ReportMetric(float64(n)/took.Seconds()/(float64(records)/log.Seconds()), "of-log")
}

// bareLog appends n records and returns how long that took.
func bareLog(b *testing.B, size, n, workers int) time.Duration {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, 256<<20); err != nil {
		b.Log(err)
	}
	jobs := make(chan chan error, 1024)
	go appendRecords(f, size, jobs)
	defer close(jobs)
	return spread(n, workers, func(int) {
		done := make(chan error, 1)
		jobs <- done
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
}

func appendRecords(f *os.File, size int, jobs chan chan error) {
	record := make([]byte, size)
	var buf []byte
	var at int64
	for first := range jobs {
		batch := []chan error{first}
		for more := true; more && len(batch) < 512 && len(batch)*size < 16<<20; {
			select {
			case j, ok := <-jobs:
				if more = ok; ok {
					batch = append(batch, j)
				}
			default:
				more = false
			}
		}
		buf = buf[:0]
		for range batch {
			buf = append(buf, record...)
		}
		_, err := f.WriteAt(buf, at)
		if err == nil {
			err = syscall.Fdatasync(int(f.Fd()))
		}
		at = (at + int64(len(buf))) % (200 << 20)
		for _, j := range batch {
			j <- err
		}
	}
}

// BenchmarkGrowth delivers POSTHORN_GROWTH messages (say 1000000) and reports
// the rate of the first and the last tenth.
func BenchmarkGrowth(b *testing.B) {
	total, err := strconv.Atoi(os.Getenv("POSTHORN_GROWTH"))
	if err != nil {
		b.Skip("POSTHORN_GROWTH is not set")
	}
	s := openTest(b, Options{})
	accounts := benchAccounts(b, s, 64)
	body := bytes.Repeat([]byte("x"), 2000)
	part := total / 10
	var rates []float64
	for range b.N {
		for range 10 {
			before := used(b)
			took := spread(part, 64, func(i int) { deliver(b, s, accounts[i%64], body) })
			rates = append(rates, float64(part)/took.Seconds())
			b.Logf("%.0f/s, %.1f µs CPU", rates[len(rates)-1], float64((used(b).cpu-before.cpu).Microseconds())/float64(part))
		}
	}
	b.ReportMetric(rates[len(rates)-1]/rates[0], "last/first")
	for _, name := range []string{"posthorn.db", "posthorn.db-wal"} {
		if info, err := os.Stat(filepath.Join(s.engine.(*sqliteEngine).dir, name)); err == nil {
			b.ReportMetric(float64(info.Size()>>20), name+"-MB")
		}
	}
	if room, err := s.Room(context.Background()); err == nil {
		b.ReportMetric(float64(room.Free), "free")
	}
}
