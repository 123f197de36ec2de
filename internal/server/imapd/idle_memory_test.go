//go:build linux && !race

package imapd

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const childEnv = "POSTHORN_IMAPD_CHILD"

// TestAnIdleConnectionIsSmall measures what a client in IDLE costs a server
// in a process of its own (design.md 10: at most 20 KiB), and one behind COMPRESS.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		child(t)
		return
	}

	t.Run("plain", func(t *testing.T) { idleIsSmall(t, idler, 20) })
	t.Run("compressed", func(t *testing.T) { idleIsSmall(t, packedIdler, 80) })
}

func idleIsSmall(t *testing.T, dial func(string) (net.Conn, *bufio.Reader, error), bar float64) {
	const clients = 1500
	cmd := exec.Command(os.Args[0], "-test.run=^TestAnIdleConnectionIsSmall$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	grow := func(n int) int {
		for range n {
			conn, _, err := dial(addr)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, conn)
		}
		return rss(t, cmd.Process.Pid)
	}
	before := grow(300) // what the process grows to by itself
	after := grow(clients)
	each := float64(after-before) / clients
	t.Logf("%.1f KiB a connection", each)
	if each > bar {
		t.Errorf("an idle connection costs %.1f KiB, more than %.0f", each, bar)
	}
}

func child(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	addr, group := w.open()
	fmt.Println(addr)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until the parent is done
	group.Stop(t.Context())
}

// rss is the memory of a process in KiB.
func rss(t *testing.T, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
