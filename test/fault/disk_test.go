package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// mount mounts a file system for one test.
func mount(t *testing.T, args ...string) string {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("", "posthorn-fault-")
	if err != nil {
		t.Fatal(err)
	}
	remount(t, dir, args...)
	t.Cleanup(func() {
		_ = exec.Command("umount", "-l", dir).Run() // may be unmounted already
		_ = os.Remove(dir)
	})
	return dir
}

func remount(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mount %v: %v %s", args, err, out)
	}
}

// reliability.md row 6, hostile input 37: a full disk refuses for now, never
// for good, never pretends; deletion works; room brings it back by itself.
func TestAFullDiskDefersAndRecovers(t *testing.T) {
	t.Parallel()
	dir := mount(t, "-t", "tmpfs", "-o", "size=1g", "tmpfs")
	s := newSite(t, options(filepath.Join(dir, "data")), 2)
	ballast := filepath.Join(dir, "ballast")
	// Sizes must change the disk in steps, so that the end is met in the
	// middle of messages too.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "fallocate", "-l", "550M", ballast).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var refused int
	for i := 0; refused < 20 && ctx.Err() == nil; i++ {
		m := s.books.Next([]int{3000, 4_000_000, 400_000}[i%3], s.accounts[i%2])
		switch err := s.deliver(ctx, m); {
		case err == nil:
			s.books.Acked(m)
			refused = 0
		default:
			var r *ledger.ReplyError
			if !errors.As(err, &r) || !strings.HasPrefix(r.Line, "452 4.3.1") {
				t.Fatalf("message %d on a full disk: %v", i, err)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("the disk did not fill")
	}
	expunge(t, s.d.Addr("imap"), s.accounts[0], 3)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		m := s.books.Next(3000, s.accounts[1])
		if err = s.deliver(ctx, m); err == nil {
			s.books.Acked(m)
			break
		}
	}
	if err != nil {
		t.Fatalf("with room again the server still says %v", err)
	}
	s.drained()
	s.read()
	v := s.books.Balance()
	t.Log(v)
	if v.Doubled+v.Torn+v.Phantom > 0 || v.Lost > 3 { // three were expunged on purpose
		t.Error("the books do not balance")
	}
	if v.Unacked > 0 {
		t.Errorf("%d messages were refused and kept", v.Unacked)
	}
}

// deliver sends one message on a connection of its own.
func (s *site) deliver(ctx context.Context, m ledger.Message) error {
	c, err := ledger.Dial(ctx, s.d.Addr("smtp"))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Deliver(m)
}

// expunge deletes the first n messages of INBOX by IMAP.
func expunge(t *testing.T, addr, account string, n int) {
	t.Helper()
	c := dialIMAP(t, addr)
	c.do("LOGIN " + account + ` "` + daemon.Password + `"`)
	c.do("SELECT INBOX")
	c.do(fmt.Sprintf(`STORE 1:%d +FLAGS.SILENT (\Deleted)`, n))
	if lines := c.do("EXPUNGE"); strings.Count(strings.Join(lines, "\n"), " EXPUNGE\n") != n {
		t.Errorf("EXPUNGE on a full disk: %q", lines)
	}
}

// reliability.md row 7, hostile input 38: after a failed sync nothing is
// acknowledged, the store says that it is read-only, and reading goes on.
func TestAFailedSyncEndsAcknowledging(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	for _, syscalls := range []string{"fdatasync,fsync"} {
		s := newSite(t, options(""), 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		before := s.books.Next(2000, s.accounts[0])
		if err := s.deliver(ctx, before); err != nil {
			t.Fatal(err)
		}
		s.books.Acked(before)
		trace := exec.Command("strace", "-f", "-q", "-o", "/dev/null", "-e", "trace="+syscalls, "-e", "inject="+syscalls+":error=EIO", "-p", fmt.Sprint(s.d.Pid))
		if err := trace.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // strace has no sign that it is attached
		for i := range 5 {
			m := s.books.Next(2000, s.accounts[0])
			err := s.deliver(ctx, m)
			var r *ledger.ReplyError
			if !errors.As(err, &r) || r.Line[0] != '4' {
				t.Errorf("attempt %d with a failing disk: %v", i, err)
			}
		}
		if err := trace.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = trace.Wait() // ends by the signal
		m := s.books.Next(2000, s.accounts[0])
		var r *ledger.ReplyError
		if err := s.deliver(ctx, m); !errors.As(err, &r) || r.Line[0] != '4' {
			t.Errorf("after the failure, without a restart: %v", err)
		}
		if out, err := s.d.Run("", "status"); err != nil || !strings.Contains(out, "READ-ONLY") {
			t.Errorf("status does not tell the administrator: %v\n%s", err, out)
		}
		s.read() // reading still works
		s.d.Kill()
		s.again()
		s.balance()
	}
}

// freeze stops the server between two instructions. Without power nothing is
// acknowledged any more; a sync that is under way when the file system is shut
// down may still return success to a process that runs on.
func freeze(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status), "State:\tT") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the server does not stop")
}

