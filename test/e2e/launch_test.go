package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// launched is a server started in some way of its own.
type launched struct {
	cmd   *exec.Cmd
	addrs map[string][]string
	log   *log
	ended chan error
}

// log collects standard error while the server writes it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve is a command that runs posthorn serve --json with the arguments, as
// root where the tests are.
func serve(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"serve", "--json"}, args...)
	if os.Getuid() == 0 && !strings.Contains(strings.Join(args, " "), "--user") {
		args = append(args, "--allow-root")
	}
	return exec.Command(daemon.Binary(t, false), args...)
}

// launch starts the command and waits until the server is ready.
func launch(t *testing.T, cmd *exec.Cmd) *launched {
	t.Helper()
	x := &launched{cmd: cmd, addrs: map[string][]string{}, log: &log{}, ended: make(chan error, 1)}
	cmd.Stderr = x.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var l struct {
				Listener, Addr string
				Ready          bool
			}
			if json.Unmarshal(lines.Bytes(), &l) != nil {
				continue
			}
			if l.Ready {
				close(ready)
				break
			}
			x.addrs[l.Listener] = append(x.addrs[l.Listener], l.Addr)
		}
		_, _ = io.Copy(io.Discard, out) // the rest is for people
		x.ended <- cmd.Wait()
		close(x.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		<-x.ended
	})
	select {
	case <-ready:
	case err := <-x.ended:
		t.Fatalf("ended before it was ready: %v\n%s", err, x.log)
	case <-time.After(patience):
		t.Fatalf("not ready\n%s", x.log)
	}
	return x
}

// stop ends the server as an administrator does and says how long it took.
func (x *launched) stop(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-x.ended:
		if err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, x.log)
		}
	case <-time.After(patience):
		t.Fatal("still running after SIGTERM")
	}
	return time.Since(begin)
}

// line is a client that speaks by hand.
type line struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, network, addr string) *line {
	t.Helper()
	c, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &line{t, c, bufio.NewReader(c)}
}

// say writes a line, if there is one, and reads the answer to its last line.
func (l *line) say(text string) string {
	l.t.Helper()
	if text != "" {
		if _, err := io.WriteString(l, text+"\r\n"); err != nil {
			l.t.Fatal(err)
		}
	}
	for {
		answer, err := l.in.ReadString('\n')
		if err != nil {
			l.t.Fatalf("after %q: %q %v", text, answer, err)
		}
		if len(answer) < 4 || answer[3] != '-' {
			return strings.TrimRight(answer, "\r\n")
		}
	}
}

// expect is say for an answer that begins so.
func (l *line) expect(text, answer string) string {
	l.t.Helper()
	got := l.say(text)
	if !strings.HasPrefix(got, answer) {
		l.t.Errorf("%q: %q, want %s", text, got, answer)
	}
	return got
}
