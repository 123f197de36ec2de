package ban_test

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
	"posthorn/internal/policy"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

var _ policy.Bans = (*ban.Book)(nil)

// world is a book on a real store. Its store fails and is deaf when told so.
type world struct {
	*ban.Book
	store.Bans
	t        *testing.T
	settings ban.Settings
	exempt   map[netip.Addr]string
	log      bytes.Buffer
	fails    atomic.Bool
}

func (w *world) Put(ctx context.Context, b store.BanRow, most int) error {
	if w.fails.Load() {
		return store.ErrUnavailable
	}
	return w.Bans.Put(ctx, b, most)
}

func (w *world) All(ctx context.Context, now time.Time) ([]store.BanRow, int64, error) {
	if w.fails.Load() {
		return nil, 0, store.ErrUnavailable
	}
	return w.Bans.All(ctx, now)
}

// deaf is a store that does not tell of changes.
type deaf struct{ store.Bans }

func (deaf) Changed() <-chan struct{} { return nil }

func newStore(t *testing.T) store.Bans {
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
	return s.Bans()
}

func newWorld(t *testing.T, s store.Bans) *world {
	t.Helper()
	w := &world{Bans: s, t: t, settings: setting.Defaults[ban.Settings](setting.Recommended), exempt: map[netip.Addr]string{}}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.Book, err = ban.Open(w.t.Context(), w, ban.Options{Settings: func() *ban.Settings { return &w.settings },
		Exempt: func(a netip.Addr, _ store.BanKind) string { return w.exempt[a] }, Log: event.New(event.Handler(&w.log, event.Options{}))})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs a test in virtual time, with a world that it closes.
func run(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newStore(t))
		test(w)
		if err := w.Book.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (w *world) banned(client string) bool {
	_, ok := w.Banned(netip.MustParseAddr(client), time.Now())
	return ok
}

// fail lets a client fail n times in a row.
func (w *world) fail(client string, n int, f ban.Failure) {
	for range n {
		w.Fail(netip.MustParseAddr(client), f, "as bob on imap")
	}
}

func (w *world) expect(what, client string, want bool) {
	w.t.Helper()
	if got := w.banned(client); got != want {
		w.t.Errorf("%s: %s banned: %v", what, client, got)
	}
}

// B1G-BAN-01, factory values.
func TestFifteenFailuresWithinFiveMinutesAreAnHour(t *testing.T) {
	run(t, func(w *world) {
		w.fail("192.0.2.1", 7, ban.WrongLogin)
		time.Sleep(4 * time.Minute)
		w.fail("192.0.2.1", 4, ban.UnknownRecipient)
		w.fail("::ffff:192.0.2.1", 3, ban.ProtocolError)
		w.expect("after 14", "192.0.2.1", false)
		time.Sleep(time.Minute)
		w.fail("192.0.2.1", 1, ban.WrongLogin)
		w.expect("after 15 in five minutes", "192.0.2.1", true)
		w.expect("after 15", "192.0.2.2", false)
		row, _ := w.Banned(netip.MustParseAddr("192.0.2.1"), time.Now())
		if row.Kind != store.BanFailures || row.Failures != 15 || !row.Last.Equal(time.Now()) || row.Last.Sub(row.First) != 5*time.Minute ||
			row.Reason != "15 failures in 5m0s (8 × wrong login, 4 × unknown recipient, 3 × protocol error), the last: as bob on imap" {
			w.t.Errorf("%+v", row)
		}
		if !strings.Contains(w.log.String(), "client.banned") {
			w.t.Errorf("log: %s", w.log.String())
		}
		time.Sleep(time.Hour - time.Second)
		w.expect("to the last second", "192.0.2.1", true)
		time.Sleep(time.Second)
		w.expect("after an hour", "192.0.2.1", false)
		w.fail("192.0.2.1", 14, ban.WrongLogin)
		w.expect("failures before the ban count no more", "192.0.2.1", false)
	})
}

// The window slides: it does not begin anew with a failure that fell out of it.
func TestFailuresOutsideTheWindowDoNotCount(t *testing.T) {
	run(t, func(w *world) {
		w.fail("192.0.2.1", 10, ban.WrongLogin)
		time.Sleep(5*time.Minute + time.Millisecond)
		w.fail("192.0.2.1", 5, ban.WrongLogin)
		w.expect("ten fell out", "192.0.2.1", false)
		time.Sleep(4 * time.Minute)
		w.fail("192.0.2.1", 9, ban.WrongLogin)
		w.expect("fourteen", "192.0.2.1", false)
		w.fail("192.0.2.1", 1, ban.WrongLogin)
		w.expect("fifteen", "192.0.2.1", true)
	})
}

// Whoever sends a flood of hosts does not get the others' failures forgotten.
func TestAFloodOfHostsFreesNobodyNearTheLimit(t *testing.T) {
	run(t, func(w *world) {
		const victims = 50
		victim := func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }
		for i := range victims {
			w.fail(victim(i), 14, ban.WrongLogin)
		}
		w.fail("198.51.100.1", 8, ban.WrongLogin) // not near, but nearer than the flood
		time.Sleep(time.Minute)
		for i := range 50_000 {
			w.fail(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String(), 3, ban.UnknownRecipient)
			w.fail(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i), 0}).String(), 3, ban.UnknownRecipient)
		}
		for i := range victims {
			w.fail(victim(i), 1, ban.WrongLogin)
			w.expect("after its 15th failure", victim(i), true)
		}
		w.fail("198.51.100.1", 7, ban.WrongLogin)
		w.expect("after its 15th failure", "198.51.100.1", true)
		w.expect("one of the flood", "10.0.0.1", false)
	})
}

