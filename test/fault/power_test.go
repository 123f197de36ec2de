package fault

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// reliability.md rows 2 and 3: the same as a kill, with the page cache gone, for
// deliveries and for what IMAP clients were told. Everything is read after each
// cut, so that a UID that comes back as another message's shows.
func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBlackout(t, "")
	cycles := pick(6, 30)
	for i := range cycles {
		if err := b.cycle(i%2 == 0, i%4 > 1); err != nil {
			t.Fatalf("after cut %d: %v", i+1, err)
		}
		if err := b.imap.check(b.d.Addr("imap")); err != nil {
			t.Fatalf("after cut %d: %v", i+1, err)
		}
	}
	b.balance()
	b.imap.balance(t, cycles)
	t.Logf("frozen servers stopped within %v; the log began anew %d times and held up to %d pages at a cut; %d segments had been removed",
		b.gaps, b.turns, b.deepest, b.removed)
	if soak() && (b.turns == 0 || b.removed == 0) {
		t.Error("the log never began anew, or no segment of bodies was ever emptied: the cuts did not come near")
	}
}

// The same cut must show a missing sync, of the log or of bodies, or it shows
// nothing: set-up is durable, then one kind is left out, and acknowledged
// messages must be lost while the server and what was set up come back.
//
// Two kinds cannot be shown so. A missing sync of a folder stays hidden because
// any sync on ext4 writes the journal, which holds folders; a missing flush of
// the device's cache does because a file in a loop has none.
func TestPowerCutsWithoutSyncsAreNoticed(t *testing.T) {
	t.Parallel()
	needRoot(t)
	bin := filepath.Join(t.TempDir(), "posthorn-nosync")
	build := exec.Command("go", "build", "-tags", "nosync_for_test", "-o", bin, "posthorn/cmd/posthorn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, kind := range []string{"log", "bodies"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBlackout(t, bin)
			early := b.setUp(kind)
			if err := b.cycle(true, false); err != nil {
				t.Fatal(err)
			}
			if err := b.settled(); err != nil {
				t.Fatal(err)
			}
			v := b.books.Balance()
			t.Log(v, errors.Join(b.broken...))
			if v.Lost == 0 {
				t.Errorf("nothing is lost without syncs of the %s: the test does not test", kind)
			}
			for _, m := range early {
				if !b.stands(m) {
					t.Errorf("message %d was durable before: this is another fault than the missing sync", m.Number)
				}
			}
		})
	}
}

// setUp delivers some messages with all syncs and starts the server again
// without those of a kind.
func (b *blackout) setUp(without string) (early []ledger.Message) {
	b.t.Helper()
	for i := range 8 {
		m := b.books.Next([]int{2000, 90_000}[i%2], b.accounts[i%4])
		if err := b.deliver(b.t.Context(), m); err != nil {
			b.t.Fatal(err)
		}
		b.books.Acked(m)
		early = append(early, m)
	}
	if err := b.d.Stop(); err != nil {
		b.t.Fatal(err)
	}
	b.o.Env = append(b.o.Env, "POSTHORN_WITHOUT_SYNC="+without)
	b.d = daemon.Start(b.t, b.o)
	b.publish()
	return early
}

// stands reports whether the last reading showed the message.
func (s *site) stands(m ledger.Message) bool {
	for _, r := range m.Recipients {
		for _, number := range s.earlier[r].UIDs {
			if number == m.Number {
				return true
			}
		}
	}
	return false
}
