package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is a posthorn under measurement.
type server struct {
	cmd       *exec.Cmd
	dir       string
	binary    string
	listeners map[string]string
	startup   time.Duration // exec to first banner
	serve     bool          // the real server instead of the trial
	config    string        // its bootstrap file, if it has one
}

const password = "benchmark-secret"

// startPosthorn runs the trial server on free ports with accounts user0…
func startPosthorn(ctx context.Context, binary, dir string, accounts int) (*server, error) {
	s := &server{dir: dir, binary: binary, listeners: map[string]string{}}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, s.addAccounts(accounts)
}

// startReal runs the server as an operator does, without accounts: the trial
// sends nothing away.
func startReal(ctx context.Context, binary, dir string) (*server, error) {
	s := &server{dir: dir, binary: binary, listeners: map[string]string{}, serve: true}
	return s, s.start(ctx)
}

func (s *server) start(ctx context.Context) error {
	args := []string{"quickstart", "--data", s.dir, "--json", "--plaintext-login", "--password", password}
	for _, l := range []string{"smtp", "submission", "imap", "pop3"} {
		args = append(args, "--listen", l+"=127.0.0.1:0")
	}
	if s.serve {
		args = []string{"serve", "--allow-root", "--data", s.dir, "--json", "--listen", "smtp=127.0.0.1:0", "--listen", "imap=127.0.0.1:0", "--listen", "submission=127.0.0.1:0", "--listen", "pop3=127.0.0.1:0"}
	}
	args = append(args, "--dns", nowhere())
	if s.config != "" {
		args = []string{"serve", "--allow-root", "--config", s.config, "--json"}
	}
	s.cmd = exec.CommandContext(ctx, s.binary, args...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	log, err := os.Create(s.dir + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct {
			Listener, Addr string
			Ready          bool
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue
		}
		if line.Ready {
			s.startup = time.Since(begin)
			go drain(lines)
			return waitFor(s.listeners["smtp"], time.Second)
		}
		s.listeners[line.Listener] = line.Addr
	}
	_ = s.cmd.Wait()
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("posthorn did not start: %s", bytes.TrimSpace(text))
}

func drain(lines *bufio.Scanner) {
	for lines.Scan() {
	}
}

func (s *server) addAccounts(n int) error {
	for i := range n {
		name := fmt.Sprintf("user%d@example.test", i)
		c := exec.Command(s.binary, "account", "add", name, "--password-stdin", "--data", s.dir)
		c.Stdin = strings.NewReader(password + "\n")
		if out, err := c.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("exists")) {
			return fmt.Errorf("account %s: %w: %s", name, err, out)
		}
	}
	return nil
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return fmt.Errorf("posthorn ended with %w, see %s.log", err, s.dir)
	}
	return nil
}

func (s *server) pid() int     { return s.cmd.Process.Pid }
func (s *server) cpu() float64 { return treeCPU(s.pid()) }

// storeStats are the engine's own counters (posthorn status --json).
type storeStats struct {
	Commits, Writes, Syncs, BodyBytes int64
	MaxBatch                          int
}

func (s *server) stats() (storeStats, error) {
	var answer struct{ Store storeStats }
	out, err := exec.Command(s.binary, "status", "--json", "--data", s.dir).Output()
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	return answer.Store, err
}

// waiting is how many messages the queue holds.
func (s *server) waiting() (int, error) {
	var page struct{ Messages int }
	out, err := exec.Command(s.binary, "queue", "list", "--limit", "1", "--json", "--data", s.dir).Output()
	if err == nil {
		err = json.Unmarshal(out, &page)
	}
	return page.Messages, err
}

// written is what the process caused to be written to disk so far, in octets.
func (s *server) written() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.pid()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var n int64
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// build makes the plain binary that the measurements use.
func build(dir string) (string, error) {
	bin := filepath.Join(dir, "posthorn")
	c := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/posthorn")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return bin, nil
}

// set changes a setting of the running server.
func (s *server) set(name, value string) error { return s.tell("setting", "set", name+"="+value) }

// tell gives the running server a command.
func (s *server) tell(args ...string) error {
	out, err := exec.Command(s.binary, append(args, "--data", s.dir)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
