package accept

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

// shed is a quarantine with a door that leads to it.
type shed struct {
	store.Queue
	t                *testing.T
	door             *Door
	messages, octets int64 // in the store
	asked            int
	slow             time.Duration // counting
	fails            error         // of both
	log              bytes.Buffer
	during           func() // a commit
}

func newShed(t *testing.T, most int) *shed {
	s := &shed{t: t}
	q := &Quarantine{Queue: s, Log: event.New(event.Handler(&s.log, event.Options{})),
		Settings: func() *QuarantineSettings { return &QuarantineSettings{Keep: time.Hour, Most: most, MostSize: 1000} }}
	s.door = New(s, Options{Quarantine: q})
	return s
}

func (s *shed) Quarantine(context.Context) (messages, octets int64, err error) {
	s.asked++
	messages, octets = s.messages, s.octets
	time.Sleep(s.slow)
	return messages, octets, s.fails
}

func (s *shed) Accept(_ context.Context, a *store.Acceptance) (store.Accepted, error) {
	if s.fails == nil && a.Queue != nil && a.Queue.Quarantine != "" {
		s.messages++
		s.octets += a.Queue.Size
	}
	if s.during != nil {
		s.during()
	}
	return store.Accepted{}, s.fails
}

// offer hands a message in and returns its reply's code, 250 if it was taken.
func (s *shed) offer(why string) int {
	s.t.Helper()
	e, c := two(s.t)
	c.Effects = policy.Effects{Quarantine: why}
	if err := s.door.Accept(s.t.Context(), e, c); err != nil {
		return ReplyTo(err).Code
	}
	return 250
}

func (s *shed) offers(times, want int, what string) {
	s.t.Helper()
	for range times {
		if got := s.offer("a virus"); got != want {
			s.t.Errorf("%s: answered %d, want %d", what, got, want)
		}
	}
}

// What was answered with 250 stays; what comes then is to come again.
func TestAFullQuarantineRefusesForTheTimeBeing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 3)
		s.offers(3, 250, "room")
		s.offers(5, 452, "no room")
		if s.messages != 3 {
			t.Errorf("%d messages are there", s.messages)
		}
		if got := s.offer(""); got != 250 {
			t.Errorf("mail that does not belong there: %d", got)
		}
		if n := strings.Count(s.log.String(), "quarantine.full"); n != 1 || !strings.Contains(s.log.String(), "most=3") {
			t.Errorf("told %d times: %s", n, &s.log)
		}
		if s.asked > 1 {
			t.Errorf("the store was asked %d times", s.asked)
		}
		s.messages, s.octets = 1, 1 // two were released
		time.Sleep(believedFull)
		s.offers(2, 250, "room again")
		s.offers(1, 452, "no room again")
		time.Sleep(tellAgain)
		s.offers(1, 452, "still no room")
		if n := strings.Count(s.log.String(), "quarantine.full"); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestQuarantineIsBoundedBySizeToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 100)
		s.offers(1, 250, "room")
		s.messages, s.octets = 2, 999
		time.Sleep(believed) // another node has added one
		s.offers(1, 452, "few octets are left")
		s.octets -= 500
		time.Sleep(believedFull)
		s.offers(1, 250, "many octets are left")
	})
}

// Whoever is under way while the store is asked has room already.
func TestMailUnderWayIntoQuarantineCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 2)
		depth := 0
		s.during = func() {
			if depth++; depth < 4 {
				s.messages, s.octets = 0, 0 // none of them is in the store yet
				time.Sleep(believed)
				want := 250
				if depth > 1 {
					want = 452
				}
				s.offers(1, want, "while others are under way")
			}
		}
		s.offers(1, 250, "the first")
		if depth != 2 {
			t.Errorf("%d commits", depth)
		}
	})
}

// Counting a large quarantine takes long; mail neither queues up behind it nor
// makes it the store's main work.
func TestALargeQuarantineIsCountedNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 3)
		s.slow, s.messages = 3*time.Second, 3
		var first sync.WaitGroup
		for range 5 { // wait for the first result
			first.Go(func() { s.offers(1, 452, "at first") })
		}
		first.Wait()
		if s.asked != 1 {
			t.Errorf("counted %d times at once", s.asked)
		}
		time.Sleep(believedTimes*s.slow - time.Millisecond)
		s.offers(10, 452, "still full")
		if s.asked != 1 {
			t.Errorf("counted again at once: %d", s.asked)
		}
		s.messages = 0
		time.Sleep(time.Millisecond)
		first.Go(func() { s.offers(1, 250, "who counts") })
		synctest.Wait()
		start := time.Now()
		s.offers(5, 452, "the last result")
		if took := time.Since(start); took != 0 || s.asked != 2 {
			t.Errorf("waited %v, counted %d times", took, s.asked)
		}
		first.Wait()
	})
}

// What ends while somebody counts is perhaps not in the result.
func TestMailThatEndsDuringACountCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 2)
		s.offers(1, 250, "the first")
		time.Sleep(believed)
		s.slow = time.Second
		var counting sync.WaitGroup
		counting.Go(func() { s.offers(1, 452, "there are two") })
		synctest.Wait()
		s.offers(1, 250, "the second")
		counting.Wait()
		if s.messages != 2 {
			t.Errorf("%d messages are there", s.messages)
		}
	})
}

// Whoever waits for the first result asks itself when there is none.
func TestAFirstCountThatFailsIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShed(t, 100)
		s.slow, s.fails = time.Second, errors.New("no store")
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { s.offers(1, 451, "no store") })
		}
		all.Wait()
		if s.asked != 3 {
			t.Errorf("asked %d times", s.asked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		all.Go(func() { s.offers(1, 451, "no store yet") })
		synctest.Wait()
		if _, err := s.door.o.Quarantine.take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who cannot wait: %v", err)
		}
		all.Wait()
	})
}

func TestQuarantineThatCannotBeCountedTakesNothing(t *testing.T) {
	t.Parallel()
	s := newShed(t, 100)
	s.fails = errors.New("no store")
	s.offers(1, 451, "no store")
	s.fails = nil
	s.offers(1, 250, "the store is back")
}
