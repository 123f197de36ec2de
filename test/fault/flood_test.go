package fault

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// reliability.md rows 8, 10 and 11: idle, slow and greedy clients cost bounded
// memory, and a newcomer is served beside them.
func TestAFloodLeavesRoomForNewcomers(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, options(""))
	accounts := addAccounts(t, d, 1)
	before := resident(t, d.Pid)
	idle, slow, greedy := pick(2000, 8000), pick(300, 1000), 100
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range idle + slow + greedy {
		c, err := net.Dial("tcp", d.Addr("smtp"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		switch {
		case i < idle:
		case i < idle+slow:
			_, err = io.WriteString(c, "EHLO slo") // never ends
		default:
			_, err = fmt.Fprintf(c, "EHLO greedy.example\r\nMAIL FROM:<a@greedy.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", accounts[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The greedy ones send megabytes and never finish.
	chunk := []byte(strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789\r\n", 2000))
	for round := range 20 {
		for _, c := range open[idle+slow:] {
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = c.Write(chunk) // a full pipe is what this is about
		}
		if grown := resident(t, d.Pid) - before; grown > 300<<20 {
			t.Fatalf("round %d: memory grew by %d MB", round, grown>>20)
		}
	}
	each := (resident(t, d.Pid) - before) / int64(len(open))
	t.Logf("%d connections, %d KB each", len(open), each>>10)
	if each > 100<<10 {
		t.Errorf("a connection costs %d KB", each>>10)
	}
	for i := range 20 {
		if err := newcomer(d.Addr("smtp")); err != nil {
			t.Fatalf("newcomer %d: %v", i, err)
		}
	}
	c := dialIMAP(t, d.Addr("imap"))
	c.do("LOGIN " + accounts[0] + ` "` + daemon.Password + `"`)
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
