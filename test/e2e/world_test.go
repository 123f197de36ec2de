package e2e

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	needs "posthorn/internal/testkit/need"
)

// The accounts of quickstart.
const (
	demo  = "demo@example.test"
	admin = "admin@example.test"
)

// doors are all listeners that take TCP connections.
func doors() []string {
	return []string{"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http"}
}

// server is a running quickstart with every door open.
type server struct {
	*daemon.Daemon
	t *testing.T
}

// start starts a server with further arguments.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return &server{daemon.Start(t, daemon.Options{Listen: doors(), Args: args}), t}
}

// ca is the file of the trial's own authority.
func (s *server) ca() string { return filepath.Join(s.Data, "tls", "ca.pem") }

// do runs a command of the binary that has to work.
func (s *server) do(args ...string) string {
	s.t.Helper()
	return s.with("", args...)
}

// with is do with standard input.
func (s *server) with(input string, args ...string) string {
	s.t.Helper()
	out, err := s.Run(input, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// account makes an account with the daemon's password.
func (s *server) account(addresses ...string) {
	s.t.Helper()
	s.with(daemon.Password+"\n", append([]string{"account", "add", "--password-stdin"}, addresses...)...)
}

// port returns the port of a listener.
func (s *server) port(listener string) string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.Addr(listener))
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// need returns the path of a program. Where it is missing the test is skipped,
// in continuous integration it fails.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program)
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	needs.Missing(t, what, " is not installed (test/setup/install)")
}

// patience bounds one run of a client.
const patience = 60 * time.Second

// result is how a program ended.
type result struct {
	out, err string
	code     int
}

// run runs a program to its end.
func run(t *testing.T, input []byte, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env = environment(t.TempDir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%s: %v %v", program, err, ctx.Err())
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// environment is that of a person who has nothing but a home.
func environment(home string) []string {
	return []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home, "TMPDIR=" + home,
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=xterm", "USER=tester"}
}

// must is run for what has to work.
func must(t *testing.T, input []byte, program string, args ...string) string {
	t.Helper()
	r := run(t, input, program, args...)
	if r.code != 0 {
		t.Fatalf("%s %q: exit %d\n%s%s", filepath.Base(program), args, r.code, tail(r.out), tail(r.err))
	}
	return r.out
}

// tail keeps failures readable.
func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// write makes a file in a folder of its own.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// until waits until the condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// contains fails the test unless the text has every part.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in:\n%s", p, tail(text))
		}
	}
}

// shortDir is a folder whose path leaves room for a Unix socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ph")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // nothing depends on it
	return dir
}

// TestMain lets more tests run side by side than there are processors: they
// wait for each other's programs most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		if err := p.Value.Set("6"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
