package scan

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/need"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dialer dials addresses; tests know no names.
func dialer(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// pipe is a scanner in memory: serve plays it on each connection. It works in
// virtual time.
func pipe(serve func(net.Conn)) Dial {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			serve(theirs)
			_ = theirs.Close()
		}()
		return ours, nil
	}
}

// refuse is a scanner that is down.
func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ECONNREFUSED
}

// hang reads and never answers, until the other side hangs up.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// debian is a program of Debian, run by a test in a folder of its own.
type debian struct {
	dir string
	cmd *exec.Cmd
}

// folder is a short path that daemons may use for sockets.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "posthorn-scan-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start runs a program and waits until it listens at socket. What it says is
// shown if the test fails.
func start(t testing.TB, dir, socket, name string, args ...string) *debian {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name) // not in everybody's PATH
		if _, err := os.Stat(path); err != nil {
			need.Missing(t, name, " is not installed")
		}
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	d := &debian{dir: dir, cmd: exec.Command(path, args...)}
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = dir, log, log
	daemon.InGroup(d.cmd)
	if err := errors.Join(d.cmd.Start(), log.Close()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	t.Cleanup(func() { d.stop(t, ended) })
	for deadline := time.Now().Add(30 * time.Second); ; {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return d
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, d.output())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen\n%s", name, d.output())
		}
	}
}

func (d *debian) output() string {
	b, err := os.ReadFile(filepath.Join(d.dir, "output"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (d *debian) stop(t testing.TB, ended chan error) {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		daemon.EndGroup(d.cmd)
		<-ended
	}
	daemon.EndGroup(d.cmd) // workers that did not hear of it
	if t.Failed() {
		t.Log(d.output())
	}
}

// resident reads the memory of a process, in kB, as the kernel writes it.
func (d *debian) resident(t testing.TB) string {
	f, err := os.Open("/proc/" + strconv.Itoa(d.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}

// base64Lines encodes content as mail does.
func base64Lines(content []byte) string {
	text := base64.StdEncoding.EncodeToString(content)
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text + "\r\n"
}
