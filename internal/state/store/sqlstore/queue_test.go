package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// enqueue accepts a message for recipients elsewhere and, with local not 0,
// for that account through the queue.
func enqueue(t testing.TB, s *Store, local store.AccountID, to ...string) ident.ID {
	t.Helper()
	a := acceptance(t, s, 0, []byte("Subject: queued\r\n\r\nbody\r\n"))
	defer a.Body.Discard()
	a.Filings = nil
	a.Queue = &store.QueueMessage{
		ID: a.Key, Sender: address(t, "Eva@sender.test"), Client: "192.0.2.1", Head: []byte("Received: x\r\n"), Meta: []byte("meta"), Size: 40,
		Accepted: time.Now(), Expires: time.Now().Add(5 * 24 * time.Hour), Return: "HDRS", EnvelopeID: "env", SMTPUTF8: true, RequireTLS: true,
	}
	for _, text := range to {
		a.Queue.Recipients = append(a.Queue.Recipients, store.QueueRecipient{
			Address: address(t, text), Original: "rfc822;" + text, Notify: store.NotifyFailure, Local: local,
		})
	}
	if _, err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a.Key
}

// claimOne claims and wants exactly one message.
func claimOne(t *testing.T, s *Store, local bool) store.Claim {
	t.Helper()
	got, err := s.Queue().Claim(t.Context(), "n1", local, 10, time.Minute)
	if err != nil || len(got) != 1 {
		t.Fatalf("claimed %d messages, %v", len(got), err)
	}
	return got[0]
}

// outcomes makes the same outcome for all recipients of a claim.
func outcomes(c store.Claim, o store.Outcome) []store.Outcome {
	var out []store.Outcome
	for _, r := range c.Message.Recipients {
		o.Recipient = r.ID
		out = append(out, o)
	}
	return out
}

func TestAQueuedMessageComesBackAsItWasAccepted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		before := time.Now()
		id := enqueue(t, s, 0, "a@one.test", "b@two.test")
		select {
		case <-s.Queue().Wake(false):
		default:
			t.Error("nobody was woken")
		}
		if due, ok, err := s.Queue().NextDue(t.Context(), false); err != nil || !ok || due.After(time.Now()) {
			t.Errorf("due %v, %v, %v", due, ok, err)
		}
		if _, ok, err := s.Queue().NextDue(t.Context(), true); err != nil || ok {
			t.Errorf("local work appeared: %v", err)
		}
		c := claimOne(t, s, false)
		m := c.Message
		if m.ID != id || m.Sender.String() != "Eva@sender.test" || m.Client != "192.0.2.1" || string(m.Meta) != "meta" || string(m.Head) != "Received: x\r\n" || m.Size != 40 ||
			m.Return != "HDRS" || m.EnvelopeID != "env" || !m.SMTPUTF8 || m.EightBit || m.Binary || !m.RequireTLS ||
			m.Accepted.Before(before.Add(-time.Microsecond)) || m.Expires.Sub(m.Accepted) < 5*24*time.Hour-time.Second {
			t.Errorf("message: %+v", m)
		}
		if len(m.Recipients) != 2 || m.Recipients[0].Address.String() != "a@one.test" || m.Recipients[1].Original != "rfc822;b@two.test" || m.Recipients[0].Notify != store.NotifyFailure {
			t.Errorf("recipients: %+v", m.Recipients)
		}
		body, err := c.BodyOpener(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if err != nil || string(text) != "Received: x\r\nSubject: queued\r\n\r\nbody\r\n" {
			t.Errorf("body %q, %v", text, err)
		}
		if again, err := s.Queue().Claim(t.Context(), "n2", false, 10, time.Minute); err != nil || len(again) != 0 {
			t.Errorf("claimed twice: %v, %v", again, err)
		}
	})
}

func TestFinishedRecipientsGoAndTheLastTakesTheMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		id := enqueue(t, s, 0, "a@one.test", "b@two.test")
		c := claimOne(t, s, false)
		later := time.Now().Add(time.Hour)
		err := s.Queue().Finish(t.Context(), c, []store.Outcome{
			{Recipient: c.Message.Recipients[0].ID, Done: true},
			{Recipient: c.Message.Recipients[1].ID, NextTry: later, LastError: "451 later"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Queue().Get(t.Context(), id)
		if err != nil || len(e.Recipients) != 1 || e.Recipients[0].Attempts != 1 || e.Recipients[0].LastError != "451 later" || !e.Due.Equal(later.Truncate(time.Microsecond)) {
			t.Fatalf("after the first attempt: %+v, %v", e, err)
		}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true}), nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("an old claim finished: %v", err)
		}
		if n, err := s.Queue().Retry(t.Context(), store.QueueFilter{ID: id}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		c = claimOne(t, s, false)
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true}), nil); err != nil {
			t.Fatal(err)
		}
		if m, r, err := s.Queue().Count(t.Context()); err != nil || m != 0 || r != 0 {
			t.Errorf("left: %d, %d, %v", m, r, err)
		}
		if _, err := s.Queue().Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("message stays: %v", err)
		}
	})
}

