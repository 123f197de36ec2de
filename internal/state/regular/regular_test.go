package regular_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/regular"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// world is a store that several nodes share, counts its notes, and fails when told so.
type world struct {
	store.Regulars
	t     *testing.T
	log   bytes.Buffer
	notes atomic.Int64 // rows
	fails atomic.Bool
}

func (w *world) Note(ctx context.Context, kind store.RegularKind, rows []store.RegularRow, most int) error {
	if w.fails.Load() {
		return store.ErrUnavailable
	}
	w.notes.Add(int64(len(rows)))
	return w.Regulars.Note(ctx, kind, rows, most)
}

func (w *world) Since(ctx context.Context, version int64, limit int) ([]store.RegularRow, int64, error) {
	if w.fails.Load() {
		return nil, 0, store.ErrUnavailable
	}
	return w.Regulars.Since(ctx, version, limit)
}

// run runs a test in virtual time on a real store.
func run(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlstore.OpenSQLite(t.Context(), t.TempDir(), sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		test(&world{Regulars: s.Regulars(), t: t})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// node is a book of the world.
type node struct {
	*regular.Book
	t *testing.T
}

func (w *world) open() node {
	w.t.Helper()
	b, err := regular.Open(w.t.Context(), w, event.New(event.Handler(&w.log, event.Options{})))
	if err != nil {
		w.t.Fatal(err)
	}
	return node{b, w.t}
}

func (n node) close() {
	n.t.Helper()
	if err := n.Close(); err != nil {
		n.t.Error(err)
	}
}

func (n node) note(kind store.RegularKind, client string) {
	n.Note(kind, netip.MustParseAddr(client))
}

func (n node) expect(what string, kind store.RegularKind, client string, want bool) {
	n.t.Helper()
	if got := n.Knows(kind, netip.MustParseAddr(client)); got != want {
		n.t.Errorf("%s: %s known for %s: %v", what, client, kind, got)
	}
}

const (
	good  = store.RegularMail
	admin = store.RegularAdministrator
)

func TestHostsThatDidWellOutliveARestart(t *testing.T) {
	run(t, func(w *world) {
		n := w.open()
		n.note(good, "192.0.2.1")
		n.note(good, "2001:db8:0:1::7")
		n.note(admin, "::ffff:192.0.2.2")
		n.Note(good, netip.Addr{})
		for range 3 {
			n.expect("good mail", good, "192.0.2.1", true)
			n.expect("another of the /64", good, "2001:db8:0:1:ffff::1", true)
			n.expect("the next /64", good, "2001:db8:0:2::1", false)
			n.expect("good mail is no administrator", admin, "192.0.2.1", false)
			n.expect("an administrator", admin, "192.0.2.2", true)
			n.expect("an administrator sent no mail", good, "192.0.2.2", false)
			n.close()
			time.Sleep(time.Hour)
			n = w.open()
		}
		n.close()
	})
}

func TestHostsAreForgottenAfterTheirTime(t *testing.T) {
	run(t, func(w *world) {
		n := w.open()
		n.note(good, "192.0.2.1")
		n.note(admin, "192.0.2.1")
		time.Sleep(24*time.Hour - time.Second)
		n.expect("within a day", admin, "192.0.2.1", true)
		time.Sleep(time.Second)
		n.expect("a day later", admin, "192.0.2.1", false)
		n.close()
		n = w.open()
		n.expect("a day later, by the store", admin, "192.0.2.1", false)
		n.close()
		time.Sleep(29*24*time.Hour - time.Minute)
		n = w.open()
		n.expect("within thirty days", good, "192.0.2.1", true)
		time.Sleep(2 * time.Minute)
		n.expect("after thirty", good, "192.0.2.1", false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if rows, _, err := w.Regulars.Since(w.t.Context(), 0, 0); err != nil || len(rows) != 0 {
			w.t.Errorf("the store still has %v, %v", rows, err)
		}
		n.close()
	})
}

// No row is written for each message, nor for each host by itself.
func TestAHostThatDoesWellAllTheTimeCostsARowADay(t *testing.T) {
	run(t, func(w *world) {
		n := w.open()
		for range 3 * 24 * 4 {
			n.note(good, "192.0.2.1")
			time.Sleep(15 * time.Minute)
		}
		n.close()
		if rows := w.notes.Load(); rows != 3 {
			w.t.Errorf("%d rows in three days", rows)
		}
		rows, version, err := w.Regulars.Since(w.t.Context(), 0, 0)
		if err != nil || len(rows) != 1 || version != 3 || time.Since(rows[0].Last) > 25*time.Hour {
			w.t.Errorf("%+v, version %d, %v", rows, version, err)
		}
	})
}

func TestHostsAreKnownToOtherNodesSoon(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.open(), w.open()
		a.note(admin, "192.0.2.1")
		b.note(good, "192.0.2.2")
		time.Sleep(2*time.Minute + time.Second)
		b.expect("noted by the other", admin, "192.0.2.1", true)
		a.expect("noted by the other", good, "192.0.2.2", true)
		if rows := w.notes.Load(); rows != 2 {
			w.t.Errorf("%d rows: what another node wrote was written again", rows)
		}
		a.close()
		b.close()
	})
}

func TestHostsWaitForAStoreThatFails(t *testing.T) {
	run(t, func(w *world) {
		n := w.open()
		w.fails.Store(true)
		for i := range 1200 {
			n.note(good, fmt.Sprintf("198.51.%d.%d", i/250, i%250))
		}
		time.Sleep(10 * time.Minute)
		n.expect("while the store fails", good, "198.51.0.1", true)
		synctest.Wait()
		if told := strings.Count(w.log.String(), "store.failed"); told != 1 {
			w.t.Errorf("told %d times", told)
		}
		if _, err := regular.Open(w.t.Context(), w, nil); !errors.Is(err, store.ErrUnavailable) {
			w.t.Errorf("it opens without the hosts: %v", err)
		}
		w.fails.Store(false)
		n.close()
		n = w.open()
		n.expect("the first", good, "198.51.0.0", true)
		n.expect("the last", good, "198.51.4.199", true)
		n.close()
		if rows := w.notes.Load(); rows != 1200 {
			w.t.Errorf("%d rows", rows)
		}
	})
}

// What is told of the host of a whole network, or of a time to come, does no harm.
func TestTimesToComeAreNow(t *testing.T) {
	run(t, func(w *world) {
		row := store.RegularRow{Host: netip.MustParsePrefix("192.0.2.1/32"), Kind: admin, Last: time.Now().Add(1000 * time.Hour)}
		if err := w.Regulars.Note(w.t.Context(), admin, []store.RegularRow{row}, 0); err != nil {
			w.t.Fatal(err)
		}
		n := w.open()
		n.expect("of a clock that went wrong", admin, "192.0.2.1", true)
		time.Sleep(24 * time.Hour)
		n.expect("a day later", admin, "192.0.2.1", false)
		n.close()
	})
}

// full is a store with as many hosts as there may be.
type full struct {
	store.Regulars
	rows []store.RegularRow
}

func (f full) Since(context.Context, int64, int) ([]store.RegularRow, int64, error) {
	return f.rows, 1, nil
}

func BenchmarkOpen(b *testing.B) {
	s, err := sqlstore.OpenSQLite(b.Context(), b.TempDir(), sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	rows := make([]store.RegularRow, 100_000)
	for i := range rows {
		rows[i] = store.RegularRow{Host: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Last: time.Now()}
	}
	if err := s.Regulars().Note(b.Context(), good, rows, 0); err != nil {
		b.Fatal(err)
	}
	for name, r := range map[string]store.Regulars{"store": s.Regulars(), "memory": full{rows: rows}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				book, err := regular.Open(b.Context(), r, nil)
				if err == nil {
					err = book.Close()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
