package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// newSender is a server whose mail for elsewhere goes to the sink, with the
// queue standing still.
func newSender(t *testing.T, o daemon.Options) (*site, *sink) {
	t.Helper()
	o.Args = append(o.Args, "--send")
	s := newSite(t, o, 0)
	to := newSink(t, s.books)
	s.set("policy.trust.clients=127.0.0.1", "relay.mode=relay", "relay.hosts="+to.host, "relay.port="+to.port, "queue.paused=true", "queue.retry=1s")
	s.accounts = nil
	for i := range 20 {
		s.accounts = append(s.accounts, fmt.Sprintf("box%d@far%d.test", i, i%3))
	}
	return s, to
}

// set changes settings.
func (s *site) set(settings ...string) {
	s.t.Helper()
	if out, err := s.d.Run("", append([]string{"setting", "set"}, settings...)...); err != nil {
		s.t.Fatalf("%v %s", err, out)
	}
}

// fill queues at least n messages.
func (s *site) fill(n int, l ledger.Load) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	stop := s.load(l)
	defer stop()
	for {
		if _, acked := s.books.Count(); acked >= n {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatal("the queue does not fill")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// reliability.md rows 1 and 4 for the queue: a server killed again and again
// while its queue drains loses nothing, and sends twice only what the next host
// had acknowledged in the moment before a kill.
func TestNothingIsLostWhenKilledWhileSending(t *testing.T) {
	cycles, messages := pick(10, 50), pick(5_000, 50_000)
	s, to := newSender(t, options(""))
	s.fill(messages, ledger.Load{Connections: 32, Sizes: []int{800, 2000, 5000}, Pairs: 7})
	s.set("queue.paused=false")
	var kills []time.Time
	for range cycles {
		before := to.received()
		s.waitFor("something sent", func() bool { return to.received() > before })
		time.Sleep(rand.N(150 * time.Millisecond))
		kills = append(kills, time.Now())
		s.d.Kill()
		kills[len(kills)-1] = time.Now()
		s.again()
	}
	s.drained()
	s.sent(to, kills, 20)
}

// waitFor waits until the condition holds.
func (s *site) waitFor(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// workers is how many deliveries are under way at most (queue.workers).
const workers = 100

// sent balances the books of what the sink got: nothing lost, and copies only
// of what was under way at a kill, over all no more than so many for each.
func (s *site) sent(to *sink, kills []time.Time, each int) {
	s.t.Helper()
	v := s.books.Balance()
	doubled, unexplained, most := to.copies(kills)
	s.t.Logf("%v; %d kills, %d sent twice, at most %d by one kill", v, len(kills), doubled, most)
	if v.Lost > 0 || v.Torn > 0 || v.Phantom > 0 || v.PartlyFiled > 0 {
		s.t.Error("the books do not balance")
	}
	if unexplained > 0 || most > workers || doubled > each*len(kills) {
		s.t.Errorf("%d were sent twice, %d of them without a kill in between; a kill may double what %d workers are at, and %d are expected", doubled, unexplained, workers, each)
	}
}
