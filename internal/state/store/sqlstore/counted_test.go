package sqlstore

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// listener hands on what it is asked and notes the statements of writers.
type listener struct {
	engine
	mu    sync.Mutex
	heard []string
}

func (l *listener) write(ctx context.Context, removes bool, fn func(t *txn) error) error {
	return l.engine.write(ctx, removes, func(t *txn) error {
		below := t.tx
		t.tx = heardTx{below, l}
		defer func() { t.tx = below }()
		return fn(t)
	})
}

type heardTx struct {
	tx
	l *listener
}

func (h heardTx) hear(query string) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.l.heard = append(h.l.heard, query)
}

func (h heardTx) exec(query string, args ...any) (int64, error) {
	h.hear(query)
	return h.tx.exec(query, args...)
}

func (h heardTx) put(query string, args ...any) error {
	h.hear(query)
	return h.tx.put(query, args...)
}

func (h heardTx) query(query string, args []any, scan func(r row) error) error {
	h.hear(query)
	return h.tx.query(query, args, scan)
}

// A bound must not cost more the longer the list is: SQLite has one writer.
func TestBoundsAreKeptWithoutCountingTables(t *testing.T) {
	onBoth(t, func(t *testing.T, opened *Store) {
		l := &listener{engine: opened.engine}
		s := newStore(opened.o)
		s.engine = l
		now := time.Now()
		for i := range 5 {
			host := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
			if err := s.Bans().Put(t.Context(), store.BanRow{Host: host, Until: now.Add(time.Hour)}, 3); err != nil {
				t.Fatal(err)
			}
			if err := s.Reports().Note(t.Context(), []store.DMARCSeen{{Day: now, Domain: fmt.Sprint(i, ".test"), Count: 1}}, 3); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.heard) < 20 {
			t.Fatalf("heard %q", l.heard)
		}
		for _, query := range l.heard {
			if strings.Contains(query, "COUNT(") {
				t.Errorf("a writer counts: %s", query)
			}
		}
		if n := rows(t, s, "ban"); n != 3 {
			t.Errorf("%d bans", n)
		}
		if n := rows(t, s, "dmarc_seen"); n != 3 {
			t.Errorf("%d combinations", n)
		}
	})
}

// What was there before bans, days and rows were counted counts.
func TestAStoreOfVersion6CountsWhatItHas(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		all, err := migrations()
		if err != nil {
			t.Fatal(err)
		}
		s, err := openSQLite(t.Context(), dir, Options{schema: all[:6]})
		if err != nil {
			t.Fatal(err)
		}
		countsWhatItHas(t, s, func() (*Store, error) { return openSQLite(t.Context(), dir, Options{}) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn := database(t)
		s, err := openPostgres(t.Context(), dsn, Options{})
		if err != nil {
			t.Fatal(err)
		}
		undoLater(t, s, 6)
		countsWhatItHas(t, s, func() (*Store, error) { return openPostgres(t.Context(), dsn, Options{}) })
	})
}

// countsWhatItHas fills a store of version 6 and opens it again.
func countsWhatItHas(t *testing.T, s *Store, open func() (*Store, error)) {
	day := startOfDay(time.Now())
	err := s.write(t.Context(), func(t *txn) error {
		for i := range 4 {
			if err := t.put(`INSERT INTO ban (host, kind, reason, first, last, failures, until, author) VALUES (?, 1, '', 0, 0, 0, ?, '')`,
				fmt.Sprintf("192.0.2.%d/32", i), time.Now().Add(time.Duration(i+1)*time.Hour)); err != nil {
				return err
			}
			if err := t.put(`INSERT INTO dmarc_seen (day, domain, hash, source, header_from, envelope_from, disposition, override, dkim, spf, dkim_domain,
				dkim_selector, dkim_raw, spf_domain, spf_raw, policy, count) VALUES (?, ?, '', '', '', '', '', '', '', '', '', '', '', '', '', '', 1)`,
				day, fmt.Sprint(i, ".test")); err != nil {
				return err
			}
			if err := t.put(`INSERT INTO dmarc_report_row (report, position, source, count, disposition, dkim, spf, header_from, detail)
				VALUES (1, ?, '', 1, '', '', '', '', '')`, i); err != nil {
				return err
			}
		}
		return t.put(`INSERT INTO dmarc_report (id, domain, organization, email, report_id, begin_at, end_at, received, policy)
			VALUES (1, '', '', '', '', 0, 0, ?, '')`, day)
	})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if s, err = open(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Bans().Put(t.Context(), store.BanRow{Host: netip.MustParsePrefix("192.0.2.9/32"), Kind: store.BanDay, Until: day.Add(48 * time.Hour)}, 4); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s, "ban"); n != 4 {
		t.Errorf("%d bans", n)
	}
	if err := s.Reports().Note(t.Context(), []store.DMARCSeen{{Day: day, Domain: "new.test", Count: 1}, {Day: day, Domain: "newer.test", Count: 1}}, 5); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s, "dmarc_seen"); n != 5 {
		t.Errorf("%d combinations", n)
	}
	if removed, more, err := s.Reports().SweepReports(t.Context(), time.Time{}, time.Time{}, 3); err != nil || removed != 1 || more {
		t.Errorf("removed %d, %v, %v", removed, more, err)
	}
	if n := rows(t, s, "dmarc_report_row"); n != 0 {
		t.Errorf("%d rows of reports", n)
	}
}

// A process of an older version that ran beside this one did not count.
func TestWhatWasCountedWrongHeals(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		counted := func(name string) (n int64) {
			t.Helper()
			err := s.read(t.Context(), func(t tx) (err error) { n, err = counterValue(t, name); return err })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		day := startOfDay(time.Now())
		err := s.write(t.Context(), func(t *txn) error {
			for name, n := range map[string]int64{banTally(store.BanDay): 500, banTally(store.BanFailures): 7, reportRows: 90} {
				if _, err := tally(t, name, n); err != nil {
					return err
				}
			}
			return t.put(`INSERT INTO dmarc_day (day, combinations) VALUES (?, 5)`, day.Add(-48*time.Hour))
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			b := store.BanRow{Host: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32), Kind: store.BanDay, Until: day.Add(48 * time.Hour)}
			if err := s.Bans().Put(t.Context(), b, 4); err != nil {
				t.Fatal(err)
			}
			if n := counted(banTally(store.BanDay)); n != min(int64(i)+1, 4) || n != rows(t, s, "ban") {
				t.Errorf("%d bans, counted are %d", rows(t, s, "ban"), n)
			}
		}
		if n := counted(banTally(store.BanFailures)); n != 7 {
			t.Errorf("another kind: counted are %d", n)
		}
		if removed, more, err := s.Reports().SweepReports(t.Context(), day, day, 100); err != nil || removed != 0 || more {
			t.Errorf("removed %d, %v, %v", removed, more, err)
		}
		if n := counted(reportRows); n != 0 {
			t.Errorf("counted are %d rows of no report", n)
		}
		if n := rows(t, s, "dmarc_day"); n != 0 {
			t.Errorf("%d days of no combination", n)
		}
	})
}
