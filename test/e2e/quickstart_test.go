package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// trial is a quickstart as a person starts it, with its text output.
type trial struct {
	cmd  *exec.Cmd
	text string
}

// begin starts quickstart and reads to the line that ends what it prints.
func begin(t *testing.T, args ...string) *trial {
	t.Helper()
	args = append([]string{"quickstart"}, args...)
	for _, name := range doors() {
		args = append(args, "--listen", name+"=127.0.0.1:0")
	}
	cmd := exec.Command(daemon.Binary(t, false), args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &trial{cmd: cmd}
	t.Cleanup(x.kill)
	var b strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		b.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Stop with") {
			x.text = b.String()
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return x
		}
	}
	t.Fatalf("quickstart ended:\n%s", b.String())
	return nil
}

func (x *trial) kill() {
	_ = x.cmd.Process.Kill() // it may be gone
	_ = x.cmd.Wait()
}

// interrupt is Ctrl-C.
func (x *trial) interrupt(t *testing.T) {
	t.Helper()
	if err := x.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := x.cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Ctrl-C took %v", took)
	}
}

// commands are the indented lines that begin with the word.
func (x *trial) commands(word string) []string {
	var found []string
	for line := range strings.Lines(x.text) {
		if rest, ok := strings.CutPrefix(line, "    "+word+" "); ok {
			found = append(found, word+" "+strings.TrimSpace(rest))
		}
	}
	return found
}

// shell runs a printed command as a person would paste it, with posthorn on
// the path.
func shell(t *testing.T, command string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(daemon.Binary(t, false), filepath.Join(dir, "posthorn")); err != nil {
		t.Fatal(err)
	}
	return must(t, nil, "/bin/sh", "-c", "PATH="+dir+":$PATH; "+command)
}

// SYS-IMAP-01, README "Try it": what quickstart prints works when it is pasted,
// also for a folder whose name a shell would take apart.
func TestPrintedCommandsWork(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "it's my data")
	x := begin(t, "--data", data)
	tries := x.commands("posthorn")
	if len(tries) != 3 {
		t.Fatalf("quickstart prints %d commands, the README promises three:\n%s", len(tries), x.text)
	}
	contains(t, shell(t, tries[0]), `250 2.0.0 queued as `)
	for _, read := range tries[1:] {
		contains(t, shell(t, read), "Subject: First mail", "newest of 1")
	}
	trace := strings.TrimSpace(x.text[strings.Index(x.text, "posthorn trace"):])
	trace, _, _ = strings.Cut(trace, "\n")
	contains(t, shell(t, trace), "accepted", demo)

	need(t, "curl")
	send, read := x.commands("printf"), x.commands("curl")
	if len(send) != 1 || len(read) != 1 {
		t.Fatalf("no commands for curl in:\n%s", x.text)
	}
	shell(t, send[0])
	contains(t, shell(t, read[0]), "Subject: First mail", "Hello.") // the newest
	contains(t, shell(t, tries[1]), "newest of 2")

	need(t, "swaks")
	swaks := x.commands("swaks")
	if len(swaks) != 1 {
		t.Fatalf("no command for swaks in:\n%s", x.text)
	}
	contains(t, shell(t, swaks[0]), "250 2.0.0 queued as ")
	contains(t, shell(t, read[0]), "This is a test mailing")
}

func TestSecondQuickstartKeepsAccountsAndMail(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	x := begin(t, "--data", data)
	shell(t, x.commands("posthorn")[0])
	accounts := x.commands(demo)
	x.interrupt(t)

	y := begin(t, "--data", data)
	if again := y.commands(demo); len(accounts) != 1 || len(again) != 1 || accounts[0] != again[0] {
		t.Errorf("the password changed: %q, then %q", accounts, again)
	}
	contains(t, shell(t, y.commands("posthorn")[1]), "Subject: First mail", "newest of 1")
	y.kill()

	// --password sets a new one, and the printed commands know it.
	z := begin(t, "--data", data, "--password", "a new one, with spaces")
	contains(t, z.text, "a new one, with spaces")
	contains(t, shell(t, z.commands("posthorn")[2]), "Subject: First mail")
	if curl := z.commands("curl"); len(curl) == 1 {
		need(t, "curl")
		contains(t, shell(t, curl[0]), "Subject: First mail")
	}
}

func TestQuickstartTakesAnotherDomain(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Listen: []string{"smtp"}, Args: []string{"--domain", "münchen.test"}})
	out, err := d.Run("", "account", "list")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, out, "demo@münchen.test", "admin@münchen.test", "administrator")
}