func TestLocalRecipientsAreFiledInTheCommitThatEndsThem(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		account := addAccount(t, s, "bob")
		enqueue(t, s, account, "bob@example.test")
		c := claimOne(t, s, true)
		file := &store.Filing{Role: store.RoleInbox, Head: []byte("Delivered-To: bob\r\n"), Meta: []byte("m"), Internal: time.Now()}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{File: file}), nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("filed without being done: %v", err)
		}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true, File: file}), nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true, File: file}), nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("filed twice: %v", err)
		}
		box, err := s.Account(account).FindMailbox(t.Context(), "INBOX")
		if err != nil || box.Messages != 1 {
			t.Fatalf("inbox: %+v, %v", box, err)
		}
		ix, err := s.Account(account).Index(t.Context(), box.ID)
		if err != nil || len(ix.Entries) != 1 {
			t.Fatal(err)
		}
		body, err := s.Account(account).OpenBody(t.Context(), ix.Entries[0].Message)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if want := "Delivered-To: bob\r\nSubject: queued\r\n\r\nbody\r\n"; err != nil || string(text) != want {
			t.Errorf("filed %q, %v", text, err)
		}
	})
}

func TestALostLeaseIsDueAgainAndItsHolderIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		clock := fakeClock(s)
		enqueue(t, s, 0, "a@one.test")
		c := claimOne(t, s, false)
		clock.pass(2 * time.Minute)
		d := claimOne(t, s, false)
		if d.Fence == c.Fence {
			t.Error("the fence did not change")
		}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true}), nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the first holder finished: %v", err)
		}
		if err := s.Queue().Finish(t.Context(), d, outcomes(d, store.Outcome{Done: true}), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestAbandonedClaimsAreDueAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		enqueue(t, s, 0, "a@one.test")
		c := claimOne(t, s, false)
		if n, err := s.Queue().Abandon(t.Context(), "other"); err != nil || n != 0 {
			t.Errorf("claims of another: %d, %v", n, err)
		}
		if n, err := s.Queue().Abandon(t.Context(), "n1"); err != nil || n != 1 {
			t.Errorf("own claims: %d, %v", n, err)
		}
		if err := s.Queue().Finish(t.Context(), c, outcomes(c, store.Outcome{Done: true}), nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("an abandoned claim was finished: %v", err)
		}
		if again := claimOne(t, s, false); again.Message.Recipients[0].Attempts != 0 {
			t.Errorf("it counts as an attempt: %+v", again.Message.Recipients)
		}
		if _, err := s.Queue().Abandon(t.Context(), ""); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("claims of nobody: %v", err)
		}
	})
}

