package fault

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// reliability.md row 39: under mixed traffic memory does not grow (an hour in
// the soak, where it is measured; some seconds else), and when the traffic ends
// goroutines are back where they were.
func TestNothingLeaksUnderMixedTraffic(t *testing.T) {
	t.Parallel()
	length := time.Duration(pick(10, 3600)) * time.Second
	s, to := newSender(t, options(""))
	s.set("queue.paused=false")
	locals := addAccounts(t, s.d, 9)
	s.restartWithCache("2MB")
	s.fillCaches(locals[8], pick(200, 6000))
	s.stir(locals[:8], time.Duration(pick(2, 300))*time.Second)
	base := s.goroutines()

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for _, account := range locals[:4] {
		all.Go(func() { s.mixed(ctx, account, 100*time.Millisecond) })
	}
	at, used, resident := s.watchMemory(ctx, length)
	all.Wait()
	s.drained()
	for _, account := range locals { // what was deleted has been read before
		if _, err := ledger.ReadInbox(s.books, s.d.Addr("imap"), account, daemon.Password); err != nil {
			t.Error(err)
		}
	}
	v := s.books.Balance()
	t.Log(v)
	if !v.OK() || v.Unacked > 0 || to.received() == 0 {
		t.Errorf("the books do not balance; %d messages were sent on", to.received())
	}
	slope := slopeOf(at, used)
	t.Logf("%.1f MB in use, growing by %.2f MB an hour; %.1f MB resident, by %.2f; %d messages sent on",
		used[len(used)-1], slope, resident[len(resident)-1], slopeOf(at, resident), to.received())
	t.Logf("in use, minute by minute: %.1f", used)
	if soak() && slope >= 1 {
		t.Errorf("memory grows by %.2f MB an hour", slope)
	}
	s.waitFor(fmt.Sprintf("%d goroutines again", base+5), func() bool { return s.goroutines() <= base+5 })
}

// watchMemory returns the memory in use at each sixtieth of the length, in MB,
// the times in hours, and what was resident in all then. The first third is left
// out.
func (s *site) watchMemory(ctx context.Context, length time.Duration) (at, used, resident []float64) {
	s.t.Helper()
	const steps = 60
	var now [2][]float64
	for begin, last := time.Now(), steps/3; ; {
		select {
		case <-ctx.Done():
			return at, used, resident
		case <-time.After(length / steps / 10):
		}
		gone := time.Since(begin)
		if step := int(gone * steps / length); step > last {
			if last = step; len(now[0]) > 0 {
				at, used, resident = append(at, gone.Hours()), append(used, median(now[0])), append(resident, median(now[1]))
			}
			now = [2][]float64{}
		} else if step < steps/3 {
			continue
		}
		u, r := s.memory()
		now[0], now[1] = append(now[0], u), append(now[1], r)
	}
}

