package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

func deferring(_ context.Context, j Job) ([]Result, error) { return busy(j), nil }

func refusing(_ context.Context, j Job) ([]Result, error) {
	return all(j, Result{Fate: Failed, Host: "mx." + j.To.Key, Reply: reply.New(550, reply.E(5, 1, 1), "no such user")}), nil
}

func TestAttemptsFollowTheSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, deferring)
		for i := range 20 {
			w.shelf.add(nil, fmt.Sprintf("u@far%d.test", i))
		}
		w.during(20 * time.Hour)
		want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour}
		seen := map[time.Duration]bool{}
		for _, r := range w.shelf.rows {
			if len(r.attempts) < len(want)+1 {
				t.Fatalf("%d attempts", len(r.attempts))
			}
			for i, pause := range want {
				got := r.attempts[i+1].Sub(r.attempts[i])
				if d := got - pause; d < -pause/10-time.Second || d > pause/10+time.Second {
					t.Errorf("pause %d is %v, want %v within a tenth", i+1, got, pause)
				}
				seen[got.Round(time.Second)] = true
			}
		}
		if len(seen) < 50 {
			t.Errorf("only %d different pauses: there is no jitter", len(seen))
		}
	})
}

// One transaction, one notice: a host that was busy once does not make fifty
// messages of one.
func TestRecipientsOfAMessageStayTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jobs := 0
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			jobs++
			return busy(j), nil
		})
		w.o.Notices = &teller{}
		var to []string
		for i := range 50 {
			to = append(to, fmt.Sprintf("u%d@far.test", i))
		}
		w.shelf.add(nil, to...)
		w.during(20 * time.Hour)
		if attempts := len(w.shelf.rows[0].attempts); jobs != attempts || attempts < 8 || len(w.shelf.notices) != 1 {
			t.Errorf("%d transactions in %d attempts, %d notices", jobs, attempts, len(w.shelf.notices))
		}
	})
}

// Greylisting and 4yz replies may name a time (Result.Wait).
func TestADestinationMayAskForALongerPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			res := busy(j)
			res[0].Wait = time.Hour
			return res, nil
		})
		w.shelf.add(nil, "a@far.test")
		w.during(time.Second)
		if d := time.Until(w.shelf.rows[0].due); d < 59*time.Minute {
			t.Errorf("due in %v", d)
		}
	})
}

func TestTheLastAttemptIsMadeWhenTheTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, deferring)
		n := &teller{}
		w.o.Notices, w.s.DelayNotice = n, 0
		begin := time.Now()
		w.shelf.add(func(m *store.QueueMessage, _ *store.QueueRecipient) { m.Expires = begin.Add(3 * time.Hour) }, "a@far.test")
		w.during(4 * time.Hour)
		r := w.shelf.rows[0]
		if !r.gone {
			t.Fatal("not expired")
		}
		if last := r.attempts[len(r.attempts)-1].Sub(begin); last < 3*time.Hour-lastCall || last > 3*time.Hour+time.Second {
			t.Errorf("the last attempt was after %v", last)
		}
		if !slices.Equal(n.words(), []string{"a@far.test failed"}) {
			t.Fatalf("told %q", n.words())
		}
		if rep := n.asked[0].Reports[0]; !rep.Expired || rep.Reply.String() != "450 4.2.0 busy" || rep.Host != "mx.far.test" {
			t.Errorf("told %v", n.asked[0].Reports[0])
		}
		if e := w.endings[len(w.endings)-1]; !e.Expired || e.Result.Fate != Failed || len(w.shelf.notices) != 1 {
			t.Errorf("%+v, %d notices", e, len(w.shelf.notices))
		}
		if !strings.Contains(w.log.String(), "queue.expired") {
			t.Error("the log does not say so")
		}
	})
}

func TestNoticesLiveShorter(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil).s
	if got := s.LifetimeOf(mail.Address{}); got != 48*time.Hour {
		t.Errorf("a notice lives %v", got)
	}
	if got := s.LifetimeOf(mail.Address{Local: "a", Domain: "far.test"}); got != 120*time.Hour {
		t.Errorf("a message lives %v", got)
	}
}

