package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
	"posthorn/internal/testkit/need"
)

// soak reports whether the long figures are asked for (make soak).
func soak() bool { return os.Getenv("POSTHORN_SOAK") != "" }

// pick returns the short figure, or the long one of a soak.
func pick(short, long int) int {
	if soak() {
		return long
	}
	return short
}

// needRoot skips tests that mount or trace, which a container build may not.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		need.Missing(t, "root (mount, strace)")
	}
}

// options are those of all servers here.
func options(data string, args ...string) daemon.Options {
	return daemon.Options{Data: data, Listen: []string{"smtp", "imap"}, Args: append([]string{"--plaintext-login"}, args...)}
}

// addAccounts makes accounts with the daemon's password.
func addAccounts(t *testing.T, d *daemon.Daemon, n int) []string {
	t.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("box%d@example.test", i)
		if out, err := d.Run(daemon.Password+"\n", "account", "add", name, "--password-stdin"); err != nil {
			t.Fatalf("account %s: %v %s", name, err, out)
		}
		names = append(names, name)
	}
	return names
}

// site is a server that comes and goes while senders keep trying.
type site struct {
	t        *testing.T
	d        *daemon.Daemon
	addr     atomic.Pointer[string]
	books    *ledger.Ledger
	accounts []string
	earlier  map[string]ledger.Reading
	broken   []error // what readings said about UIDs
}

func newSite(t *testing.T, o daemon.Options, accounts int) *site {
	s := &site{t: t, d: daemon.Start(t, o), books: ledger.New(), earlier: map[string]ledger.Reading{}}
	s.accounts = addAccounts(t, s.d, accounts)
	s.publish()
	return s
}

func (s *site) publish() {
	a := s.d.Addr("smtp")
	s.addr.Store(&a)
}

// load sends until the returned function is called, which waits for the end.
func (s *site) load(l ledger.Load) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	l.Addr = func() string { return *s.addr.Load() }
	l.Accounts = s.accounts
	done := make(chan struct{})
	go func() {
		defer close(done)
		ledger.Send(ctx, s.books, l)
	}()
	return func() {
		cancel()
		<-done
	}
}

// again starts the server on the same data after a kill or a stop.
func (s *site) again() {
	s.d = s.d.Again()
	s.publish()
}

// settled waits until the queue holds nothing and enters all mailboxes into
// the books.
func (s *site) settled() error {
	if err := s.drain(); err != nil {
		return err
	}
	return s.readAll()
}

// drained is drain for servers that must do it.
func (s *site) drained() {
	s.t.Helper()
	if err := s.drain(); err != nil {
		s.t.Fatal(err)
	}
}

// drain waits until the queue holds nothing; a minute in which nothing of it
// moves is too long.
func (s *site) drain() error {
	var before int64
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var page struct{ Messages int64 }
		out, err := s.d.Run("", "queue", "list", "--json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &page)
		}
		if err == nil && page.Messages == 0 {
			return nil
		}
		if page.Messages != before {
			before, end = page.Messages, time.Now().Add(time.Minute)
		}
		if time.Now().After(end) {
			return fmt.Errorf("the queue does not drain: %d messages, %w", page.Messages, err)
		}
	}
}

// read is readAll for servers that must show everything.
func (s *site) read() {
	s.t.Helper()
	if err := s.readAll(); err != nil {
		s.t.Fatal(err)
	}
}

// readAll enters all mailboxes into the books and notes in broken where UIDs do
// not mean what they meant before.
func (s *site) readAll() error {
	s.books.Forget()
	for _, a := range s.accounts {
		r, err := ledger.ReadInbox(s.books, s.d.Addr("imap"), a, daemon.Password)
		if err != nil {
			return err
		}
		if old, ok := s.earlier[a]; ok {
			if err := old.Later(r); err != nil {
				s.broken = append(s.broken, fmt.Errorf("%s: %w", a, err))
			}
		}
		s.earlier[a] = r
	}
	return nil
}

// balance reads everything and fails the test unless the books balance.
func (s *site) balance() ledger.Verdict {
	s.t.Helper()
	s.drained()
	s.read()
	v := s.books.Balance()
	s.t.Log(v)
	if !v.OK() {
		s.t.Error("the books do not balance")
	}
	if len(s.broken) > 0 {
		s.t.Error(errors.Join(s.broken...))
	}
	return v
}