// memory is what the server uses and what is resident, in MB. The difference is
// the pages that Go keeps for what comes next, and what its collector has not
// found yet: both follow the load of the machine by megabytes within minutes, up
// and down, and would hide a leak as well as feign one.
func (s *site) memory() (used, all float64) {
	s.t.Helper()
	all = float64(resident(s.t, s.d.Pid)) / (1 << 20)
	figures := s.figures("go_memstats_heap_inuse_bytes", "go_memstats_heap_idle_bytes", "go_memstats_heap_released_bytes", "go_gc_heap_live_bytes")
	inUse, idle, released, live := figures[0], figures[1], figures[2], figures[3]
	return all - (inUse+idle-released-live)/(1<<20), all
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// restartWithCache starts the server again with all listeners that mixed needs
// and with a cache that the traffic fills early: of a larger one it takes some
// more for each new page of the database and gives some back, for many hours. At
// 8 MB that alone was seen to grow by 1.3 MB in an hour.
func (s *site) restartWithCache(size string) {
	s.t.Helper()
	if err := s.d.Stop(); err != nil {
		s.t.Fatal(err)
	}
	config := filepath.Join(s.t.TempDir(), "posthorn.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "[store]\ncache = %q\n[log]\nlevel = \"warn\"\n", size), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.d = daemon.Start(s.t, daemon.Options{
		Command: "serve", Data: s.d.Data, Listen: []string{"smtp", "imap", "pop3", "metrics"}, Args: []string{"--config", config, "--allow-root"},
	})
	s.publish()
}

// fillCaches makes the database larger than its caches: what they take up to
// their bounds is no leak. Who reads takes pages that are given back with the
// next change, so they are filled again afterwards.
func (s *site) fillCaches(account string, messages int) {
	s.t.Helper()
	s.deliverMany(account, messages)
	c, err := login(s.d.Addr("imap"), account)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.close()
	for _, command := range []string{"FETCH 1:* (FLAGS)", "SEARCH TEXT nothing", "LOGOUT"} {
		if _, err := c.try(command); err != nil {
			s.t.Fatalf("%.30s: %v", command, err)
		}
	}
	s.deliverMany(account, messages)
}

// stir is more traffic at once than is measured afterwards: what allocators keep
// for the next peak they have from then on.
func (s *site) stir(accounts []string, length time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for _, account := range accounts {
		all.Go(func() { s.mixed(ctx, account, 0) })
	}
	all.Wait()
	s.drained()
}

// deliverMany delivers so many messages by several connections.
func (s *site) deliverMany(account string, messages int) {
	s.t.Helper()
	const senders = 8
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			l, err := ledger.Dial(s.t.Context(), s.d.Addr("smtp"))
			if err != nil {
				s.t.Error(err)
				return
			}
			defer l.Close()
			for range messages / senders {
				if err := s.enter(l, 3000, account); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// enter delivers a message and enters it into the books.
func (s *site) enter(l *ledger.Session, size int, account string) error {
	m := s.books.Next(size, account)
	err := l.Deliver(m)
	if err == nil {
		s.books.Acked(m)
	}
	return err
}

// mixed delivers to an account and elsewhere, and reads and clears the mailbox
// by IMAP and POP3 in turn, with a pause after each round.
func (s *site) mixed(ctx context.Context, account string, rest time.Duration) {
	for i := 0; ctx.Err() == nil; i++ {
		l, err := ledger.Dial(ctx, s.d.Addr("smtp"))
		if err != nil {
			if end, _ := ctx.Deadline(); time.Now().Before(end) { // which a dialler may notice before ctx does
				s.t.Error(err)
			}
			return
		}
		err = s.enter(l, 2000+i%5*10_000, account)
		if err == nil {
			err = s.enter(l, 2000, s.accounts[i%len(s.accounts)])
		}
		l.Close()
		if err == nil && i%2 == 0 {
			err = s.clearByIMAP(account)
		} else if err == nil {
			err = s.clearByPOP3(account)
		}
		if err != nil && ctx.Err() == nil {
			s.t.Error(err)
			return
		}
		time.Sleep(rest)
	}
}

// clearByIMAP reads an INBOX into the books and empties it.
func (s *site) clearByIMAP(account string) error {
	c, err := login(s.d.Addr("imap"), account)
	if err != nil {
		return err
	}
	defer c.close()
	var read []string
	for _, command := range []string{"FETCH 1:* (ENVELOPE BODY.PEEK[])", "SEARCH TEXT nothing", `STORE 1:* +FLAGS (\Deleted)`, "EXPUNGE", "LOGOUT"} {
		answer, err := c.ask(command)
		if err != nil {
			return fmt.Errorf("%.30s: %w", command, err)
		}
		for _, r := range answer {
			read = append(read, r.literals...)
		}
	}
	for _, raw := range read {
		s.books.Found(account, []byte(raw))
	}
	return nil
}

// clearByPOP3 reads the first message into the books and deletes it.
func (s *site) clearByPOP3(account string) error {
	c, err := connect(s.d.Addr("pop3"))
	if err != nil {
		return err
	}
	defer c.close()
	var raw []byte
	for _, command := range []string{"USER " + account, "PASS " + daemon.Password, "STAT", "RETR 1", "DELE 1", "QUIT"} {
		if _, err := io.WriteString(c.c, command+"\r\n"); err != nil {
			return err
		}
		if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
			return fmt.Errorf("%.5s: %q %w", command, line, err)
		}
		if command == "RETR 1" {
			if raw, err = readDotted(c.in); err != nil {
				return err
			}
		}
	}
	s.books.Found(account, raw)
	return nil
}

// readDotted reads a message as RFC 1939 §3 has it, with its CRLFs.
func readDotted(in *bufio.Reader) ([]byte, error) {
	var raw []byte
	for {
		line, err := in.ReadBytes('\n')
		if err != nil || string(line) == ".\r\n" {
			return raw, err
		}
		raw = append(raw, bytes.TrimPrefix(line, []byte("."))...)
	}
}

// goroutines asks the server how many it has.
func (s *site) goroutines() int {
	s.t.Helper()
	return int(s.figures("go_goroutines")[0])
}

// figures asks for metrics without labels.
func (s *site) figures(names ...string) []float64 {
	s.t.Helper()
	r, err := http.Get("http://" + s.d.Addr("metrics") + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	list := make([]float64, len(names))
	for i, name := range names {
		_, rest, found := strings.Cut(string(text), "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		if list[i], err = strconv.ParseFloat(line, 64); !found || err != nil {
			s.t.Fatalf("no %s in the metrics: %v\n%s", name, err, text)
		}
	}
	return list
}

// slopeOf is that of the line with the least squares.
func slopeOf(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(y))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	return xy / xx
}
