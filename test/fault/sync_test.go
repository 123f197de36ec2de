package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// reliability.md row 7, hostile input 38: after a failed sync nothing is
// acknowledged, the sync is not tried again, the store says that it is read-only,
// and reading goes on.
//
// What was refused may still stand after a restart in one case: the commit whose
// own sync failed has an unknown outcome (state/store, ErrReadOnly). Where the
// sync of a body failed there was no commit, and what is refused later cannot be
// there either.
func TestAFailedSyncEndsAcknowledging(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file    string // whose sync fails
		size    int
		unknown int // messages whose commit was under way
	}{
		"of the log":           {"posthorn.db-wal", 2000, 1},
		"of a body":            {"bodies/000001.seg", 20_000, 0},
		"of a body of a draft": {"bodies/000001.seg", 200_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options(""), 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			before := s.books.Next(20_000, s.accounts[0]) // makes the segment
			if err := s.deliver(ctx, before); err != nil {
				t.Fatal(err)
			}
			s.books.Acked(before)
			c1 := dialIMAP(t, s.d.Addr("imap"))
			c1.do("LOGIN " + s.accounts[0] + ` "` + daemon.Password + `"`)
			c1.do("SELECT INBOX")

			failures := s.failSyncs(filepath.Join(s.d.Data, "store", c.file))
			refused := []ledger.Message{s.refusesNow(ctx, c.size)}
			for range 4 {
				refused = append(refused, s.refusesNow(ctx, 2000))
			}
			if n := failures(); n != 1 {
				t.Errorf("%d syncs were tried and failed: after the first nothing is to be written", n)
			}
			refused = append(refused, s.refusesNow(ctx, 2000), s.refusesNow(ctx, 20_000)) // without a restart
			s.isReadOnly(c1)
			s.read() // reading still works
			s.d.Kill()
			s.again()
			v := s.balance()
			if v.Unacked > c.unknown {
				t.Errorf("%d refused messages are there after a restart", v.Unacked)
			}
			for _, m := range refused[c.unknown:] {
				if s.stands(m) {
					t.Errorf("message %d was refused, not by the commit that failed, and is there", m.Number)
				}
			}
			m := s.books.Next(c.size, s.accounts[0])
			if err := s.deliver(ctx, m); err != nil {
				t.Errorf("after the restart: %v", err)
			}
		})
	}
}

// refusesNow delivers a message that must be refused for now.
func (s *site) refusesNow(ctx context.Context, size int) ledger.Message {
	s.t.Helper()
	m := s.books.Next(size, s.accounts[0])
	var r *ledger.ReplyError
	if err := s.deliver(ctx, m); !errors.As(err, &r) || r.Line[0] != '4' {
		s.t.Errorf("message %d with a failing disk: %v", m.Number, err)
	}
	return m
}

// isReadOnly checks what everybody is told.
func (s *site) isReadOnly(c *imapConn) {
	s.t.Helper()
	for _, command := range []string{"APPEND INBOX {3+}\r\nabc", `UID STORE 1 +FLAGS (\Flagged)`, `UID MOVE 1 Archive`} {
		if _, err := c.try(command); !refused(err) {
			s.t.Errorf("%.10s on a read-only store: %v", command, err)
		}
	}
	if out, err := s.d.Run("", "status"); err != nil || !strings.Contains(out, "READ-ONLY") {
		s.t.Errorf("status does not tell the administrator: %v\n%s", err, out)
	}
}

// failSyncs lets syncs of one file fail from now on, until the function returned
// is called: it says how many did.
func (s *site) failSyncs(file string) (end func() int) {
	s.t.Helper()
	if _, err := os.Stat(file); err != nil {
		s.t.Fatal(err)
	}
	log := filepath.Join(s.t.TempDir(), "strace")
	const calls = "fdatasync,fsync"
	trace := exec.Command("strace", "-f", "-q", "-y", "-o", log, "-P", file, "-e", "trace="+calls, "-e", "inject="+calls+":error=EIO", "-p", fmt.Sprint(s.d.Pid))
	if err := trace.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.waitFor("strace", func() bool { return traced(s.t, s.d.Pid) })
	return func() int {
		if err := trace.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Error(err)
		}
		_ = trace.Wait() // ends by the signal
		text, err := os.ReadFile(log)
		if err != nil {
			s.t.Fatal(err)
		}
		return strings.Count(string(text), "(INJECTED)")
	}
}

// traced reports whether all threads have a tracer.
func traced(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(status), "\nTracerPid:\t0\n") {
			return false
		}
	}
	return true
}
