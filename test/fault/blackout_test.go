package fault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/ledger"
)

// blackout is a site on a file system of its own whose power can be cut, with
// senders, IMAP clients and one who deletes.
type blackout struct {
	*site
	o     daemon.Options
	disk  loopDisk
	imap  clients
	least int         // what must be acknowledged in each cycle
	dark  atomic.Bool // the power is about to go: anything may be said

	gaps    []time.Duration // between freeze and cut
	turns   int             // times the log had begun anew when the power went
	deepest uint32          // the most pages in the log then
	removed int             // segments of bodies that were gone
}

func newBlackout(t *testing.T, binary string) *blackout {
	t.Helper()
	needRoot(t)
	b := &blackout{disk: newLoopDisk(t, pick(1500, 12_000)), least: 30}
	b.o = options(filepath.Join(b.disk.dir, "data"))
	b.o.Binary = binary
	b.site = newSite(t, b.o, 6)
	b.accounts, b.imap = b.accounts[:4], newClients(b.accounts[4:])
	t.Cleanup(func() {
		b.d.Kill()
		b.disk.unmount()
	})
	return b
}

// cycle is one of load, power cut and restart. An error means that the server
// did not come back, or does not let its mailboxes be read.
func (b *blackout) cycle(frozen, deep bool) error {
	b.t.Helper()
	sizes := []int{2000, 6000, 90_000, 3000}
	if soak() {
		sizes = append(sizes, 1_500_000)
	}
	stop := b.load(ledger.Load{Connections: 8, Sizes: sizes, Pairs: 5})
	wait := b.imap.begin(b.d.Addr("imap"))
	deleted := b.deleting()
	b.acknowledges(b.least)
	b.imap.atLeast(b.t, 15)
	turns, segments := b.logTurns(), b.segments()
	if deep {
		b.awaitLog(16_000, time.Duration(pick(2, 20))*time.Second)
	}
	time.Sleep(rand.N(time.Duration(pick(600, 2000)) * time.Millisecond))
	b.turns += int(b.logTurns() - turns)
	b.deepest = max(b.deepest, b.logPages())
	b.removed += missing(segments, b.segments())
	b.cut(frozen)
	b.d.Kill()
	stop()
	if err := errors.Join(wait(), deleted()); err != nil {
		b.t.Error(err)
	}
	b.disk.unmount()
	b.disk.mount()
	return b.back()
}

// cut ends the power. A frozen server is stopped between two instructions
// before, so that all it acknowledged counts; but a sync under way ends while
// its threads stop. Beside one that runs on there is no such gap: the books are
// closed, because an acknowledgement may have been made after the cut.
func (b *blackout) cut(frozen bool) {
	b.t.Helper()
	if frozen {
		began := time.Now()
		freeze(b.t, b.d)
		b.gaps = append(b.gaps, time.Since(began))
	} else {
		b.dark.Store(true)
		b.d.Doom() // its log's index is mapped: the next touch is a SIGBUS
		b.books.Close()
		b.imap.close()
	}
	b.disk.cut()
}

// back starts the server on what is left and reads everything.
func (b *blackout) back() error {
	b.books.Open()
	b.dark.Store(false)
	d, err := daemon.Try(b.t, b.o)
	if err != nil {
		return err
	}
	b.d = d
	b.publish()
	return b.readAll()
}

// deleting removes most of what stood in the mailboxes at the last reading,
// until the connection breaks; the function returned waits for that and says
// what was refused.
func (b *blackout) deleting() (wait func() error) {
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < len(b.accounts) && err == nil; i++ {
			err = b.expungeOld(b.accounts[i])
		}
		if !refused(err) || b.dark.Load() {
			err = nil
		}
		done <- err
	}()
	return func() error { return <-done }
}

