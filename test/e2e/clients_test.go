package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// way is how a client connects: the listeners it uses, and whether with TLS
// from the first octet, after STARTTLS, or never.
type way struct{ name, smtpAt, imapAt, popAt string }

var (
	implicit = way{"TLS", "submissions", "imaps", "pop3s"}
	upgraded = way{"STARTTLS", "submission", "imap", "pop3"}
	inClear  = way{"clear", "submission", "imap", "pop3"}
)

// clients are the mail programs of others, each with what it is asked to do.
func clients() []struct {
	name string
	use  func(*post)
	ways []way
} {
	all := []way{implicit, upgraded, inClear}
	return []struct {
		name string
		use  func(*post)
		ways []way
	}{
		{"curl", useCurl, all},
		{"fetchmail", useFetchmail, all},
		{"getmail", useGetmail, []way{implicit, inClear}}, // it knows no STARTTLS
		{"go", useGo, all},
		{"mbsync", useMbsync, all},
		{"msmtp", useMsmtp, all},
		{"neomutt", useNeomutt, all},
		{"offlineimap", useOfflineimap, all},
		{"python", usePython, all},
		{"swaks", useSwaks, all},
	}
}

// Mail in three languages, by every client in every way it can connect. Two
// servers serve all of them; each has accounts of its own there.
func TestClients(t *testing.T) {
	t.Parallel()
	strict, lax := abroad(t), abroad(t, "--plaintext-login")
	for _, client := range clients() {
		for _, w := range client.ways {
			t.Run(client.name+" "+w.name, func(t *testing.T) {
				t.Parallel()
				s := strict
				if w == inClear {
					s = lax
				}
				client.use(open(t, s, w, client.name))
			})
		}
	}
}

// abroad starts a server with domains in three scripts.
func abroad(t *testing.T, args ...string) *server {
	t.Helper()
	s := start(t, args...)
	for _, domain := range []string{"münchen.example", "日本.example", "中国.example"} {
		s.do("domain", "add", domain)
	}
	return s
}

// post is what one client has for one way: two accounts and a home.
type post struct {
	*server
	way
	// me sends; friend is one account with the addresses of abroad too.
	me, friend string
	abroad     []string
	// home is $HOME, with the authority's certificate as ca.pem.
	home string
}

func open(t *testing.T, s *server, w way, client string) *post {
	t.Helper()
	name := strings.ToLower(client + "-" + w.name)
	p := &post{server: &server{s.Daemon, t}, way: w, me: name + "@example.test", friend: name + "-friend@example.test", home: shortDir(t),
		abroad: []string{"jörg." + name + "@münchen.example", "太郎." + name + "@日本.example", "小明." + name + "@中国.example"}}
	p.account(p.me)
	p.account(append([]string{p.friend}, p.abroad...)...)
	ca, err := os.ReadFile(s.ca())
	if err != nil {
		t.Fatal(err)
	}
	p.file("ca.pem", string(ca))
	return p
}

// file writes a file of the home and returns its path.
func (p *post) file(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// maildir makes an empty Maildir.
func (p *post) maildir(name string) string {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	for _, part := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(path, part), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	return path
}

// command is a program that knows nothing of this machine but its home; it
// dies with what it started when the patience is over.
func (p *post) command(program string, args ...string) *exec.Cmd {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, need(p.t, program), args...)
	cmd.Dir = p.home
	cmd.Env = environment(p.home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// end runs the command with input to its end.
func (p *post) end(cmd *exec.Cmd, input []byte) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if input != nil {
		cmd.Stdin = bytes.NewReader(input)
	}
	if err := cmd.Run(); err != nil && (cmd.ProcessState == nil || !cmd.ProcessState.Exited()) {
		p.t.Fatalf("%s: %v\n%s%s", cmd.Path, err, tail(stdout.String()), tail(stderr.String()))
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// run runs a client that has to work.
func (p *post) run(input []byte, program string, args ...string) string {
	p.t.Helper()
	r := p.end(p.command(program, args...), input)
	if r.code != 0 {
		p.t.Fatalf("%s %q: exit %d\n%s%s", program, args, r.code, tail(r.out), tail(r.err))
	}
	return r.out
}

// distrusts fails the test unless the client refuses a server whose
// certificate comes from an authority it does not know, and says so with the
// word, if it says anything.
func (p *post) distrusts(word string, connect func() result) {
	p.t.Helper()
	if p.way == inClear {
		return
	}
	known, err := os.ReadFile(p.home + "/ca.pem")
	if err != nil {
		p.t.Fatal(err)
	}
	issue(p.t, p.home, "foreign.example")
	if err := os.Rename(p.home+"/cert.pem", p.home+"/ca.pem"); err != nil {
		p.t.Fatal(err)
	}
	r := connect()
	p.file("ca.pem", string(known))
	if r.code == 0 || !strings.Contains(r.out+r.err, word) {
		p.t.Errorf("a certificate nobody vouches for: exit %d\n%s%s", r.code, tail(r.out), tail(r.err))
	}
}

// one says which of the values is for the way.
func (p *post) one(tls, starttls, clear string) string {
	switch p.way {
	case implicit:
		return tls
	case upgraded:
		return starttls
	}
	return clear
}

// maildirFiles are the messages under a folder of Maildirs, as name: content.
func maildirFiles(t *testing.T, root string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !slices.Contains([]string{"new", "cur"}, filepath.Base(filepath.Dir(path))) || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, root+"/")] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// password is short for the configuration files.
const password = daemon.Password