func TestANetworkOfIPv6IsOneHost(t *testing.T) {
	run(t, func(w *world) {
		for i := range 15 {
			w.fail(fmt.Sprintf("2001:db8:0:1::%x", i+1), 1, ban.WrongLogin)
		}
		w.expect("another of the /64", "2001:db8:0:1:ffff::1", true)
		w.expect("the next /64", "2001:db8:0:2::1", false)
	})
}

func TestEachKindOfFailureCanBeSwitchedOff(t *testing.T) {
	run(t, func(w *world) {
		w.settings.WrongLogin, w.settings.Failures, w.settings.Window = false, 3, time.Minute
		w.fail("192.0.2.1", 50, ban.WrongLogin)
		w.expect("switched off", "192.0.2.1", false)
		w.fail("192.0.2.1", 3, ban.UnknownRecipient)
		w.expect("still on", "192.0.2.1", true)
		w.settings.UnknownRecipient, w.settings.ProtocolError = false, false
		w.fail("192.0.2.2", 50, ban.UnknownRecipient)
		w.fail("192.0.2.2", 50, ban.ProtocolError)
		w.expect("all off", "192.0.2.2", false)
	})
}

// B1G-BAN-02.
func TestSomeAreNeverBannedByTheServer(t *testing.T) {
	run(t, func(w *world) {
		w.exempt[netip.MustParseAddr("192.0.2.1")] = "on the trusted list"
		w.exempt[netip.MustParseAddr("192.0.2.2")] = "an administrator logged in from there"
		for _, client := range []string{"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "192.0.2.1", "192.0.2.2"} {
			w.fail(client, 50, ban.WrongLogin)
			w.Day(netip.PrefixFrom(netip.MustParseAddr(client).Unmap(), netip.MustParseAddr(client).Unmap().BitLen()), "x", time.Now().Add(time.Hour))
			w.expect("exempt", client, false)
		}
		delete(w.exempt, netip.MustParseAddr("192.0.2.2"))
		w.fail("192.0.2.2", 15, ban.WrongLogin)
		w.expect("not exempt any more", "192.0.2.2", true)
		w.exempt[netip.MustParseAddr("192.0.2.2")] = "on the allow list"
		w.expect("exempt by now", "192.0.2.2", false)
	})
}

