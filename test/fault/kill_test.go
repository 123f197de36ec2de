package fault

import (
	"math/rand/v2"
	"testing"
	"time"

	"posthorn/internal/testkit/ledger"
)

// reliability.md row 1, hostile input 49: a killed server has every message it
// acknowledged, once, and no UID ever means another message.
func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) {
	t.Parallel()
	cycles, least := pick(12, 100), pick(6_000, 50_000)
	s := newSite(t, options(""), 10)
	load := ledger.Load{Connections: 32, Sizes: []int{800, 2000, 5000, 2000, 70_000}, Pairs: 7}
	stop := s.load(load)
	for i := 0; ; i++ {
		s.acknowledges(50)
		time.Sleep(100*time.Millisecond + rand.N(500*time.Millisecond))
		s.d.Kill()
		s.again()
		_, acked := s.books.Count()
		if i >= cycles-1 && acked >= least {
			t.Logf("%d kills", i+1)
			break
		}
		if i%10 == 9 { // what is read must not grow meanwhile
			stop()
			s.read()
			stop = s.load(load)
		}
	}
	s.acknowledges(50)
	stop()
	s.balance()
}

// reliability.md row 5: a stop finishes or refuses what runs, in time.
func TestAStopLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, options(""), 4)
	stop := s.load(ledger.Load{Connections: 16, Sizes: []int{2000, 200_000}, Pairs: 5})
	for range pick(3, 20) {
		s.acknowledges(50)
		time.Sleep(500 * time.Millisecond)
		begin := time.Now()
		if err := s.d.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the stop took %v", took)
		}
		s.again()
	}
	s.acknowledges(50)
	stop()
	if v := s.balance(); v.Unacked > 0 {
		t.Errorf("%d messages were kept without an acknowledgement", v.Unacked)
	}
}