func TestHeldMailDoesNotExpireAndGetsItsAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ok atomic.Bool
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			if ok.Load() && j.Claim.Message.Recipients[0].Address.Local == "lucky" {
				return delivered(j), nil
			}
			return busy(j), nil
		})
		w.shelf.add(nil, "lucky@far.test")
		w.shelf.add(nil, "unlucky@far.test")
		w.shelf.do(func() { w.shelf.rows[0].rcpt.State, w.shelf.rows[1].rcpt.State = store.Held, store.Held })
		stop := w.start()
		defer stop()
		rest(6 * 24 * time.Hour)
		for _, r := range w.shelf.rows {
			if r.gone || r.rcpt.Attempts != 0 {
				t.Fatalf("held: %+v", r)
			}
		}
		ok.Store(true)
		w.shelf.do(func() {
			w.shelf.rows[0].rcpt.State, w.shelf.rows[1].rcpt.State = store.Queued, store.Queued
			w.shelf.hint()
		})
		rest(time.Second)
		if a, b := w.endings[0], w.endings[1]; len(w.endings) != 2 || a.Result.Fate == b.Result.Fate || a.Expired == b.Expired {
			t.Errorf("released: %+v", w.endings)
		}
	})
}

func TestTheSenderIsToldOfADelayOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, deferring)
		n := &teller{}
		w.o.Notices = n
		with := func(notify store.Notify) func(*store.QueueMessage, *store.QueueRecipient) {
			return func(_ *store.QueueMessage, r *store.QueueRecipient) { r.Notify = notify }
		}
		w.shelf.add(nil, "plain@a.test")
		w.shelf.add(with(store.NotifyDelay|store.NotifyFailure), "delay@b.test")
		w.shelf.add(with(store.NotifyFailure), "failure@c.test")
		w.shelf.add(with(store.NotifyNever), "never@d.test")
		w.shelf.add(func(m *store.QueueMessage, _ *store.QueueRecipient) { m.Sender = mail.Address{} }, "null@e.test")
		// A message that was to go out in two days (RFC 4865) is not late then.
		w.shelf.add(func(m *store.QueueMessage, r *store.QueueRecipient) {
			r.NextTry = time.Now().Add(48 * time.Hour)
			m.Expires = r.NextTry.Add(w.s.Lifetime)
		}, "later@f.test")
		w.during(3 * time.Hour)
		if got := n.words(); len(got) != 0 {
			t.Errorf("told early: %q", got)
		}
		w.during(20 * time.Hour)
		want := []string{"delay@b.test delayed", "plain@a.test delayed"}
		got := n.words()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		for range 3 { // restarts
			w.during(8 * time.Hour)
		}
		if got := n.words(); len(got) != 2 {
			t.Errorf("told again: %q", got)
		}
		w.during(3 * time.Hour) // 50 hours: the late one was tried for two
		if got := n.words(); len(got) != 2 {
			t.Errorf("told of one that is not late: %q", got)
		}
		w.during(12 * time.Hour)
		if got := n.words(); len(got) != 3 || got[2] != "later@f.test delayed" {
			t.Errorf("told %q", got)
		}
		if len(w.shelf.notices) != 3 {
			t.Errorf("%d notices were stored", len(w.shelf.notices))
		}
	})
}

func TestSuccessIsReportedToWhomAskedForIt(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name         string
		notify       store.Notify
		local, aware bool
		want         []string
	}{
		{"not asked", 0, false, false, nil},
		{"failure only", store.NotifyFailure, false, false, nil},
		{"relayed", store.NotifySuccess, false, false, []string{"a@far.test relayed"}},
		{"relayed to one that reports itself", store.NotifySuccess, false, true, nil},
		{"delivered here", store.NotifySuccess, true, false, []string{"a@far.test delivered"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
					res := delivered(j)
					res[0].Aware = x.aware
					return res, nil
				})
				n := &teller{}
				w.o.Notices, w.o.Local = n, x.local
				w.shelf.add(func(_ *store.QueueMessage, r *store.QueueRecipient) { r.Notify = x.notify }, "a@far.test")
				w.during(time.Second)
				if got := n.words(); !slices.Equal(got, x.want) || len(w.shelf.notices) != len(x.want) {
					t.Errorf("told %q, %d notices", got, len(w.shelf.notices))
				}
			})
		})
	}
}

