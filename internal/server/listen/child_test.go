package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/need"
)

// Some promises concern a whole process: its descriptors, its user, its
// inherited sockets. For these the test binary runs itself as a child.

func runChild(kind string) int {
	var err error
	switch kind {
	case "descriptors":
		err = childDescriptors()
	case "identity":
		err = childIdentity()
	case "unix":
		err = childUnix()
	case "bind":
		_, err = Open(context.Background(), []Spec{{"smtp", "127.0.0.1:25"}})
	case "inherit":
		err = childInherit()
	case "flood":
		err = childFlood()
	default:
		err = errors.New("unknown child")
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// child starts the test binary as a child; its standard input is its life.
func child(t *testing.T, kind string, prepare func(*exec.Cmd)) (*bufio.Reader, *exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "POSTHORN_LISTEN_CHILD="+kind)
	cmd.Stderr = os.Stderr
	if prepare != nil {
		prepare(cmd)
	}
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
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return bufio.NewReader(out), cmd
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("child: %q, %v", s, err)
	}
	return strings.TrimSpace(s)
}

func serveChild(o Options) (*Group, error) {
	sockets, err := Open(context.Background(), []Spec{{"smtp", "127.0.0.1:0"}})
	if err != nil {
		return nil, err
	}
	g := NewGroup(o)
	if err := g.Start(sockets[0], &echo{}, nil); err != nil {
		return nil, err
	}
	fmt.Println(sockets[0].Address())
	return g, nil
}

func untilParentLeaves() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// childDescriptors leaves four free descriptors for connections.
func childDescriptors() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: 256}); err != nil {
		return err
	}
	g, err := serveChild(Options{})
	if err != nil {
		return err
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	for _, f := range held[:4] {
		_ = f.Close()
	}
	fmt.Println("exhausted")
	err = untilParentLeaves()
	g.Stop(context.Background())
	return err
}

// TestDescriptorExhaustion is reliability row 9.
func TestDescriptorExhaustion(t *testing.T) {
	t.Parallel()
	out, _ := child(t, "descriptors", nil)
	addr := line(t, out)
	if got := line(t, out); got != "exhausted" {
		t.Fatal(got)
	}
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = dial(t, addr)
	}
	for i, c := range clients {
		if i < 4 {
			c.expect("220")
			continue
		}
		c.expect("421 4.3.2 file descriptors")
	}
	clients[0].say("still here")
	clients[0].expect("still here")
	_ = clients[1].Close()
	start := time.Now()
	waitFor(t, func() bool {
		c := dial(t, addr)
		got, _ := c.r.ReadString('\n')
		return strings.HasPrefix(got, "220")
	})
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("recovered after %s", d)
	}
}

func childFlood() error {
	g, err := serveChild(Options{})
	if err != nil {
		return err
	}
	err = untilParentLeaves()
	g.Stop(context.Background())
	return err
}

// TestFloodOfIdleConnections is reliability row 10: 2,000 idle connections
// here, 10,000 in the soak run (POSTHORN_SOAK set).
func TestFloodOfIdleConnections(t *testing.T) {
	n := 2000
	if os.Getenv("POSTHORN_SOAK") != "" {
		n = 10_000
	}
	out, cmd := child(t, "flood", nil)
	addr := line(t, out)
	dial(t, addr).expect("220")
	before := rss(t, cmd.Process.Pid)
	idle := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	worst := time.Duration(0)
	for range 100 {
		start := time.Now()
		c := dial(t, addr)
		c.expect("220")
		c.say("EHLO me")
		c.expect("EHLO me")
		worst = max(worst, time.Since(start))
		_ = c.Close()
	}
	each := (rss(t, cmd.Process.Pid) - before) / n
	t.Logf("%d idle connections: %d octets each, slowest newcomer %s", n, each, worst)
	if worst > time.Second || each > 40<<10 && !raceBuild() {
		t.Errorf("slowest newcomer %s (want < 1s), %d octets each (want < 40 KB)", worst, each)
	}
}

