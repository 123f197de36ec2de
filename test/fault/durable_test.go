package fault

import (
	"math/rand/v2"
	"testing"
	"time"
)

// reliability.md row 3: OK to APPEND, STORE, MOVE and EXPUNGE is durable, and
// UIDs are never used again. TestPowerCutsLoseNothingAcknowledged has the same
// clients.
func TestWhatIMAPSaidOKToSurvivesKills(t *testing.T) {
	t.Parallel()
	s := newSite(t, options(""), 3)
	all := newClients(s.accounts)
	cycles := pick(6, 60)
	for cycle := range cycles {
		wait := all.begin(s.d.Addr("imap"))
		all.atLeast(t, 10)
		time.Sleep(rand.N(600 * time.Millisecond))
		s.d.Kill()
		if err := wait(); err != nil {
			t.Error(err)
		}
		s.again()
		if err := all.check(s.d.Addr("imap")); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("after kill %d", cycle+1)
		}
	}
	all.balance(t, 2*cycles)
}
