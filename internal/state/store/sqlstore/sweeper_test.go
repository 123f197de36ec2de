package sqlstore

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// aged is an ID of another time.
func aged(age time.Duration) ident.ID {
	id := ids.New()
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(-age).UnixMilli())<<16)
	copy(id[:6], at)
	return id
}

// acceptAs accepts a message for elsewhere under a key and reports whether the key
// was known.
func acceptAs(t testing.TB, s *Store, key ident.ID) (repeated bool, err error) {
	t.Helper()
	a := outgoing(t, s, key)
	defer a.Body.Discard()
	done, err := s.Accept(t.Context(), a)
	return done.Repeated, err
}

// outgoing is a message for elsewhere under a key.
func outgoing(t testing.TB, s *Store, key ident.ID) *store.Acceptance {
	t.Helper()
	a := acceptance(t, s, 0, []byte("Subject: queued\r\n\r\nbody\r\n"))
	a.Key, a.Filings = key, nil
	a.Queue = &store.QueueMessage{ID: key, Size: 40, Accepted: time.Now(), Expires: time.Now().Add(time.Hour),
		Recipients: []store.QueueRecipient{{Address: address(t, "x@far.test")}}}
	return a
}

// A message out of quarantine is older than keys are kept; what it is forwarded
// as must be known again all the same when the attempt is repeated.
func TestKeysAreKeptAsLongAsTheMessageTheyComeFromIsQueued(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		sweep := func() {
			t.Helper()
			round(t, &keySweep{s: s}, time.Now())
		}
		known := func() int64 { return rows(t, s, "accepted") }
		origin, other, fresh := aged(30*24*time.Hour), aged(20*24*time.Hour), ids.New()
		for _, key := range []ident.ID{origin, other, fresh} {
			_, err := acceptAs(t, s, key)
			must(err)
		}
		derived := origin // as flow/local makes it
		derived[9] ^= 0xff
		_, err := acceptAs(t, s, derived)
		must(err)
		remove := func(key ident.ID) {
			t.Helper()
			_, err := s.Queue().Remove(t.Context(), store.QueueFilter{ID: key})
			must(err)
		}
		remove(other)
		remove(derived) // it has left already
		sweep()
		if n := known(); n != 3 {
			t.Errorf("%d keys are known, want those of the queued message, of what it caused, and the new one", n)
		}
		if repeated, err := acceptAs(t, s, derived); err != nil || !repeated {
			t.Errorf("the message leaves twice: %v, %v", repeated, err)
		}
		remove(origin)
		sweep()
		if n := known(); n != 1 {
			t.Errorf("%d keys are known at the end", n)
		}
	})
}

// round goes through old keys once and returns in how many steps.
func round(t testing.TB, k *keySweep, now time.Time) (steps int) {
	t.Helper()
	for steps = 1; steps < 100; steps++ {
		more, err := k.step(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return steps
		}
	}
	t.Fatal("the sweeper finds no end")
	return 0
}

// The sweeper is kicked with each message that leaves. Keys that are kept cost a
// look now and then, and each of them one.
func TestKeptKeysAreLookedAtNowAndThenAndInStretches(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	origin := aged(30 * 24 * time.Hour)
	if _, err := acceptAs(t, s, origin); err != nil {
		t.Fatal(err)
	}
	s.sweeper.stop() // its own look is over
	err := s.write(t.Context(), func(w *txn) error {
		for i := range 2*sweepEntries + 10 {
			derived := origin
			binary.BigEndian.PutUint64(derived[8:], ^uint64(i))
			if err := w.put(insertAccepted, derived[:], []byte{}); err != nil {
				return err
			}
		}
		old := aged(29 * 24 * time.Hour)
		return w.put(insertAccepted, old[:], []byte{})
	})
	if err != nil {
		t.Fatal(err)
	}
	k, now := &keySweep{s: s}, time.Now()
	if steps := round(t, k, now); steps != 3 || rows(t, s, "accepted") != 2*sweepEntries+11 {
		t.Errorf("%d steps left %d keys", steps, rows(t, s, "accepted"))
	}
	if _, err := s.Queue().Remove(t.Context(), store.QueueFilter{ID: origin}); err != nil {
		t.Fatal(err)
	}
	if steps := round(t, k, now.Add(keyRounds-time.Second)); steps != 1 || rows(t, s, "accepted") != 2*sweepEntries+11 {
		t.Errorf("looked at again at once: %d steps left %d keys", steps, rows(t, s, "accepted"))
	}
	if steps := round(t, k, now.Add(keyRounds)); steps != 3 || rows(t, s, "accepted") != 0 {
		t.Errorf("%d steps left %d keys", steps, rows(t, s, "accepted"))
	}
}

// One delivery whose row is there already does not make its batch wait.
func TestABatchDoesNotWaitForTheOneThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := openPG(t, database(t))
	e := s.engine.(*pgEngine)
	bad := ids.New()
	if _, err := acceptAs(t, s, bad); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), func(t *txn) error { return t.put(`DELETE FROM accepted WHERE accept_key = ?`, bad[:]) }); err != nil {
		t.Fatal(err)
	}
	var batch []*operation
	for i := range 5 {
		key := ids.New()
		if i == 2 {
			key = bad
		}
		a := outgoing(t, s, key)
		defer a.Body.Discard()
		body, err := s.sealDraft(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &operation{delivery: &delivery{a: a, body: body}})
	}
	before := e.pool.Stat().AcquireCount()
	e.commitBatch(batch)
	if n := e.pool.Stat().AcquireCount() - before; n > 12 {
		t.Errorf("%d transactions for %d deliveries", n, len(batch))
	}
	for i, op := range batch {
		if (op.err != nil) != (i == 2) {
			t.Errorf("delivery %d: %v", i, op.err)
		}
	}
}

// References that are put down while the sweeper is on its way go with the
// rest; else nobody would ever take the message.
func TestTheSweeperTakesAllReferencesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, Options{})
		id := addAccount(t, s, "alice")
		m := deliver(t, s, id, []byte("twice"))
		err := s.remove(t.Context(), func(tx *txn) error {
			p := piece{account: id, mailbox: m.Mailbox, message: m.Message, refs: 1}
			if err := tx.put(`UPDATE message SET refs = 2 WHERE id = ?`, m.Message); err != nil {
				return err
			}
			if err := tx.discard(p); err != nil { // this is what the sweeper read
				return err
			}
			if err := tx.discard(p); err != nil {
				return err
			}
			return tx.sweepMessage(p)
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := rows(t, s, "message"); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}