// By hand: M-SEC-BW-10, whoever is on the allow list is banned all the same.
func TestABanByHandHoldsForAllButLoopback(t *testing.T) {
	run(t, func(w *world) {
		for _, host := range []string{"192.0.2.0/24", "127.0.0.0/8", "2001:db8::/32", "2001:db8:1::1/128"} {
			row := store.BanRow{Host: netip.MustParsePrefix(host), Kind: store.BanManual, Reason: host, Author: "ann"}
			if strings.Contains(host, "/128") {
				row.Until = time.Now().Add(time.Hour)
			}
			if err := w.Bans.Put(w.t.Context(), row, 0); err != nil {
				w.t.Fatal(err)
			}
		}
		synctest.Wait()
		w.exempt[netip.MustParseAddr("192.0.2.1")] = "on the allow list"
		w.Day(netip.MustParsePrefix("192.0.2.9/32"), "day", time.Now().Add(time.Minute))
		for client, want := range map[string]string{"192.0.2.1": "192.0.2.0/24", "192.0.3.1": "", "127.0.0.1": "", "2001:db8:1::1": "2001:db8:1::1/128",
			"2001:db8:1::2": "2001:db8::/32", "192.0.2.9": "192.0.2.0/24"} {
			if row, _ := w.Banned(netip.MustParseAddr(client), time.Now()); row.Reason != want {
				w.t.Errorf("%s: banned by %q, want %q", client, row.Reason, want)
			}
		}
		time.Sleep(time.Hour)
		if row, _ := w.Banned(netip.MustParseAddr("2001:db8:1::1"), time.Now()); row.Reason != "2001:db8::/32" {
			w.t.Errorf("after the narrow one ended: %q", row.Reason)
		}
		if err := w.Lift(w.t.Context(), netip.MustParsePrefix("192.0.2.0/24")); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
		w.expect("lifted", "192.0.2.1", false)
		if !strings.Contains(w.log.String(), "client.unbanned") {
			w.t.Errorf("log: %s", w.log.String())
		}
	})
}

// M-SEC-ADV-04.
func TestADayBanEndsWhenTheDayDoes(t *testing.T) {
	run(t, func(w *world) {
		w.Day(netip.MustParsePrefix("2001:db8::1/64"), "20 accounts that do not exist", time.Now().Add(5*time.Hour))
		w.expect("at once", "2001:db8::2", true)
		time.Sleep(5 * time.Hour)
		w.expect("the next day", "2001:db8::2", false)
	})
}

