package accept

import (
	"bytes"
	"context"
	"errors"
	"strings"
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
	fails            error // of both
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
	return s.messages, s.octets, s.fails
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

func TestQuarantineThatCannotBeCountedTakesNothing(t *testing.T) {
	t.Parallel()
	s := newShed(t, 100)
	s.fails = errors.New("no store")
	s.offers(1, 451, "no store")
	s.fails = nil
	s.offers(1, 250, "the store is back")
}
