package daemon

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary itself plays the server, so that these tests are about this
// package alone.
func TestMain(m *testing.M) {
	if mode := os.Getenv("POSTHORN_FAKE"); mode != "" {
		os.Exit(fake(mode))
	}
	os.Exit(m.Run())
}

func fake(mode string) int {
	if os.Args[1] == "echo" {
		b, _ := io.ReadAll(os.Stdin)
		fmt.Printf("%s%v", b, os.Args[1:])
		return 0
	}
	fmt.Fprintln(os.Stderr, "log line", os.Args[1:])
	switch mode {
	case "fails":
		fmt.Fprintln(os.Stderr, "no such thing")
		return 3
	case "hangs":
		time.Sleep(time.Minute)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Printf("a line for people\n{\"listener\":\"smtp\",\"addr\":%q}\n{\"ready\":true}\n", l.Addr())
	<-stop
	if mode == "stubborn" {
		time.Sleep(time.Minute)
	}
	if mode == "crashes" {
		fmt.Fprintln(os.Stderr, "fatal error: fault\n\ngoroutine 1 [running]:")
		return 2
	}
	fmt.Println("goodbye")
	return 0
}

func options(t *testing.T, mode string) Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Binary: self, Env: []string{"POSTHORN_FAKE=" + mode}, Listen: []string{"smtp", "lmtp=/x"}}
}

func TestServerIsStartedAskedAndStopped(t *testing.T) {
	t.Parallel()
	d := Start(t, options(t, "serves"))
	c, err := net.Dial("tcp", d.Addr("smtp"))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	want := fmt.Sprintf("quickstart --json --data %s --listen smtp=127.0.0.1:0 --listen lmtp=/x --password %s", d.Data, Password)
	if !strings.Contains(d.Stderr(), want) {
		t.Errorf("arguments: %s", d.Stderr())
	}
	if out, err := d.Run("in ", "echo", "x"); err != nil || out != fmt.Sprintf("in [echo x --data %s]", d.Data) {
		t.Errorf("%q, %v", out, err)
	}
	if err := d.Stop(); err != nil || d.Running() {
		t.Errorf("stop: %v", err)
	}
	if out := d.Output(); out[len(out)-1] != "goodbye" {
		t.Errorf("output %q", out)
	}
	again := d.Again()
	if again.Data != d.Data || again.Pid == d.Pid {
		t.Errorf("again: %+v", again)
	}
	again.Kill()
	if again.Running() {
		t.Error("runs after Kill")
	}
}

func TestFailedStartIsAnError(t *testing.T) {
	t.Parallel()
	_, err := Try(t, options(t, "fails"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v", err)
	}
	o := options(t, "hangs")
	o.Patience = 50 * time.Millisecond
	if _, err := Try(t, o); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("got %v", err)
	}
}

func TestWhatADoomedServerSaysIsNotJudged(t *testing.T) {
	t.Parallel()
	o := options(t, "crashes")
	d := Start(t, o)
	d.Doom()
	if err := d.Stop(); err == nil || !strings.Contains(d.Stderr(), "\ngoroutine ") {
		t.Errorf("stop: %v\n%s", err, d.Stderr())
	}
}

func TestStubbornServerIsKilled(t *testing.T) {
	t.Parallel()
	o := options(t, "stubborn")
	d := Start(t, o)
	d.o.Patience = 50 * time.Millisecond
	if err := d.Stop(); err == nil || d.Running() {
		t.Errorf("stop: %v", err)
	}
}

func TestModuleRootHasTheCommand(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "posthorn")); err != nil {
		t.Error(err)
	}
}