// One message to the sender tells of all recipients of a job.
func TestOneNoticeTellsOfAllRecipients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, refusing)
		n := &teller{}
		w.o.Notices = n
		w.shelf.add(nil, "a@far.test", "b@far.test", "c@far.test")
		w.during(time.Second)
		if len(n.asked) != 1 || len(n.asked[0].Reports) != 3 || len(w.shelf.notices) != 1 {
			t.Errorf("%d notices about %q", len(w.shelf.notices), n.words())
		}
		if strings.Count(w.log.String(), "bounce.queued") != 1 || !strings.Contains(w.log.String(), "to=eva@sender.test notice=") || !strings.Contains(w.log.String(), "queue.failed") || !strings.Contains(w.log.String(), "550 5.1.1 no such user") {
			t.Errorf("log: %s", w.log)
		}
	})
}

func TestWhatWasNotTriedDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { tries.Add(1); return nil, nil })
		w.shelf.add(nil, "a@far.test")
		w.during(30 * time.Minute)
		r := w.shelf.rows[0]
		if r.rcpt.Attempts != 0 || r.untried == 0 || int64(r.untried) != tries.Load() || tries.Load() > 35 || len(w.endings) != 0 {
			t.Errorf("%d tries, %+v, told %+v", tries.Load(), r, w.endings)
		}
	})
}

func TestAnErrorDefersWhatHasNoResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			return delivered(j)[:1], errors.New("connection lost")
		})
		w.shelf.add(nil, "a@far.test", "b@far.test")
		w.during(time.Second)
		if a, b := w.shelf.rows[0], w.shelf.rows[1]; !a.gone || b.gone || b.rcpt.LastError != "451 4.3.0 connection lost" || b.rcpt.Attempts != 1 {
			t.Errorf("%+v %+v", a, b)
		}
	})
}

func TestARowSaysWhereItWentAndWhoAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, deferring)
		w.o.Route = func(*store.QueueMessage, *store.QueueRecipient) route.Destination {
			return route.Destination{Key: "relay smart.test:587", Rule: "partners"}
		}
		w.shelf.add(nil, "a@far.test")
		w.during(time.Second)
		if r := w.shelf.rows[0].rcpt; r.Route != "relay smart.test:587" || r.LastHost != "mx.relay smart.test:587" || r.LastError != "450 4.2.0 busy" {
			t.Errorf("%+v", r)
		}
		for _, want := range []string{"queue.attempt", "queue.deferred", "partners", "relay smart.test:587", "a@far.test"} {
			if !strings.Contains(w.log.String(), want) {
				t.Errorf("the log misses %q: %s", want, w.log)
			}
		}
	})
}

// What was delivered is not sent again because the store could not hear of it.
func TestAnOutcomeIsStoredWhenTheStoreIsBack(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{store.ErrUnavailable, store.ErrFull, store.ErrReadOnly} {
		synctest.Test(t, func(t *testing.T) {
			var tries atomic.Int64
			w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) { tries.Add(1); return delivered(j), nil })
			w.shelf.refuse = func(store.Claim, []store.Outcome) error { return cause }
			w.shelf.add(nil, "a@far.test")
			stop := w.start()
			defer stop()
			rest(2 * time.Hour)
			w.shelf.do(func() { w.shelf.refuse = nil })
			rest(2 * mostAgain)
			if r := w.shelf.rows[0]; tries.Load() != 1 || !r.gone || len(w.endings) != 1 {
				t.Errorf("%v: %d tries, %+v", cause, tries.Load(), r)
			}
		})
	}
}

func TestAnUnknownOutcomeIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			tries.Add(1)
			return all(j, Result{Fate: Failed}), nil
		})
		n := &teller{}
		w.o.Notices, w.shelf.doubt = n, true
		w.shelf.add(nil, "a@far.test", "b@far.test")
		w.during(time.Hour)
		if tries.Load() != 1 || len(w.shelf.notices) != 1 || len(n.asked) != 1 || len(w.endings) != 2 || w.shelf.finish != 2 {
			t.Errorf("%d tries, %d notices, asked %d, told of %d, %d finishes", tries.Load(), len(w.shelf.notices), len(n.asked), len(w.endings), w.shelf.finish)
		}
	})
}

