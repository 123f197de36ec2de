package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/pgtest"
)

// impatient opens a store that waits less for answers.
func impatient(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := openPostgres(t.Context(), dsn, Options{answer: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// accepts reports what Accept says, and fails the test if it says nothing.
func accepts(t *testing.T, s *Store, a *store.Acceptance) (store.Accepted, error) {
	t.Helper()
	type answer struct {
		done store.Accepted
		err  error
	}
	said := make(chan answer, 1)
	go func() {
		done, err := s.Accept(t.Context(), a)
		said <- answer{done, err}
	}()
	select {
	case a := <-said:
		return a.done, a.err
	case <-time.After(time.Minute):
		t.Fatal("a commit without an answer is waited for")
		panic("unreachable")
	}
}

// queued makes an acceptance for the queue alone.
func queued(t *testing.T, s *Store) *store.Acceptance {
	t.Helper()
	a := acceptance(t, s, 0, []byte("hello"))
	a.Filings = nil
	a.Queue = &store.QueueMessage{ID: a.Key, Meta: []byte("meta"), Accepted: a.Time, Expires: a.Time.Add(time.Hour), Size: 40,
		Recipients: []store.QueueRecipient{{Address: address(t, "x@far.example")}}}
	return a
}

// A network that swallows packets breaks no connection. The commit is in doubt
// then, and asked for again when the network is back.
func TestACommitWithoutAnAnswerIsInDoubt(t *testing.T) {
	m, dsn := newMiddle(t, database(t))
	s := impatient(t, dsn)
	t.Cleanup(m.heal)
	id := addAccount(t, s, "alice")
	deliver(t, s, id, []byte("before"))
	m.swallow()
	a, other := acceptance(t, s, id, []byte("in doubt")), acceptance(t, s, id, []byte("later"))
	defer a.Body.Discard()
	defer other.Body.Discard()
	if _, err := accepts(t, s, a); !errors.Is(err, store.ErrUnknownOutcome) {
		t.Fatal(err)
	}
	if _, err := accepts(t, s, other); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknownOutcome) {
		t.Error("what was not sent is not in doubt:", err)
	}
	m.heal()
	untilAnswered(t, s, a)
	if n := rows(t, s, "entry"); n != 2 {
		t.Errorf("%d entries for 2 messages", n)
	}
}

// untilAnswered asks again for a commit in doubt, as accept.Door does.
func untilAnswered(t *testing.T, s *Store, a *store.Acceptance) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		done, err := accepts(t, s, a)
		switch {
		case err == nil && !done.Repeated:
			t.Error("the commit in doubt had not happened")
			return
		case err == nil:
			return
		case !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknownOutcome) || time.Now().After(end):
			t.Fatal(err)
		}
	}
}

// A commit that waits for a standby happens here when it is given up, and may
// be nowhere else: whoever asks again waits for the standby as well.
func TestADoubtIsNotSettledBeforeTheStandbyAnswers(t *testing.T) {
	t.Parallel()
	var own pgtest.Cluster
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	dsn := own.Database(t, prepared)
	s := impatient(t, dsn)
	id := addAccount(t, s, "alice")
	deliver(t, s, id, []byte("before")) // identifiers wait for the standby too
	enqueue(t, s, 0, "x@far.example")
	all := []*store.Acceptance{acceptance(t, s, id, []byte("filed")), queued(t, s)}
	execPG(t, dsn, `ALTER SYSTEM SET synchronous_standby_names = 'away'`)
	execPG(t, dsn, `SELECT pg_reload_conf()`)
	for commits(t, dsn) { // until the server has heard of it
	}
	for _, a := range all {
		defer a.Body.Discard()
		for range 3 {
			if _, err := accepts(t, s, a); !errors.Is(err, store.ErrUnknownOutcome) {
				t.Error("acknowledged without the standby:", err)
			}
		}
	}
	execPG(t, dsn, `ALTER SYSTEM RESET synchronous_standby_names`)
	execPG(t, dsn, `SELECT pg_reload_conf()`)
	for _, a := range all {
		untilAnswered(t, s, a)
	}
	if n := rows(t, s, "accepted"); n != int64(2+len(all)) {
		t.Errorf("%d keys for %d messages", n, 2+len(all))
	}
}

// commits reports whether a transaction that writes is confirmed soon.
func commits(t *testing.T, dsn string) bool {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = c.Exec(ctx, `SELECT pg_logical_emit_message(true, 'test', '')`)
	_ = c.Close(context.Background()) // it may be closed
	return err == nil
}