// M-GEN-06: loopback is not exempt unless --plaintext-login says so, for this
// start only.
func TestPlaintextLoginIsAsked(t *testing.T) {
	t.Parallel()
	python := need(t, "python3")
	probe := func(d *daemon.Daemon) string {
		return must(t, nil, python, "testdata/python/plaintext.py", d.Addr("submission"), d.Addr("imap"), d.Addr("pop3"), demo, daemon.Password)
	}
	d := daemon.Start(t, daemon.Options{})
	if got := probe(d); got != "submission no\nimap no\npop3 no\n" {
		t.Errorf("without the flag:\n%s", got)
	}
	d.Kill()
	d = daemon.Start(t, daemon.Options{Data: d.Data, Args: []string{"--plaintext-login"}})
	if got := probe(d); got != "submission yes\nimap yes\npop3 yes\n" {
		t.Errorf("with the flag:\n%s", got)
	}
	d.Kill()
	if got := probe(daemon.Start(t, daemon.Options{Data: d.Data})); got != "submission no\nimap no\npop3 no\n" {
		t.Errorf("without the flag again:\n%s", got)
	}
}

func TestQuickstartAnnouncesItselfToPrograms(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Listen: doors()})
	var listeners []string
	for i, line := range d.Output() {
		var l struct {
			Listener, Addr string
			Ready          bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l.Ready != (i == len(doors())) {
			t.Errorf("line %d: %q", i, line)
		}
		if l.Listener != "" {
			listeners = append(listeners, l.Listener)
		}
	}
	if len(listeners) != len(doors()) {
		t.Errorf("announced %q", listeners)
	}
	out, err := d.Run("", "status", "--json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range doors() {
		contains(t, out, d.Addr(name))
	}
	if strings.Contains(strings.Join(d.Output(), "")+d.Stderr(), daemon.Password) {
		t.Error("a password that was given is printed to programs")
	}
}

func TestWrongStartsAreExplained(t *testing.T) {
	t.Parallel()
	posthorn, data := daemon.Binary(t, false), t.TempDir()
	full := filepath.Join(data, "file")
	if err := os.WriteFile(full, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		say  string
	}{
		{"quickstart --listen smtp=0.0.0.0:0", 2, "loopback only"},
		{"quickstart --listen smtp=:0", 2, "loopback only"},
		{"quickstart --listen imap=[::]:0", 2, "loopback only"},
		{"quickstart --listen smtp=192.0.2.1:0", 2, "loopback only"},
		{"quickstart --listen smtp=mail.example.org:25", 2, "opened by IP address"},
		{"quickstart --listen fax=127.0.0.1:0", 2, "smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s"},
		{"quickstart --listen smtp", 2, "NAME=ADDR"},
		{"quickstart --listen smtp=127.0.0.1", 2, "127.0.0.1:2525"},
		{"quickstart --listen smtp=127.0.0.1:99999", 2, "99999"},
		{"quickstart --config " + full, 2, "posthorn serve --config"},
		{"quickstart --listen smtp=127.0.0.1:0 --domain not..a..domain", 2, "--domain"},
		{"quickstart --listen smtp=127.0.0.1:0 --password short", 1, "8 characters"},
		{"quickstart --listen smtp=127.0.0.1:0 --dns example.org", 2, "192.0.2.53:53"},
		{"quickstart --listen smtp=127.0.0.1:0 --data " + full, 1, full},
		{"quickstart --wat", 2, "unknown flag --wat"},
		{"quickstart --plain-text-login", 2, "--plaintext-login"},
		{"quickstart --listen", 2, "--listen"},
		{"quikstart", 2, `did you mean "quickstart"?`},
	} {
		args := strings.Fields(tt.args)
		if !strings.Contains(tt.args, "--data") {
			args = append(args, "--data", filepath.Join(t.TempDir(), "new"))
		}
		r := run(t, nil, posthorn, args...)
		if r.code != tt.code || !strings.Contains(r.err, tt.say) || r.out != "" {
			t.Errorf("%s: exit %d, want %d with %q:\n%s%s", tt.args, r.code, tt.code, tt.say, tail(r.err), tail(r.out))
		}
		if strings.Contains(r.err, "panic") || strings.Contains(r.err, "goroutine ") {
			t.Errorf("%s:\n%s", tt.args, tail(r.err))
		}
	}
}

func TestSecondServerOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Listen: []string{"smtp"}})
	begin := time.Now()
	other, err := daemon.Try(t, daemon.Options{Data: d.Data, Listen: []string{"smtp"}})
	if err == nil {
		other.Kill()
		t.Fatal("two servers run on the same data")
	}
	contains(t, err.Error(), d.Data, "another")
	if strings.Contains(err.Error(), "goroutine ") || time.Since(begin) > 15*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	// The first one did not suffer.
	if out, err := d.Run("", "status"); err != nil || !strings.Contains(out, "running since") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := d.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
