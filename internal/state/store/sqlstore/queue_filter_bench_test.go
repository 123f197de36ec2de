package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// BenchmarkQueueFilters asks a queue of 100,000 messages for first pages of
// lists and says how many milliseconds each took. Run it with -benchtime 1x -v.
func BenchmarkQueueFilters(b *testing.B) {
	for range b.N {
		benchmarkFilters(b, openTest(b, Options{}), func(string) {})
	}
}

// BenchmarkQueueFiltersPostgres is BenchmarkQueueFilters on PostgreSQL, before
// and after it learnt about the tables.
func BenchmarkQueueFiltersPostgres(b *testing.B) {
	for range b.N {
		s := openPG(b, database(b))
		benchmarkFilters(b, s, func(statement string) {
			if _, err := s.engine.(*pgEngine).pool.Exec(b.Context(), statement); err != nil {
				b.Fatal(err)
			}
		})
	}
}

const filterRows = 100_000

// fillFilters puts messages into the queue: half of them of and to one large
// domain, the others of and to a thousand; the last one is like no other.
func fillFilters(b *testing.B, s *Store) []ident.ID {
	all := make([]ident.ID, filterRows)
	meta, now := make([]byte, 400), time.Now()
	for first := 0; first < filterRows; first += 2000 {
		err := s.write(b.Context(), func(t *txn) error {
			at, err := s.queue.clock.tick(t)
			if err != nil {
				return err
			}
			for i := first; i < first+2000; i++ {
				all[i] = ids.New()
				from, to, route, state := fmt.Sprintf("s%d.test", i%1000), fmt.Sprintf("d%d.test", i%1000), "", store.Queued
				if i%2 == 0 {
					from, to, route = "large.test", "huge.test", "huge.test"
				}
				if i%10 == 0 {
					route = "huge.test (rule)"
				}
				if i == filterRows-1 {
					from, to, route, state = "last.test", "lost.test", "lost.test (rule)", store.Held
				}
				m := &store.QueueMessage{ID: all[i], Sender: address(b, fmt.Sprintf("u%d@%s", i/2, from)), Meta: meta, Accepted: now, Expires: now.Add(time.Hour)}
				if err := t.addBody(int64(10_000_000+i), []byte("Received: x\r\n"), content{inline: meta}); err != nil {
					return err
				}
				if err := s.queue.add(t, m, int64(10_000_000+i)); err != nil {
					return err
				}
				r := store.QueueRecipient{Address: address(b, fmt.Sprintf("r%d@%s", i/2, to)), NextTry: now, Route: route, State: state}
				if err := s.queue.addRecipient(t, at, all[i], &r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return all
}

func benchmarkFilters(b *testing.B, s *Store, run func(statement string)) {
	start := time.Now()
	all := fillFilters(b, s)
	b.Logf("filled in %v", time.Since(start))
	held, queued := store.Held, store.Queued
	measure := func(what string) {
		for _, x := range []struct {
			name string
			f    store.QueueFilter
			want int
		}{
			{"all", store.QueueFilter{}, 100},
			{"page", store.QueueFilter{After: all[filterRows/2]}, 100},
			{"sender-large", store.QueueFilter{Sender: "large.test"}, 100},
			{"sender-last", store.QueueFilter{Sender: "last.test"}, 1},
			{"sender-one", store.QueueFilter{Sender: "u49000@large.test"}, 1},
			{"sender-none", store.QueueFilter{Sender: "none.test"}, 0},
			{"rcpt-huge", store.QueueFilter{Recipient: "huge.test"}, 100},
			{"rcpt-last", store.QueueFilter{Recipient: "lost.test"}, 1},
			{"rcpt-one", store.QueueFilter{Recipient: "r49000@huge.test"}, 1},
			{"rcpt-none", store.QueueFilter{Recipient: "none.test"}, 0},
			{"dest-huge", store.QueueFilter{Destination: "huge.test"}, 100},
			{"dest-rule", store.QueueFilter{Destination: "huge.test (rule)"}, 100},
			{"dest-last", store.QueueFilter{Destination: "lost.test"}, 1},
			{"dest-none", store.QueueFilter{Destination: "none.test"}, 0},
			{"held", store.QueueFilter{State: &held}, 1},
			{"queued", store.QueueFilter{State: &queued}, 100},
			{"sender-held", store.QueueFilter{Sender: "large.test", State: &held}, 0},
			{"sender-rcpt", store.QueueFilter{Sender: "large.test", Recipient: "d1.test"}, 0},
			{"sender-rcpt-2", store.QueueFilter{Sender: "s1.test", Recipient: "huge.test"}, 0},
			{"sender-rcpt-3", store.QueueFilter{Sender: "large.test", Recipient: "huge.test"}, 100},
			{"rcpt-held", store.QueueFilter{Recipient: "huge.test", State: &held}, 0},
			{"dest-held", store.QueueFilter{Destination: "huge.test", State: &held}, 0},
		} {
			best := time.Hour
			worst := time.Duration(0)
			for range 8 { // from the sixth on PostgreSQL may plan for any parameters
				start := time.Now()
				list, err := s.Queue().List(b.Context(), x.f)
				took := time.Since(start)
				best, worst = min(best, took), max(worst, took)
				if err != nil || len(list) != x.want {
					b.Fatalf("%s: %d entries, %v", x.name, len(list), err)
				}
			}
			b.Logf("%-8s %-14s %8.2f … %8.2f ms", what, x.name, ms(best), ms(worst))
		}
	}
	measure("fresh")
	run("ANALYZE")
	run("DISCARD PLANS")
	measure("analysed")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