// fsShutdown drops what a file system has not synced: a power cut
// (EXT4_IOC_SHUTDOWN, without flushing the journal).
func fsShutdown(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const ioctl, noLogFlush = 0x8004587d, 2
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctl, uintptr(unsafe.Pointer(&how))); errno != 0 {
		t.Fatal(errno)
	}
}

// powerCuts runs cycles of load, power cut and restart. The error says what
// did not come back as it should.
func powerCuts(t *testing.T, binary string, cycles int) error {
	needRoot(t)
	image := filepath.Join(t.TempDir(), "disk.img")
	for _, c := range [][]string{{"truncate", "-s", "1500M", image}, {"mkfs.ext4", "-q", "-F", image}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", c, err, out)
		}
	}
	dir := mount(t, "-o", "loop", image)
	o := options(filepath.Join(dir, "data"))
	o.Binary = binary
	s := newSite(t, o, 4)
	stop := s.load(ledger.Load{Connections: 8, Sizes: []int{2000, 6000, 90_000}, Pairs: 5})
	defer func() {
		s.d.Kill()
		unmount(t, dir, image)
	}()
	for range cycles {
		time.Sleep(700 * time.Millisecond)
		freeze(t, s.d)
		fsShutdown(t, dir)
		s.d.Kill()
		unmount(t, dir, image)
		remount(t, dir, "-o", "loop", image)
		d, err := daemon.Try(t, again(o, s.d.Data))
		if err != nil {
			stop()
			return err
		}
		s.d = d
		s.publish()
	}
	stop()
	if err := s.settled(); err != nil {
		return err
	}
	v := s.books.Balance()
	t.Log(v)
	if !v.OK() {
		return errors.New(v.String())
	}
	return nil
}

func again(o daemon.Options, data string) daemon.Options {
	o.Data = data
	return o
}

// unmount waits until nothing holds the file system any more. While another
// mount namespace does (a test of networks makes one), mounting the image again
// would bring the dead file system back.
func unmount(t *testing.T, dir, image string) {
	t.Helper()
	var out []byte
	var err error
	for end, mounted := time.Now().Add(2*time.Minute), true; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if mounted {
			out, err = exec.Command("umount", dir).CombinedOutput()
			mounted = err != nil
			continue
		}
		if out, err = exec.Command("losetup", "--associated", image).CombinedOutput(); err == nil && len(out) == 0 {
			return
		}
	}
	t.Fatalf("umount: %v %s", err, out)
}

// reliability.md row 2: the same as a kill, with the page cache gone.
func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	if err := powerCuts(t, "", pick(5, 30)); err != nil {
		t.Error(err)
	}
}

// The same test must fail without syncs, or it shows nothing.
func TestPowerCutsWithoutSyncsAreNoticed(t *testing.T) {
	t.Parallel()
	needRoot(t)
	bin := filepath.Join(t.TempDir(), "posthorn-nosync")
	build := exec.Command("go", "build", "-tags", "nosync_for_test", "-o", bin, "posthorn/cmd/posthorn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	err := powerCuts(t, bin, 2)
	if err == nil {
		t.Fatal("a build that never syncs passed the power cuts: the test does not test")
	}
	t.Log("without syncs:", err)
}
