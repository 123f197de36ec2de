package sqlstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/pgtest"
)

// Killing the server breaks connections in the middle of commits. Every
// acceptance is repeated under its key until it is answered, as accept.Door
// does with one in doubt, and each must be there once.
func TestServerCrashLosesAndDoublesNothing(t *testing.T) {
	var own pgtest.Cluster
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := own.Database(t, prepared)
	s := openPG(t, dsn)
	id := addAccount(t, s, "alice")
	const senders, each = 8, 40
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				acceptUntilAnswered(t, s, id)
			}
		})
	}
	for range 2 {
		if err := errors.Join(own.Kill(), own.Restart()); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
	if n := rows(t, s, "entry"); n != senders*each {
		t.Errorf("%d entries for %d acceptances", n, senders*each)
	}
	if n := rows(t, s, "accepted"); n != senders*each {
		t.Errorf("%d keys for %d acceptances", n, senders*each)
	}
}

func acceptUntilAnswered(t *testing.T, s *Store, id store.AccountID) {
	a := acceptance(t, s, id, []byte("hello"))
	defer a.Body.Discard()
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := s.Accept(context.Background(), a)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknownOutcome) || time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}
