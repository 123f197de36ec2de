package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"io"
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

// What of a large message was written while it came in is not yet on disk; a
// crash of the database before its end takes it away.
func TestABodyThatACrashTookPartOfIsNotAccepted(t *testing.T) {
	// Nothing is written before a commit that waits for it.
	own := pgtest.Cluster{Settings: []string{"wal_writer_delay=10s", "wal_writer_flush_after=1GB", "bgwriter_lru_maxpages=0", "autovacuum=off"}}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := openPG(t, own.Database(t, prepared))
	id := addAccount(t, s, "alice")
	a := acceptance(t, s, id, bytes.Repeat([]byte("first part"), chunkSize/9))
	defer a.Body.Discard()
	if err := errors.Join(own.Kill(), own.Restart()); err != nil {
		t.Fatal(err)
	}
	s.engine.(*pgEngine).pool.Reset()
	if _, err := a.Body.Write(bytes.Repeat([]byte("last part"), chunkSize)); err != nil {
		t.Fatal(err)
	}
	for { // until the connections that broke are gone
		done, err := s.Accept(t.Context(), a)
		switch {
		case errors.Is(err, store.ErrUnavailable):
			continue
		case err != nil:
			t.Log(err)
			if n := rows(t, s, "entry"); n != 0 {
				t.Errorf("%d entries", n)
			}
			return
		}
		body, err := s.Account(id).OpenBody(t.Context(), done.Filed[0].Message)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		_, err = io.Copy(io.Discard, io.NewSectionReader(body, 0, body.Size()))
		t.Fatal("accepted, and what is left of it:", err)
	}
}