// An administrator removes one recipient during the attempt: the other's
// outcome must not be lost with it.
func TestARecipientRemovedDuringTheAttemptTakesNoOtherAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w *world
		w = newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			w.shelf.do(func() { w.shelf.rows[1].gone = true })
			return delivered(j), nil
		})
		w.shelf.add(nil, "a@far.test", "removed@far.test", "c@far.test")
		w.during(time.Hour)
		for _, i := range []int{0, 2} {
			if r := w.shelf.rows[i]; !r.gone || len(r.attempts) != 1 {
				t.Errorf("%+v", r)
			}
		}
		if len(w.endings) != 2 {
			t.Errorf("told of %d", len(w.endings))
		}
	})
}

// A mailbox that is full only at the commit defers its recipient alone.
func TestWhatCannotBeFiledWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			return all(j, Result{Fate: Delivered, File: &store.Filing{Role: store.RoleInbox}}), nil
		})
		n := &teller{}
		w.o.Notices, w.o.Local, w.o.Route = n, true, nil
		w.shelf.refuse = func(_ store.Claim, list []store.Outcome) error {
			for _, o := range list {
				if o.Recipient == 1 && o.File != nil {
					return store.ErrOverQuota
				}
			}
			return nil
		}
		w.shelf.add(func(_ *store.QueueMessage, r *store.QueueRecipient) { r.Notify = store.NotifySuccess }, "a@far.test", "b@far.test")
		w.during(time.Second)
		if a, b := w.shelf.rows[0], w.shelf.rows[1]; a.gone || a.rcpt.LastError != "452 4.2.2 Mailbox full" || !b.gone {
			t.Errorf("%+v %+v", a, b)
		}
		if len(w.shelf.notices) != 1 {
			t.Errorf("%d notices were stored", len(w.shelf.notices))
		}
	})
}

// A notice that cannot be written keeps the recipient it is about: nothing is
// lost without a word.
func TestAFailureNobodyCanBeToldOfWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, j Job) ([]Result, error) {
			return append(all(j, Result{Fate: Failed, Reply: reply.New(550, reply.E(5, 1, 1), "no")})[:1], delivered(j)[1:]...), nil
		})
		n := &teller{err: errors.New("cannot write it")}
		w.o.Notices = n
		w.shelf.add(func(_ *store.QueueMessage, r *store.QueueRecipient) {
			r.Notify = store.NotifySuccess | store.NotifyFailure
		}, "a@far.test", "b@far.test")
		w.during(time.Second)
		if a, b := w.shelf.rows[0], w.shelf.rows[1]; a.gone || a.rcpt.LastError != "550 5.1.1 no" || !b.gone || len(w.shelf.notices) != 0 {
			t.Errorf("%+v %+v", a, b)
		}
		if !strings.Contains(w.log.String(), "cannot write it") {
			t.Error("the log does not say so")
		}
		w.during(7 * 24 * time.Hour)
		if a := w.shelf.rows[0]; !a.gone {
			t.Errorf("%+v is kept for ever", a)
		}
	})
}

func TestLongRepliesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"short": 5, strings.Repeat("x", 2000): longest, strings.Repeat("x", longest-1) + "ü": longest - 1} {
		if got := clip(text); len(got) != want {
			t.Errorf("%d octets became %d, want %d", len(text), len(got), want)
		}
	}
}

func TestScheduleIsChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Settings){
		"a pause of nothing":        func(s *Settings) { s.Retry = []time.Duration{time.Minute, 0} },
		"a pause of a month":        func(s *Settings) { s.Retry = []time.Duration{30 * 24 * time.Hour} },
		"more for one than for all": func(s *Settings) { s.PerDestination = s.Workers + 1 },
	} {
		s := newWorld(t, nil).s
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if change(&s); s.Validate() == nil {
			t.Errorf("%s was allowed", name)
		}
	}
}