func TestBansOutliveARestartAndReachOtherNodes(t *testing.T) {
	run(t, func(w *world) {
		other := newWorld(w.t, deaf{w.Bans})
		w.fail("192.0.2.1", 15, ban.WrongLogin)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		other.expect("two seconds later, on another node", "192.0.2.1", true)
		w.fail("192.0.2.2", 15, ban.WrongLogin)
		if err := w.Book.Close(); err != nil {
			w.t.Error(err)
		}
		w.open()
		w.expect("after a restart", "192.0.2.1", true)
		w.expect("banned at the last moment", "192.0.2.2", true)
		if n, err := w.LiftAll(w.t.Context(), nil); n != 2 || err != nil {
			w.t.Errorf("%d lifted, %v", n, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.expect("lifted", "192.0.2.1", false)
		other.expect("lifted elsewhere", "192.0.2.1", false)
		if err := other.Book.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

func TestABanWaitsForAStoreThatFails(t *testing.T) {
	run(t, func(w *world) {
		w.fails.Store(true)
		w.fail("192.0.2.1", 15, ban.WrongLogin)
		time.Sleep(time.Minute)
		w.expect("while the store fails", "192.0.2.1", true)
		synctest.Wait()
		if n := strings.Count(w.log.String(), "store.failed"); n != 1 {
			w.t.Errorf("told %d times", n)
		}
		w.fails.Store(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		rows, _, err := w.Bans.All(w.t.Context(), time.Now())
		if err != nil || len(rows) != 1 {
			w.t.Errorf("stored: %v, %v", rows, err)
		}
		w.expect("after the outage", "192.0.2.1", true)
		w.fails.Store(true)
		if _, err := ban.Open(w.t.Context(), w, ban.Options{Settings: func() *ban.Settings { return &w.settings }}); !errors.Is(err, store.ErrUnavailable) {
			w.t.Errorf("it opens without the bans: %v", err)
		}
		w.fails.Store(false)
	})
}

func TestBansAreBoundedAndEndedOnesRemoved(t *testing.T) {
	run(t, func(w *world) {
		w.settings.Most, w.settings.Failures = 100, 2
		for i := range 150 {
			w.fail(fmt.Sprintf("198.51.100.%d", i), 2, ban.ProtocolError)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		rows, _, err := w.Bans.All(w.t.Context(), time.Now())
		if err != nil || len(rows) != 100 {
			w.t.Errorf("%d bans, %v", len(rows), err)
		}
		w.expect("the last", "198.51.100.149", true)
		w.expect("the first", "198.51.100.0", false)
		w.Fail(netip.MustParseAddr("203.0.113.1"), ban.WrongLogin, "")
		w.Fail(netip.MustParseAddr("203.0.113.1"), ban.WrongLogin, strings.Repeat("ä", 1000))
		if row, ok := w.Banned(netip.MustParseAddr("203.0.113.1"), time.Now()); !ok || len(row.Reason) > 310 || !strings.HasSuffix(row.Reason, "ä…") {
			w.t.Errorf("%v, a reason of %d octets", ok, len(row.Reason))
		}
	})
}

func TestWhomToBanIsReadAndChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", " 192.0.2.7/24": "192.0.2.0/24", "2001:db8::7": "2001:db8::/64", "2001:db8::7/128": "2001:db8::7/128",
		"::ffff:192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7/120": "192.0.2.0/24", "fe80::1%eth0": "", "away.test": "", "": "", "192.0.2.0/33": ""} {
		got, err := ban.ParseHost(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, ok := range map[string]bool{"192.0.2.0/24": true, "0.0.0.0/0": false, "::/0": false, "127.0.0.1/32": false, "126.0.0.0/7": false, "::1/128": false, "::/96": false, "2001:db8::/32": true} {
		if err := ban.CheckManual(netip.MustParsePrefix(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDefaultsAreThoseOfTheFactory(t *testing.T) {
	t.Parallel()
	for _, p := range []setting.Profile{setting.Recommended, setting.Factory, setting.Trial} {
		want := ban.Settings{Failures: 15, Window: 300 * time.Second, Duration: time.Hour, WrongLogin: true, UnknownRecipient: true, ProtocolError: true, Most: 100_000}
		if got := setting.Defaults[ban.Settings](p); got != want {
			t.Errorf("%s: %+v", p, got)
		}
	}
}

func BenchmarkBanned(b *testing.B) {
	rows := make([]store.BanRow, 100_000)
	for i := range rows {
		rows[i] = store.BanRow{Host: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)}
	}
	settings := setting.Defaults[ban.Settings](setting.Recommended)
	book, err := ban.Open(b.Context(), fixed{rows: rows}, ban.Options{Settings: func() *ban.Settings { return &settings }})
	if err != nil {
		b.Fatal(err)
	}
	client, now := netip.MustParseAddr("203.0.113.1"), time.Now()
	b.Run("banned", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			book.Banned(client, now)
		}
	})
	b.Run("fail", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			book.Fail(netip.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)}), ban.WrongLogin, "")
		}
	})
	if err := book.Close(); err != nil {
		b.Fatal(err)
	}
}

// fixed is a store with bans that nobody changes.
type fixed struct {
	store.Bans
	rows []store.BanRow
}

func (fixed) Changed() <-chan struct{}               { return nil }
func (fixed) Version(context.Context) (int64, error) { return 1, nil }
func (f fixed) All(context.Context, time.Time) ([]store.BanRow, int64, error) {
	return f.rows, 1, nil
}
