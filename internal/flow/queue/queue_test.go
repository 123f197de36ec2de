package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/store"
)

// shelf is a queue with one message that is always due.
type shelf struct {
	store.Queue
	mu       sync.Mutex
	err      error // of Claim
	claims   int
	finished []store.Outcome
}

func (s *shelf) Claim(context.Context, string, bool, int, time.Duration) ([]store.Claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	if s.err != nil || len(s.finished) > 0 {
		return nil, s.err
	}
	return []store.Claim{{Message: store.QueueMessage{Recipients: []store.QueueRecipient{{ID: 7}}}}}, nil
}

func (s *shelf) Finish(_ context.Context, _ store.Claim, o []store.Outcome, _ *store.Acceptance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(s.finished, o...)
	return nil
}

func (s *shelf) Abandon(context.Context, string) (int, error) { return 0, nil }
func (s *shelf) Wake(bool) <-chan struct{}                    { return nil }
func (s *shelf) NextDue(context.Context, bool) (time.Time, bool, error) {
	return time.Now().Add(-time.Hour), true, nil
}

// deliverer is a Deliverer made of one function.
type deliverer func() []store.Outcome

func (d deliverer) Deliver(context.Context, store.Claim) []store.Outcome { return d() }

// during runs a Runner for a while.
func during(t *testing.T, d time.Duration, s *shelf, f deliverer) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	New(Options{Queue: s, Deliverer: f, Owner: "test"}).Run(ctx)
}

// A store that turned read-only (reliability.md row 7) still says what is due.
func TestARunnerThatCannotClaimDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{err: errors.New("read-only")}
		during(t, time.Minute, s, func() []store.Outcome { return nil })
		if s.claims < 10 || s.claims > 15 {
			t.Errorf("%d claims in a minute", s.claims)
		}
	})
}

func TestWhatIsDueAndTakenByOthersIsAskedForInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		during(t, time.Minute, s, func() []store.Outcome { return []store.Outcome{{Recipient: 7, Done: true}} })
		if most := int(time.Minute/breath) + 2; s.claims > most {
			t.Errorf("%d claims in a minute", s.claims)
		}
	})
}

func TestAMessageThatPanicsIsDeferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		during(t, time.Second, s, func() []store.Outcome { panic("broken invariant") })
		if len(s.finished) != 1 || s.finished[0].Done || !s.finished[0].NextTry.After(time.Now()) {
			t.Errorf("%+v", s.finished)
		}
	})
}
