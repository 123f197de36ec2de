// Package daemon runs the real binary for tests of the whole program: it
// builds it once, starts a server on ports the system chooses, learns the
// addresses from the server's own lines, and stops or kills it.
//
// It looks at a server from outside only: arguments, standard output and
// error, sockets, signals.
package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/authority"
)

// Password is what quickstart's accounts get unless Options say otherwise.
const Password = "correct horse battery staple"

// Options say what to start. The zero value is a quickstart server in a new
// folder with the usual listeners on loopback.
type Options struct {
	// Command is "quickstart" (also for "") or "serve".
	Command string
	// Data is the data folder; "" for a new one. Give it again to restart.
	Data string
	// Listen names the listeners; nil for smtp, submission, imap, pop3, http.
	// A name with "=" is passed as it stands, others get a free port.
	Listen []string
	// Args are added at the end, for example --plaintext-login. Without --dns
	// there is one in which nothing exists: no test asks the machine's.
	Args []string
	// Env is added to the environment.
	Env []string
	// Binary is another program to run; "" for Binary's.
	Binary string
	// Race runs a build with the race detector.
	Race bool
	// Patience bounds the start and a stop; 0 means 30 s.
	Patience time.Duration
}

// Daemon is a running server. Its methods may be used by many goroutines.
type Daemon struct {
	// Data is its data folder, Pid its process.
	Data string
	Pid  int

	t      testing.TB
	o      Options
	cmd    *exec.Cmd
	stderr output
	ended  chan struct{} // closed when the process is gone; err is set then
	err    error

	doomed atomic.Pointer[string] // standard error when the test took its disk

	mu    sync.Mutex
	addrs map[string]string
	ready chan struct{}
	lines []string
}

// Start starts a server and returns when it says that it is ready. It fails
// the test if the server does not. What is still running at the end of the
// test is killed, and its standard error shown if the test failed.
func Start(t testing.TB, o Options) *Daemon {
	t.Helper()
	d, err := Try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Try is Start for servers that may refuse to start.
func Try(t testing.TB, o Options) (*Daemon, error) {
	t.Helper()
	o = o.complete(t)
	d := &Daemon{
		Data: o.Data, t: t, o: o, cmd: exec.Command(o.Binary, o.arguments()...),
		ended: make(chan struct{}), addrs: map[string]string{}, ready: make(chan struct{}),
	}
	d.cmd.Env = append(os.Environ(), o.Env...)
	d.cmd.Stderr = &d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.Pid = d.cmd.Process.Pid
	t.Cleanup(d.finish)
	go d.follow(stdout)
	select {
	case <-d.ready:
		return d, nil
	case <-d.ended:
		return nil, fmt.Errorf("daemon: ended before it was ready: %w\n%s%s", errors.Join(d.err, errEarly), d.output(), d.Stderr())
	case <-time.After(o.Patience):
		d.Kill()
		return nil, fmt.Errorf("daemon: not ready after %s\n%s%s", o.Patience, d.output(), d.Stderr())
	}
}

var errEarly = errors.New("no ready line was seen")

// complete fills in the defaults.
func (o Options) complete(t testing.TB) Options {
	t.Helper()
	if o.Command == "" {
		o.Command = "quickstart"
	}
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	if o.Listen == nil {
		o.Listen = []string{"smtp", "submission", "imap", "pop3", "http"}
	}
	if o.Binary == "" {
		o.Binary = Binary(t, o.Race)
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if !slices.Contains(o.Args, "--dns") {
		o.Args = append(slices.Clip(o.Args), "--dns", authority.New(t).Listen(""))
	}
	return o
}

func (o Options) arguments() []string {
	args := []string{o.Command, "--json", "--data", o.Data}
	for _, name := range o.Listen {
		if !strings.Contains(name, "=") {
			name += "=127.0.0.1:0"
		}
		args = append(args, "--listen", name)
	}
	if o.Command == "quickstart" && !slices.Contains(o.Args, "--password") {
		args = append(args, "--password", Password)
	}
	return append(args, o.Args...)
}

// follow reads standard output to its end, then waits for the process.
func (d *Daemon) follow(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d.line(lines.Text())
	}
	_, _ = io.Copy(io.Discard, stdout) // after an endless line
	d.err = d.cmd.Wait()
	close(d.ended)
}

// line takes one line of standard output (design: listeners, then ready).
func (d *Daemon) line(text string) {
	var l struct {
		Listener, Addr string
		Ready          bool
	}
	known := json.Unmarshal([]byte(text), &l) == nil
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, text)
	if known && l.Listener != "" {
		d.addrs[l.Listener] = l.Addr
	}
	if known && l.Ready && !isClosed(d.ready) {
		close(d.ready)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Addr returns the address of the listener and fails the test if there is none.
func (d *Daemon) Addr(listener string) string {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	addr, ok := d.addrs[listener]
	if !ok {
		d.t.Fatalf("daemon: no listener %q; it named %v", listener, d.addrs)
	}
	return addr
}

// Output returns the lines of standard output so far.
func (d *Daemon) Output() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *Daemon) output() string { return strings.Join(d.Output(), "\n") + "\n" }

// Stderr returns standard error so far, which is the log.
func (d *Daemon) Stderr() string { return d.stderr.String() }

// Running reports whether the process is there.
func (d *Daemon) Running() bool { return !isClosed(d.ended) }

// Signal sends a signal.
func (d *Daemon) Signal(s os.Signal) error { return d.cmd.Process.Signal(s) }

// Stop asks the server to end (SIGTERM) and waits. It returns an error when
// the server fails, or has to be killed after the patience.
func (d *Daemon) Stop() error {
	if err := d.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
		return d.err
	case <-time.After(d.o.Patience):
		d.Kill()
		return fmt.Errorf("daemon: still running %s after SIGTERM", d.o.Patience)
	}
}

// Doom says that the ground is about to be taken from under the server: what it
// writes to standard error from now on is not judged.
func (d *Daemon) Doom() {
	log := d.Stderr()
	d.doomed.Store(&log)
}

// Kill ends the server as a crash would (SIGKILL) and waits until it is gone.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill() // it may be gone already
	<-d.ended
}

// Again starts a server with the same options and data; the caller has
// stopped or killed this one. Free ports are chosen anew.
func (d *Daemon) Again() *Daemon {
	d.t.Helper()
	if d.Running() {
		d.t.Fatal("daemon: Again while the server is running")
	}
	return Start(d.t, d.o)
}

// Run runs another command of the binary on the same data folder, with input
// as its standard input, and returns its standard output.
func (d *Daemon) Run(input string, args ...string) (string, error) {
	cmd := exec.Command(d.o.Binary, append(args, "--data", d.Data)...)
	cmd.Env = append(os.Environ(), d.o.Env...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("posthorn %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

// finish is the end of the test.
func (d *Daemon) finish() {
	if d.Running() {
		d.Kill()
	}
	log := d.Stderr()
	if p := d.doomed.Load(); p != nil {
		log = *p
	}
	if strings.Contains(log, "WARNING: DATA RACE") || strings.Contains(log, "server.panic") || strings.Contains(log, "\ngoroutine ") {
		d.t.Errorf("daemon: the server reports a race or panic")
	}
	if d.t.Failed() {
		d.t.Logf("standard error of the server:\n%s", log)
	}
}

// output collects what a process writes, the last mostOutput octets of it.
type output struct {
	mu sync.Mutex
	b  []byte
}

const mostOutput = 4 << 20

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	if len(o.b) > 2*mostOutput {
		o.b = append(o.b[:0], o.b[len(o.b)-mostOutput:]...)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}