// raceBuild reports a build whose memory says nothing about the product's.
func raceBuild() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func rss(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		need.Missing(t, "no /proc:", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func childIdentity() error {
	changed, err := Identity{User: os.Getenv("TEST_USER"), Data: os.Getenv("TEST_DATA"), AllowRoot: os.Getenv("TEST_ROOT") != ""}.Assume()
	if err != nil {
		return err
	}
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	// Every thread must have changed, not only this one.
	mixed := false
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			return err
		}
		mixed = mixed || !strings.Contains(string(status), fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d", os.Getuid(), os.Getuid(), os.Getuid(), os.Getuid()))
	}
	fmt.Println(changed, os.Getuid(), os.Getgid(), len(groups), mixed)
	return nil
}

func TestRootIsGivenUpForGood(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		need.Missing(t, "needs root")
	}
	// The folders lie outside t.TempDir, whose parents others may not enter.
	mine, theirs, open := folder(t, 0, 0o700), folder(t, 65534, 0o700), folder(t, 65534, 0o777)
	for _, c := range []struct{ name, user, data, root, want string }{
		{"refused", "", "", "", "error: posthorn does not run as root"},
		{"insisted", "", "", "1", "false 0 0"},
		{"dropped", "nobody", theirs, "", "true 65534 65534"},
		{"by number", "65534", filepath.Join(theirs, "new"), "", "true 65534 65534"},
		{"foreign data", "nobody", mine, "", "error: the data folder belongs to somebody else"},
		{"open data", "nobody", open, "", "error: everybody may write"},
		{"no such user", "nobody-knows", "", "", `error: there is no user "nobody-knows"`},
		{"to root", "root", "", "", "error: posthorn does not run as root"},
	} {
		out, _ := child(t, "identity", func(cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, "TEST_USER="+c.user, "TEST_DATA="+c.data, "TEST_ROOT="+c.root)
		})
		got := line(t, out)
		if !strings.HasPrefix(got, c.want) || strings.HasSuffix(got, "true") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// childUnix opens a Unix socket as root, becomes somebody, and tries whether
// that user reaches the socket.
func childUnix() error {
	path := os.Getenv("TEST_SOCKET")
	sockets, err := Open(context.Background(), []Spec{{"lmtp", path}})
	if err != nil {
		return err
	}
	if _, err := (Identity{User: "nobody", Sockets: sockets}).Assume(); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	c, err := net.Dial("unix", path)
	if err == nil {
		err = c.Close()
	}
	fmt.Println(stat.Uid == uint32(os.Getuid()), stat.Gid == uint32(os.Getgid()), info.Mode().Perm(), err)
	return nil
}

func TestUnixSocketIsGivenToTheServersUserAndGroup(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		need.Missing(t, "needs root")
	}
	path := filepath.Join(folder(t, 0, 0o755), "lmtp")
	out, _ := child(t, "unix", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "TEST_SOCKET="+path) })
	if got, want := line(t, out), "true true -rw-rw---- <nil>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOrdinaryUserStaysWhoItIs(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		need.Missing(t, "needs root to become somebody")
	}
	for user, want := range map[string]string{"": "false 65534", "nobody": "false 65534", "daemon": "error: cannot change to user daemon"} {
		out, _ := child(t, "identity", func(cmd *exec.Cmd) {
			cmd.Path = readableCopy(t, cmd.Path)
			cmd.Env = append(cmd.Env, "TEST_USER="+user)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		})
		if got := line(t, out); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", user, got, want)
		}
	}
}

func TestLowPortsSayWhatTheyNeed(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil || os.Getuid() != 0 {
		need.Missing(t, "needs root to become somebody")
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(first))); err != nil || n <= 25 {
		need.Missing(t, "this machine lets everybody use port 25")
	}
	out, _ := child(t, "bind", func(cmd *exec.Cmd) {
		cmd.Path = readableCopy(t, cmd.Path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	})
	if got := line(t, out); !strings.Contains(got, "CAP_NET_BIND_SERVICE") {
		t.Errorf("got %q", got)
	}
}

func folder(t *testing.T, uid int, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "posthorn-identity-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, mode), os.Chown(dir, uid, uid)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readableCopy puts the test binary where another user may run it.
func readableCopy(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(folder(t, 65534, 0o755), "test")
	if err := os.Link(path, to); err == nil {
		return to
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func childInherit() error {
	// systemd sets LISTEN_PID after fork; the parent here cannot know it.
	if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	sockets, err := Inherited()
	if err != nil {
		return err
	}
	g := NewGroup(Options{})
	for _, s := range sockets {
		if err := g.Start(s, &echo{}, nil); err != nil {
			return err
		}
		fmt.Println(s.Name.Name, s.Address())
	}
	err = untilParentLeaves()
	g.Stop(context.Background())
	return err
}

func TestSocketsOfSystemdAreTakenByName(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{"imap": "imap ", "fax": `error: listen: systemd hands over a socket named "fax"`} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		_ = l.Close()
		out, _ := child(t, "inherit", func(cmd *exec.Cmd) {
			cmd.ExtraFiles = []*os.File{file}
			cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES="+names)
		})
		_ = file.Close()
		got := line(t, out)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", names, got)
		}
		if names == "imap" {
			if got != "imap "+addr {
				t.Errorf("%q, want %s", got, addr)
			}
			dial(t, addr).expect("220")
		}
	}
}

func TestAnUnknownUserIsNamedPlainly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nobody-knows", "3999999999"} {
		_, _, _, err := lookupUser(name)
		if want := fmt.Sprintf("there is no user %q; make it (useradd --system %[1]s), or name another", name); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
