package e2e

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/d--j/go-milter"

	"posthorn/internal/testkit/daemon"
)

// eicar is the harmless file every virus scanner knows, in two pieces so that
// this source is not found itself.
var eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// scanner is a program of Debian that a test runs in a folder of its own.
type scanner struct {
	t     *testing.T
	dir   string
	start func() *exec.Cmd
	ended chan error
	cmd   *exec.Cmd
}

// newScanner runs a program with the files of its folder, in which DIR stands
// for the folder, and waits until it listens at the socket "socket".
func newScanner(t *testing.T, program string, files map[string]string, args ...string) *scanner {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path = filepath.Join("/usr/sbin", program); !executable(path) { // not in everybody's PATH
			missing(t, program)
		}
	}
	s := &scanner{t: t, dir: shortDir(t)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(strings.ReplaceAll(content, "DIR", s.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", s.dir)
	}
	s.start = func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir = s.dir
		daemon.InGroup(cmd)
		return cmd
	}
	s.run()
	t.Cleanup(s.kill)
	return s
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func (s *scanner) socket() string { return filepath.Join(s.dir, "socket") }

// run starts the program.
func (s *scanner) run() {
	s.t.Helper()
	said, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer said.Close() // the program has its own
	s.cmd, s.ended = s.start(), make(chan error, 1)
	s.cmd.Stdout, s.cmd.Stderr = said, said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, ended := s.cmd, s.ended
	go func() { ended <- cmd.Wait() }()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("unix", s.socket()); err == nil {
			_ = c.Close() // it only had to open
			return
		}
		if time.Now().After(end) || len(s.ended) > 0 {
			text, err := os.ReadFile(said.Name())
			s.t.Fatalf("%s does not listen: %s %v", cmd.Path, tail(string(text)), err)
		}
	}
}

// kill ends the program at once, and its workers.
func (s *scanner) kill() {
	if s.cmd == nil {
		return
	}
	daemon.EndGroup(s.cmd)
	<-s.ended
	s.cmd = nil
	_ = os.Remove(s.socket()) // as its successor would
}

// clamd knows two signatures.
func clamd(t *testing.T) *scanner {
	t.Helper()
	return newScanner(t, "clamd", map[string]string{
		"test.ndb": fmt.Sprintf("Posthorn.Test:0:*:%s\nEicar-Test-Signature:0:*:%s\n", hex.EncodeToString([]byte("POSTHORN-TEST-VIRUS")), hex.EncodeToString([]byte(eicar))),
		"conf":     "DatabaseDirectory DIR\nLocalSocket DIR/socket\nForeground yes\nStreamMaxLength 1M\n",
	}, "--config-file=DIR/conf")
}

// rspamd knows words that score, and asks no name server.
func rspamd(t *testing.T) *scanner {
	t.Helper()
	args := []string{"-f", "-c", "DIR/conf"}
	if os.Getuid() == 0 {
		args = append(args, "-i") // stay root: nobody else enters the folder
	}
	return newScanner(t, "rspamd", map[string]string{
		"rules.lua": `
local function word(name, score)
  rspamd_config['WORD_' .. name] = { score = score, group = 'test', callback = function(task)
    return tostring(task:get_content()):find('word-' .. name:lower(), 1, true) ~= nil
  end }
end
word('MARK', 5.5)
word('JUNK', 7.0)
word('REJECT', 20.0)
rspamd_config.SOFT = { score = 0.0, group = 'test', callback = function(task)
  if tostring(task:get_content()):find('word-soft', 1, true) then task:set_pre_result('soft reject', 'Not just now') return true end
end }
`,
		"tld": "test\nexample\n", // the real list takes seconds to compile
		"conf": `
options {
  pidfile = "DIR/pid"; tempdir = "DIR"; hs_cache_dir = "DIR"; cache_file = "DIR/cache"; history_file = "DIR/history"; url_tld = "DIR/tld";
  filters = ""; disable_hyperscan = true; local_addrs = [];
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.05s; retransmits = 1; }
}
logging { type = "console"; level = "notice"; }
lua = "DIR/rules.lua";
worker "normal" { bind_socket = "DIR/socket mode=0600"; count = 1; }
actions { reject = 15; add_header = 6; greylist = 4; }
`,
	}, args...)
}

// mailFilter is a milter that looks for words in the body.
type mailFilter struct {
	milter.NoOpMilter
	body strings.Builder
}

func (m *mailFilter) MailFrom(from, _ string, _ *milter.Modifier) (*milter.Response, error) {
	m.body.Reset()
	if strings.HasPrefix(from, "bad@") {
		return milter.RejectWithCodeAndReason(550, "5.7.1 no mail of yours")
	}
	return milter.RespContinue, nil
}

func (m *mailFilter) BodyChunk(chunk []byte, _ *milter.Modifier) (*milter.Response, error) {
	m.body.Write(chunk)
	return milter.RespContinue, nil
}

func (m *mailFilter) EndOfMessage(mod *milter.Modifier) (*milter.Response, error) {
	text := m.body.String()
	switch {
	case strings.Contains(text, "refuse me"):
		return milter.RejectWithCodeAndReason(554, "5.7.1 as you wish")
	case strings.Contains(text, "throw me away"):
		return milter.RespDiscard, nil
	}
	if err := mod.ChangeHeader(1, "Subject", "changed by a milter"); err != nil {
		return nil, err
	}
	if strings.Contains(text, "replace me") {
		if err := mod.ReplaceBody(strings.NewReader("another body\r\n")); err != nil {
			return nil, err
		}
	}
	return milter.RespAccept, mod.AddHeader("X-Filtered", "yes")
}

// newMailFilter runs the milter on loopback and returns its address and what
// ends it.
func newMailFilter(t *testing.T) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := milter.NewServer(milter.WithMilter(func() milter.Milter { return &mailFilter{} }),
		milter.WithActions(milter.OptAddHeader|milter.OptChangeHeader|milter.OptChangeBody))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = server.Close() // and the listener with it
			<-served
		}
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// forward listens on loopback by TCP for a program that has a Unix socket.
func forward(t *testing.T, socket string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the test is over
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(c, socket)
		}
	}()
	return l.Addr().String()
}

func relay(c net.Conn, socket string) {
	defer c.Close() // both directions are over
	far, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer far.Close() // likewise
	go func() {
		_, _ = io.Copy(far, c) // ends with either connection
		_ = far.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(c, far) // likewise
}
