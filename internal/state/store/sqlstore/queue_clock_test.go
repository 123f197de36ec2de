package sqlstore

import (
	"sync"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

// testClock is a wall clock that jumps and a monotonic one that does not.
type testClock struct {
	mu   sync.Mutex
	wall time.Time
	mono time.Duration
	// at remembers the monotonic reading behind each wall reading handed out
	at map[int64]time.Duration
}

// fakeClock gives the store's queue a clock of the test, before its first use.
func fakeClock(s *Store) *testClock {
	c := &testClock{wall: time.Now().Round(0), at: map[int64]time.Duration{}}
	c.install(s)
	return c
}

func (c *testClock) install(s *Store) {
	s.queue.clock.wall = func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wall = c.wall.Add(time.Microsecond) // readings differ
		c.mono += time.Microsecond
		c.at[c.wall.UnixNano()] = c.mono
		return c.wall
	}
	s.queue.clock.mono = func(now, then time.Time) int64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return (c.at[now.UnixNano()] - c.at[then.UnixNano()]).Microseconds()
	}
}

func (c *testClock) pass(d time.Duration) { c.move(d, d) }
func (c *testClock) jump(d time.Duration) { c.move(d, 0) }

func (c *testClock) move(wall, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(wall), c.mono+mono
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// age is how old the only queued message is, by the clock of the test.
func (c *testClock) age(t *testing.T, s *Store) (age, left time.Duration) {
	t.Helper()
	list, err := s.Queue().List(t.Context(), store.QueueFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d queued, %v", len(list), err)
	}
	now := c.now()
	return now.Sub(list[0].Accepted).Round(time.Second), list[0].Expires.Sub(now).Round(time.Second)
}

func wantAge(t *testing.T, c *testClock, s *Store, what string, want time.Duration) {
	t.Helper()
	age, left := c.age(t, s)
	if age != want || age+left != 5*24*time.Hour {
		t.Errorf("%s: age %v, %v left; want age %v", what, age, left, want)
	}
}

func TestQueuedMailKeepsItsAgeWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	c := fakeClock(s)
	enqueue(t, s, 0, "a@one.test")
	c.pass(time.Hour)
	wantAge(t, c, s, "after an hour", time.Hour)
	const year = 365 * 24 * time.Hour
	c.jump(-year)
	wantAge(t, c, s, "a year back", time.Hour)
	got, err := s.Queue().Claim(t.Context(), "n", false, 1, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatalf("due mail waits for the old clock: %v, %v", got, err)
	}
	if d := got[0].Until.Sub(c.now()).Round(time.Second); d != time.Minute {
		t.Errorf("the lease ends in %v", d)
	}
	err = s.Queue().Finish(t.Context(), got[0], outcomes(got[0], store.Outcome{NextTry: c.now().Add(30 * time.Minute)}), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.jump(10 * year)
	wantAge(t, c, s, "ten years on", time.Hour)
	due, ok, err := s.Queue().NextDue(t.Context(), false)
	if d := due.Sub(c.now()).Round(time.Second); err != nil || !ok || d != 30*time.Minute {
		t.Errorf("due in %v, %v, %v", d, ok, err)
	}
	c.pass(30*time.Minute + time.Second)
	if got, err := s.Queue().Claim(t.Context(), "n", false, 1, time.Minute); err != nil || len(got) != 1 {
		t.Errorf("not due after its time: %v, %v", got, err)
	}
}

func TestQueuedMailAgesOverARestartByAtMostADay(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name      string
		gone, age time.Duration
	}{
		{"ten minutes down", 10 * time.Minute, 70 * time.Minute},
		{"clock set back", -48 * time.Hour, time.Hour},
		{"clock far ahead", 1000 * time.Hour, 25 * time.Hour},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := reopen(t, dir, Options{})
			c := fakeClock(s)
			enqueue(t, s, 0, "a@one.test")
			c.pass(time.Hour)
			if _, err := s.Queue().Claim(t.Context(), "n", false, 1, time.Hour); err != nil { // stores the clock
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.jump(x.gone)
			again := reopen(t, dir, Options{})
			c.install(again)
			wantAge(t, c, again, "after the restart", x.age)
			c.pass(time.Hour)
			wantAge(t, c, again, "an hour later", x.age+time.Hour)
		})
	}
}

func TestTheClockIsStoredWhileTheQueueIsIdle(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	c := fakeClock(s)
	enqueue(t, s, 0, "a@one.test")
	got := claimOne(t, s, false)
	err := s.Queue().Finish(t.Context(), got, outcomes(got, store.Outcome{NextTry: c.now().Add(100 * time.Hour)}), nil)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (p clockPair) {
		err := s.read(t.Context(), func(t tx) (err error) { p, err = readClock(t); return err })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := read()
	c.pass(time.Hour)
	if _, err := s.Queue().Claim(t.Context(), "n", false, 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	if after := read(); after.steady-before.steady < time.Hour.Microseconds() || after.wall-before.wall != after.steady-before.steady {
		t.Errorf("stored %+v, then %+v", before, after)
	}
}

// Nodes of one PostgreSQL live in its time: whose own clock is wrong takes no
// lease of another's for ended, and does not push the queue ahead.
func TestANodeWhoseClockIsWrongKeepsTheTimeOfTheOthers(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	right, wrong := openPG(t, dsn), openPG(t, dsn)
	wrong.queue.clock.wall = func() time.Time { return time.Now().Add(time.Hour) }
	enqueue(t, right, 0, "a@one.test")
	for range 2 {
		if got, err := right.Queue().Claim(t.Context(), "right", false, 1, 10*time.Minute); err != nil || len(got) > 1 {
			t.Fatal(got, err)
		}
		if got, err := wrong.Queue().Claim(t.Context(), "wrong", false, 1, 10*time.Minute); err != nil || len(got) != 0 {
			t.Fatal("a running lease was taken for ended:", got, err)
		}
		if err := wrong.write(t.Context(), func(tx *txn) error { return wrong.queue.clock.keep(tx, 0) }); err != nil {
			t.Fatal(err)
		}
	}
	list, err := right.Queue().List(t.Context(), store.QueueFilter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if age := time.Since(list[0].Accepted); age > 10*time.Minute {
		t.Errorf("the message has become %v old", age)
	}
}

func TestOfTwoNodesTheFurtherClockIsRight(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	c := fakeClock(s)
	enqueue(t, s, 0, "a@one.test")
	err := s.write(t.Context(), func(t *txn) error { // another node, an hour ahead
		return t.put(putCounter, clockSteady, c.now().Add(time.Hour).UnixMicro())
	})
	if err != nil {
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if err := s.write(t.Context(), func(t *txn) error { return s.queue.clock.keep(t, 0) }); err != nil {
		t.Fatal(err)
	}
	wantAge(t, c, s, "after meeting the other node", time.Hour)
}