func TestAdministratorsHoldReleaseRedirectAndRemove(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		account := addAccount(t, s, "bob")
		q, ctx := s.Queue(), t.Context()
		id := enqueue(t, s, 0, "a@one.test")
		c := claimOne(t, s, false)
		if _, err := q.Redirect(ctx, store.QueueFilter{ID: id}, address(t, "x@y.test")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("redirected during an attempt: %v", err)
		}
		if n, err := q.Hold(ctx, store.QueueFilter{ID: id}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if err := q.Finish(ctx, c, outcomes(c, store.Outcome{NextTry: time.Now()}), nil); err != nil {
			t.Fatal(err)
		}
		if got, err := q.Claim(ctx, "n", false, 1, time.Minute); err != nil || len(got) != 0 {
			t.Errorf("held mail was claimed: %v, %v", got, err)
		}
		held := store.Held
		list, err := q.List(ctx, store.QueueFilter{State: &held, Sender: "sender.test", Recipient: "a@one.test"})
		if err != nil || len(list) != 1 || list[0].Recipients[0].State != store.Held {
			t.Errorf("list: %+v, %v", list, err)
		}
		if n, err := q.Redirect(ctx, store.QueueFilter{ID: id}, address(t, "bob@example.test")); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if n, err := q.Release(ctx, store.QueueFilter{ID: id}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if c = claimOne(t, s, true); c.Message.Recipients[0].Local != account || c.Message.Recipients[0].Original != "rfc822;a@one.test" {
			t.Errorf("redirected: %+v", c.Message.Recipients)
		}
		if n, err := q.Remove(ctx, store.QueueFilter{ID: id}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if err := q.Finish(ctx, c, outcomes(c, store.Outcome{Done: true}), nil); !errors.Is(err, store.ErrConflict) {
			t.Errorf("finished after removal: %v", err)
		}
		for name, f := range map[string]func(context.Context, store.QueueFilter) (int, error){"hold": q.Hold, "release": q.Release, "retry": q.Retry, "remove": q.Remove} {
			if _, err := f(ctx, store.QueueFilter{ID: id}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s of nothing: %v", name, err)
			}
		}
		if _, err := q.OpenBody(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("body of nothing: %v", err)
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		var all []ident.ID
		for i := range 5 {
			all = append(all, enqueue(t, s, 0, fmt.Sprintf("u%d@one.test", i), "x@two.test"))
		}
		var seen []ident.ID
		for f := (store.QueueFilter{Limit: 2}); ; {
			page, err := s.Queue().List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				seen, f.After = append(seen, e.ID), e.ID
			}
		}
		if !slices.Equal(all, seen) {
			t.Errorf("paged %v, want %v", seen, all)
		}
		got, err := s.Queue().List(t.Context(), store.QueueFilter{Recipient: "U3@one.test"})
		if err != nil || len(got) != 1 || got[0].ID != all[3] || len(got[0].Recipients) != 1 {
			t.Errorf("by recipient: %+v, %v", got, err)
		}
		if got, err := s.Queue().List(t.Context(), store.QueueFilter{Recipient: "two.test", Sender: "eva@sender.test"}); err != nil || len(got) != 5 {
			t.Errorf("by domain: %d, %v", len(got), err)
		}
		if got, err := s.Queue().List(t.Context(), store.QueueFilter{Sender: "other.test"}); err != nil || len(got) != 0 {
			t.Errorf("by another sender: %d, %v", len(got), err)
		}
	})
}

func TestClaimsOfManyWorkersNeverOverlap(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		_, oneWriter := s.engine.(*sqliteEngine) // of several, two may share a message
		const messages, workers = 60, 6
		for i := range messages {
			enqueue(t, s, 0, fmt.Sprintf("u%d@one.test", i), fmt.Sprintf("v%d@two.test", i))
		}
		var mu sync.Mutex
		got := map[int64]int{}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for {
					claims, err := s.Queue().Claim(context.Background(), fmt.Sprint(w), false, 7, time.Minute)
					if err != nil {
						t.Error(err)
					}
					if len(claims) == 0 {
						return
					}
					for _, c := range claims {
						mu.Lock()
						for _, r := range c.Message.Recipients {
							got[r.ID]++
						}
						mu.Unlock()
						if len(c.Message.Recipients) != 2 && oneWriter {
							t.Errorf("message came in parts: %d recipients", len(c.Message.Recipients))
						}
						if err := s.Queue().Finish(context.Background(), c, outcomes(c, store.Outcome{Done: true}), nil); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		if len(got) != 2*messages {
			t.Errorf("%d recipients were claimed", len(got))
		}
		if m, r, err := s.Queue().Count(t.Context()); err != nil || m != 0 || r != 0 {
			t.Errorf("left: %d, %d, %v", m, r, err)
		}
	})
}

// What was sent must be noted even when the disk is full, or it is sent again;
// and mail that leaves gives room.
func TestAFullDiskDoesNotStopMailThatLeaves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := reopen(t, dir, Options{})
	for _, to := range []string{"a@far.test", "b@far.test", "c@far.test"} {
		enqueue(t, s, 0, to)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir, Options{Reserve: 1 << 60}) // no disk has it
	q, ctx := s.Queue(), t.Context()
	note := acceptance(t, s, 0, []byte("told"))
	defer note.Body.Discard()
	note.Filings = nil
	note.Queue = &store.QueueMessage{ID: note.Key, Accepted: time.Now(), Recipients: []store.QueueRecipient{{Address: address(t, "eva@sender.test")}}}
	if _, err := s.Accept(ctx, note); !errors.Is(err, store.ErrFull) {
		t.Fatal("the disk is not full:", err)
	}
	if n, err := q.Abandon(ctx, "n1"); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	claims, err := q.Claim(ctx, "n1", false, 10, time.Minute)
	if err != nil || len(claims) != 3 {
		t.Fatal(len(claims), err)
	}
	if _, err := q.Extend(ctx, claims[0], time.Hour); err != nil {
		t.Error(err)
	}
	if err := q.Finish(ctx, claims[0], outcomes(claims[0], store.Outcome{NextTry: time.Now(), LastError: "450 busy"}), nil); err != nil {
		t.Error(err)
	}
	if err := q.Finish(ctx, claims[1], outcomes(claims[1], store.Outcome{Done: true}), nil); err != nil {
		t.Error(err)
	}
	if err := q.Finish(ctx, claims[2], outcomes(claims[2], store.Outcome{Done: true}), note); !errors.Is(err, store.ErrFull) {
		t.Errorf("a notice was stored on a full disk: %v", err)
	}
	if m, _, err := q.Count(ctx); err != nil || m != 2 {
		t.Errorf("%d left, %v", m, err)
	}
}

func BenchmarkQueueLeaseAndFinish(b *testing.B) {
	s := openTest(b, Options{})
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for range b.N/64 + 1 {
				enqueue(b, s, 0, fmt.Sprintf("u%d@one.test", w))
			}
		})
	}
	wg.Wait()
	work := make(chan store.Claim, 1000)
	b.ResetTimer()
	for range 128 {
		wg.Go(func() {
			for c := range work {
				if err := s.Queue().Finish(context.Background(), c, outcomes(c, store.Outcome{Done: true}), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for {
		claims, err := s.Queue().Claim(context.Background(), "n", false, 100, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		if len(claims) == 0 {
			break
		}
		for _, c := range claims {
			work <- c
		}
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(st.Writes)/float64(st.Commits), "writes/commit")
}
