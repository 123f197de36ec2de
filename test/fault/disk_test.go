package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// fullDisk is a site on a file system that fills up.
type fullDisk struct {
	*site
	ctx     context.Context
	dir     string
	ballast *os.File
	held    int64 // octets of it
}

// reliability.md row 6, hostile input 37: a full disk refuses for now, never
// for good, never pretends, at MAIL and at the end of data; deletion works with
// the last octet gone, also after a restart; room brings it back by itself.
func TestAFullDiskDefersAndRecovers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f := &fullDisk{ctx: ctx, dir: mount(t, "-t", "tmpfs", "-o", "size=256m", "tmpfs")}
	f.site = newSite(t, options(filepath.Join(f.dir, "data")), 2)
	f.set("policy.room.reserve=1MB")
	ballast, err := os.Create(filepath.Join(f.dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	f.ballast = ballast
	if err := f.hold(30 << 20); err != nil {
		t.Fatal(err)
	}

	f.fillByMail()
	f.midData()
	f.endOfData()
	f.refusedAtMail()
	f.leave(0)
	if _, err := f.try("APPEND INBOX {3+}\r\nabc"); !refused(err) || !strings.Contains(err.Error(), "NO [OVERQUOTA]") && !strings.Contains(err.Error(), "NO [SERVERBUG]") {
		t.Errorf("APPEND on a full disk: %v", err)
	}
	f.read()
	f.d.Kill()
	f.leave(0)
	f.again()
	f.leave(0)
	f.refusedAtMail()
	f.mark(3)
	f.expunge(3)
	if err := f.d.Stop(); err != nil {
		t.Error(err)
	}
	f.again()
	f.mark(1)
	f.expunge(1)

	if err := f.hold(0); err != nil {
		t.Fatal(err)
	}
	f.recovers()
	if v := f.balance(); v.Unacked > 0 {
		t.Errorf("%d messages were refused and kept", v.Unacked)
	}
}

// fillByMail delivers until there is no room: in steps of several sizes, so that
// the end is met somewhere.
func (f *fullDisk) fillByMail() {
	f.t.Helper()
	for i := 0; ; i++ {
		m := f.books.Next([]int{3000, 4_000_000, 400_000}[i%3], f.accounts[i%2])
		if err := f.deliver(f.ctx, m); err != nil {
			f.mustBeFull(m, err)
			f.t.Logf("message %d of %d octets: %v", m.Number, len(m.Content), err)
			return
		}
		f.books.Acked(m)
	}
}

// mustBeFull returns the verb at which a message was refused for want of room.
func (f *fullDisk) mustBeFull(m ledger.Message, err error) (verb string) {
	f.t.Helper()
	var r *ledger.ReplyError
	if !errors.As(err, &r) || !strings.HasPrefix(r.Line, "452 4.3.1") {
		f.t.Fatalf("message %d on a full disk: %v", m.Number, err)
	}
	return r.To
}

// midData offers a message that the server cannot know to be too large.
func (f *fullDisk) midData() {
	f.t.Helper()
	f.leave(7 << 20)
	m := f.books.Next(12_000_000, f.accounts[0])
	if verb := f.mustBeFull(m, f.offered(m).Finish(m)); verb != "." {
		f.t.Errorf("refused at %q", verb)
	}
}

// endOfData takes the room away between 354 and the content.
func (f *fullDisk) endOfData() {
	f.t.Helper()
	f.leave(7 << 20)
	m := f.books.Next(3000, f.accounts[0])
	session := f.offered(m)
	f.leave(3 << 20)
	if verb := f.mustBeFull(m, session.Finish(m)); verb != "." {
		f.t.Errorf("refused at %q", verb)
	}
}

// offered is a session in which the message was taken up to 354; the server
// knows of new room within a second.
func (f *fullDisk) offered(m ledger.Message) *ledger.Session {
	f.t.Helper()
	for {
		c, err := ledger.Dial(f.ctx, f.d.Addr("smtp"))
		if err != nil {
			f.t.Fatal(err)
		}
		if err = c.Offer(m); err == nil {
			f.t.Cleanup(c.Close)
			return c
		}
		c.Close()
		f.mustBeFull(m, err)
		time.Sleep(50 * time.Millisecond)
	}
}

// refusedAtMail waits until the server has noticed at MAIL, which it must
// within seconds.
func (f *fullDisk) refusedAtMail() {
	f.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		m := f.books.Next(3000, f.accounts[0])
		if verb := f.mustBeFull(m, f.deliver(f.ctx, m)); verb == "MAIL" {
			return
		}
	}
	f.t.Error("a full disk is not noticed at MAIL")
}

// recovers waits until mail is taken again.
func (f *fullDisk) recovers() {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		m := f.books.Next(3000, f.accounts[1])
		err := f.deliver(f.ctx, m)
		if err == nil {
			f.books.Acked(m)
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("with room again the server still says %v", err)
		}
	}
}

// try runs an IMAP command in the first account's INBOX.
func (f *fullDisk) try(command string) ([]string, error) {
	f.t.Helper()
	c, err := login(f.d.Addr("imap"), f.accounts[0])
	if err != nil {
		f.t.Fatalf("login on a full disk: %v", err)
	}
	defer c.close()
	return c.try(command)
}

// mark marks the first n messages of INBOX as deleted.
func (f *fullDisk) mark(n int) {
	f.t.Helper()
	if _, err := f.try(fmt.Sprintf(`STORE 1:%d +FLAGS.SILENT (\Deleted)`, n)); err != nil {
		f.t.Fatal(err)
	}
}

// expunge deletes the first n messages of INBOX, which are marked.
func (f *fullDisk) expunge(n int) {
	f.t.Helper()
	f.read()
	stood := f.earlier[f.accounts[0]].UIDs
	var numbers []int
	for uid := range stood {
		numbers = append(numbers, int(uid))
	}
	slices.Sort(numbers)
	for i, uid := range numbers[:n] {
		numbers[i] = stood[uint32(uid)]
	}
	f.books.Removed(f.accounts[0], numbers[:n]...)
	lines, err := f.try("EXPUNGE")
	if strings.Count(strings.Join(lines, "\n"), " EXPUNGE\n") != n {
		f.t.Errorf("EXPUNGE on a full disk: %v %q", err, lines)
	}
}

// free is the room that is left to others than root.
func (f *fullDisk) free() int64 {
	f.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.dir, &s); err != nil {
		f.t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// hold makes the ballast so large.
func (f *fullDisk) hold(n int64) error {
	f.t.Helper()
	n = max(n, 0)
	if err := f.ballast.Truncate(min(n, f.held)); err != nil {
		f.t.Fatal(err)
	}
	if n > f.held {
		if err := syscall.Fallocate(int(f.ballast.Fd()), 0, 0, n); err != nil {
			return err
		}
	}
	f.held = n
	return nil
}

// leave lets so much room be free. The server takes and gives some meanwhile.
func (f *fullDisk) leave(n int64) {
	f.t.Helper()
	var err error
	for range 1000 {
		if free := f.free(); free == n {
			return
		} else if err = f.hold(f.held + free - n); err != nil {
			time.Sleep(time.Millisecond)
		}
	}
	f.t.Fatalf("%d octets are free and should be %d: %v", f.free(), n, err)
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
