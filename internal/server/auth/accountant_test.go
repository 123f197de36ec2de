package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func testLimiter() *Limiter {
	return NewLimiter(func() *Settings { return &Settings{HostFailures: 20} })
}

// Everybody behind one address logs in at once after a restart.
func TestRightLoginsSideBySideAllSucceed(t *testing.T) {
	t.Parallel()
	for name, nameOf := range map[string]func(int) string{
		"people": func(i int) string { return fmt.Sprintf("p%d@example.test", i) }, "one token": func(int) string { return bearer },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := testLimiter()
				for range 2 {
					for i := range 40 {
						go func() {
							taken, err := l.Admit(t.Context(), client, nameOf(i))
							if err != nil {
								t.Errorf("login %d: %v", i, err)
								return
							}
							time.Sleep(100 * time.Millisecond) // the verification
							l.Succeeded(Success{Client: client, Name: nameOf(i), Taken: taken})
						}()
					}
					time.Sleep(2 * patience)
				}
				h, _ := l.hosts.Get(l.pair(client, "").host)
				if h.spent != 0 || h.flying != 0 || h.waiting != 0 || h.wake != nil {
					t.Errorf("left over: %+v", h)
				}
			})
		})
	}
}

// More connections at once must not judge more guesses than failures are left.
func TestGuessesSideBySideGainNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter()
		var judged, blocked atomic.Int64
		begin := time.Now()
		for i := range 500 {
			go func() {
				name := fmt.Sprintf("victim%d@example.test", i)
				taken, err := l.Admit(t.Context(), client, name)
				if errors.Is(err, ErrBlocked) {
					blocked.Add(1)
					return
				}
				judged.Add(1)
				time.Sleep(100 * time.Millisecond)
				l.Failed(Failure{Kind: WrongLogin, Client: client, Name: name, Taken: taken})
			}()
		}
		synctest.Wait()
		if judged.Load() != 10 || blocked.Load() != 500-10-crowd {
			t.Errorf("at once: %d judged, %d blocked", judged.Load(), blocked.Load())
		}
		time.Sleep(200 * time.Millisecond)
		if judged.Load() != 10 || blocked.Load() != 490 {
			t.Errorf("after the failures, %v later: %d judged, %d blocked", time.Since(begin), judged.Load(), blocked.Load())
		}
		if _, err := l.Admit(t.Context(), client, "next@example.test"); !errors.Is(err, ErrBlocked) {
			t.Error(err)
		}
	})
}

func TestAWaitForOtherLoginsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter()
		fill := func() {
			for i := range 10 {
				if taken, err := l.Admit(t.Context(), client, fmt.Sprint(i)); err != nil || !taken {
					t.Fatal(taken, err)
				}
			}
		}
		fill()
		begin := time.Now()
		if _, err := l.Admit(t.Context(), client, "patient"); !errors.Is(err, ErrBlocked) || time.Since(begin) != patience {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Admit(ctx, client, "gone"); !errors.Is(err, ErrTemporary) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := l.Admit(t.Context(), netip.MustParseAddr("192.0.2.200"), "elsewhere"); err != nil {
			t.Error(err)
		}
		// Connections that broke told nobody; their attempts flow back like failures.
		time.Sleep(2 * time.Minute)
		fill()
		// What was abandoned stays spent.
		l.Abandoned(client)
		begin = time.Now()
		for range 9 {
			l.Abandoned(client)
		}
		if _, err := l.Admit(t.Context(), client, "late"); !errors.Is(err, ErrBlocked) || time.Since(begin) != 0 {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

// Whoever has one password must not buy guesses with it by holding logins open.
func TestALoginThatTookLongGivesNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := testLimiter()
		for range 10 {
			if _, err := l.Admit(t.Context(), client, "own@example.test"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		for range 10 {
			taken, err := l.Admit(t.Context(), client, "victim@example.test")
			if err != nil {
				t.Fatal(err)
			}
			l.Failed(Failure{Kind: WrongLogin, Client: client, Name: "victim@example.test", Taken: taken})
		}
		for range 10 {
			l.Succeeded(Success{Client: client, Name: "own@example.test", Taken: true})
		}
		if _, err := l.Admit(t.Context(), client, "victim@example.test"); !errors.Is(err, ErrBlocked) {
			t.Error(err)
		}
	})
}

// A guard's attempt ends however the login does.
func TestNoAttemptStaysInFlight(t *testing.T) {
	t.Parallel()
	a, p := newTest(t, nil)
	g := a.Guard(client, "imaps", nil)
	_, _ = g.Password(t.Context(), "alice", "wrong")
	_, _ = g.Password(t.Context(), "alice", "secret")
	_ = g.Bearer(t.Context(), func() error { return errors.New("disk") })
	p.broken = errors.New("disk")
	_, _ = g.Password(t.Context(), "carol", "secret")
	if h, _ := a.accountant.(*Limiter).hosts.Get(a.accountant.(*Limiter).pair(client, "").host); h.flying != 0 || h.spent < 2.9 {
		t.Errorf("%+v", h)
	}
}
