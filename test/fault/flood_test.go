package fault

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// bounds are what a flood may cost. The soak demands the figures of
// reliability.md; the short run, on a machine that does other things too, a
// multiple of them.
type bounds struct {
	idle, slow, greedy int
	each               int64         // octets of memory for an idle connection
	newcomers          int           // one after the other
	wait               time.Duration // for a greeting and an answer to EHLO, all but one of a hundred
}

func floodBounds() bounds {
	if soak() {
		return bounds{idle: 10_000, slow: 1000, greedy: 100, each: 40 << 10, newcomers: 500, wait: time.Second}
	}
	return bounds{idle: 2000, slow: 300, greedy: 100, each: 100 << 10, newcomers: 20, wait: 10 * time.Second}
}

// growth is the most that memory may grow by (row 8).
const growth = 300 << 20

// reliability.md rows 8, 10 and 11: idle, slow and greedy clients cost bounded
// memory, idle ones are served or told why not, and a newcomer is served beside
// them.
func TestAFloodLeavesRoomForNewcomers(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, options(""))
	f := &flood{t: t, d: d, account: addAccounts(t, d, 1)[0], before: resident(t, d.Pid)}
	t.Cleanup(f.close)
	b := floodBounds()
	served := f.idle(b.idle)
	each := (resident(t, d.Pid) - f.before) / int64(served)
	t.Logf("%d of %d idle connections are served, %d KB each", served, b.idle, each>>10)
	if each > b.each {
		t.Errorf("an idle connection costs %d KB, at most %d", each>>10, b.each>>10)
	}
	f.slow(b.slow)
	f.greedy(b.greedy)
	f.newcomers(b.newcomers, b.wait)
	c := dialIMAP(t, d.Addr("imap"))
	c.do("LOGIN " + f.account + ` "` + daemon.Password + `"`)
}

// flood is many clients of one server.
type flood struct {
	t       *testing.T
	d       *daemon.Daemon
	account string
	before  int64 // resident memory
	open    []net.Conn
}

func (f *flood) close() {
	for _, c := range f.open {
		_ = c.Close()
	}
}

// dial opens n connections and says something on each.
func (f *flood) dial(n int, text string) []net.Conn {
	f.t.Helper()
	for range n {
		c, err := net.Dial("tcp", f.d.Addr("smtp"))
		if err != nil {
			f.t.Fatal(err)
		}
		f.open = append(f.open, c)
		if _, err := io.WriteString(c, text); err != nil {
			f.t.Fatal(err)
		}
	}
	return f.open[len(f.open)-n:]
}

// idle opens connections that never say anything and returns how many got a
// greeting; the others must be told that there is no room.
func (f *flood) idle(n int) (served int) {
	f.t.Helper()
	for _, c := range f.dial(n, "") {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		line, err := bufio.NewReaderSize(c, 512).ReadString('\n')
		switch {
		case err == nil && strings.HasPrefix(line, "220 "):
			served++
		case err != nil || !strings.HasPrefix(line, "421 "):
			f.t.Fatalf("an idle connection is told %q: %v", line, err)
		}
	}
	if served == 0 {
		f.t.Fatal("nobody is served")
	}
	return served
}

// slow opens connections whose command never ends.
func (f *flood) slow(n int) { f.dial(n, "EHLO slo") }

// greedy opens connections that send megabytes and never finish.
func (f *flood) greedy(n int) {
	f.t.Helper()
	all := f.dial(n, fmt.Sprintf("EHLO greedy.example\r\nMAIL FROM:<a@greedy.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", f.account))
	chunk := []byte(strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n", 2000))
	for round := range 20 {
		for _, c := range all {
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = c.Write(chunk) // a full pipe is what this is about
		}
		if grown := resident(f.t, f.d.Pid) - f.before; grown > growth {
			f.t.Fatalf("round %d: memory grew by %d MB", round, grown>>20)
		}
	}
}

// newcomers come one after the other and must be served in time, all but one of
// a hundred.
func (f *flood) newcomers(n int, most time.Duration) {
	f.t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		if err := newcomer(f.d.Addr("smtp")); err != nil {
			f.t.Fatalf("newcomer %d: %v", i, err)
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	p99 := took[n-1-n/100]
	f.t.Logf("newcomers wait %v, at most %v", took[n/2], p99)
	if p99 > most {
		f.t.Errorf("newcomers wait %v, may %v", p99, most)
	}
}

// newcomer wants a greeting and an answer to EHLO within ten seconds.
func newcomer(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "220 ") {
		return fmt.Errorf("greeting %q: %w", line, err)
	}
	if _, err := io.WriteString(c, "EHLO newcomer.example\r\n"); err != nil {
		return err
	}
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "250-") {
		return fmt.Errorf("EHLO %q: %w", line, err)
	}
	return nil
}

// resident returns a process's resident memory in octets.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