func (b *blackout) expungeOld(account string) error {
	c, err := login(b.d.Addr("imap"), account)
	if err != nil {
		return err
	}
	defer c.close()
	stood := b.earlier[account].UIDs
	uids := make([]uint32, 0, len(stood))
	for uid := range stood {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	for some := range slices.Chunk(uids[:len(uids)*3/4], 20) {
		var numbers []int
		var set []string
		for _, uid := range some {
			numbers, set = append(numbers, stood[uid]), append(set, fmt.Sprint(uid))
		}
		b.books.Removing(account, numbers...)
		for _, command := range []string{"UID STORE %s +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE %s"} {
			if _, err := c.try(fmt.Sprintf(command, strings.Join(set, ","))); err != nil {
				return err
			}
		}
		b.books.Removed(account, numbers...)
	}
	return nil
}

// The files of the store, as its formats say.

// logPages is how many pages the database's log holds (SQLite's "WAL-Index
// Format", offset 16).
func (b *blackout) logPages() uint32 { return b.word("posthorn.db-shm", 16, binary.NativeEndian) }

// logTurns counts how often the log began anew (SQLite's "WAL File Format",
// offset 12).
func (b *blackout) logTurns() uint32 { return b.word("posthorn.db-wal", 12, binary.BigEndian) }

func (b *blackout) word(file string, at int64, order binary.ByteOrder) uint32 {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.d.Data, "store", file))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	var raw [4]byte
	if _, err := f.ReadAt(raw[:], at); err != nil {
		return 0 // still empty
	}
	return order.Uint32(raw[:])
}

// awaitLog waits, within bounds, until the log holds so many pages that it is
// moved into the database: a cut soon after comes while that is done.
func (b *blackout) awaitLog(pages uint32, most time.Duration) {
	for end := time.Now().Add(most); b.logPages() < pages && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
}

func (b *blackout) segments() []string {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.d.Data, "store", "bodies"))
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func missing(before, after []string) int {
	n := 0
	for _, name := range before {
		if !slices.Contains(after, name) {
			n++
		}
	}
	return n
}

// freeze stops the server, all of its threads, between two instructions.
func freeze(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if stopped(t, d.Pid) {
			return
		}
	}
	t.Fatal("the server does not stop")
}

// stopped reports whether no thread of the process runs, or waits for a disk.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // it ended
		}
		if err != nil {
			t.Fatal(err)
		}
		// The state follows the name in parentheses (proc_pid_stat(5)).
		if _, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " "); after[0] != 'T' {
			return false
		}
	}
	return true
}

// loopDisk is a file system in a file.
type loopDisk struct {
	t          *testing.T
	dir, image string
}

func newLoopDisk(t *testing.T, megabytes int) loopDisk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	for _, c := range [][]string{{"truncate", "-s", fmt.Sprint(megabytes, "M"), image}, {"mkfs.ext4", "-q", "-F", image}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", c, err, out)
		}
	}
	return loopDisk{t, mount(t, "-o", "loop", image), image}
}

func (l loopDisk) mount() {
	l.t.Helper()
	remount(l.t, l.dir, "-o", "loop", l.image)
}

// cut drops what the file system has not synced: a power cut
// (EXT4_IOC_SHUTDOWN, without flushing the journal).
func (l loopDisk) cut() {
	l.t.Helper()
	f, err := os.Open(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	const ioctl, noLogFlush = 0x8004587d, 2
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctl, uintptr(unsafe.Pointer(&how))); errno != 0 {
		l.t.Fatal(errno)
	}
}

// unmount waits until nothing holds the file system any more. While another
// mount namespace does (a test of networks makes one), mounting the image again
// would bring the dead file system back.
func (l loopDisk) unmount() {
	l.t.Helper()
	var out []byte
	var err error
	for end, mounted := time.Now().Add(2*time.Minute), true; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if mounted {
			out, err = exec.Command("umount", l.dir).CombinedOutput()
			mounted = err != nil
			continue
		}
		if out, err = exec.Command("losetup", "--associated", l.image).CombinedOutput(); err == nil && len(out) == 0 {
			return
		}
	}
	l.t.Fatalf("umount: %v %s", err, out)
}
