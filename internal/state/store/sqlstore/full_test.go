package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/need"
)

// Some file systems find out at a sync that they are full. What they kept is as
// unknown as after any other error.
func TestAFullDiskFoundAtASyncEndsWriting(t *testing.T) {
	f, o := faulty(t)
	log := keepLog(&o)
	s := openTest(t, o)
	id := addAccount(t, s, "alice")
	full := error(syscall.ENOSPC)
	f.sync.Store(&full)
	a := acceptance(t, s, id, make([]byte, 30_000))
	if _, err := s.Accept(context.Background(), a); !errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	a.Body.Discard()
	if room, err := s.Room(context.Background()); err != nil || room.ReadOnly == nil {
		t.Error(room, err)
	}
	log.expect(t, "store.opened store.read_only")
}

// kept is a log whose lines can be looked at.
type kept struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func keepLog(o *Options) *kept {
	k := &kept{}
	o.Log = event.New(event.Handler(k, event.Options{Format: event.JSON}))
	return k
}

func (k *kept) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(line)
}

// expect compares the events so far.
func (k *kept) expect(t *testing.T, want string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	var got []string
	for line := range bytes.Lines(k.text.Bytes()) {
		var x struct{ Event string }
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		got = append(got, x.Event)
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("logged %s, not %s", s, want)
	}
}

func TestFullDiskUnderBodiesPassesByItself(t *testing.T) {
	f, o := faulty(t)
	s := openTest(t, o)
	id := addAccount(t, s, "alice")
	full := error(syscall.ENOSPC)
	f.write.Store(&full)
	a := acceptance(t, s, id, make([]byte, 30_000))
	if _, err := s.Accept(context.Background(), a); !errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	f.write.Store(nil)
	if _, err := s.Accept(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	a.Body.Discard()
}

// The client hears that the disk is full, also in the middle of the content.
func TestAFullDiskFoundWhileAMessageArrivesIsSaidToBeFull(t *testing.T) {
	f, o := faulty(t)
	s := openTest(t, o)
	full := error(syscall.ENOSPC)
	f.write.Store(&full)
	d, err := s.NewDraft(t.Context(), 500_000)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := d.Write(make([]byte, 500_000)); !errors.Is(err, store.ErrFull) {
		t.Error(err)
	}
}

// Segments that a nearly full disk made small are as full as they can be.
func TestSmallSegmentsAreNotMovedForEver(t *testing.T) {
	f, o := faulty(t)
	f.most.Store(64 << 10)
	s := openTest(t, o)
	id := addAccount(t, s, "alice")
	for range 20 {
		deliver(t, s, id, make([]byte, 30_000))
	}
	for range 50 {
		more, err := s.bodies.tidy()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
	t.Error("there is no end to it")
}

func TestDeletingWorksOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		need.Missing(t, "mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("posthorn-test", dir, "tmpfs", 0, "size=24m"); err != nil {
		need.Missing(t, "cannot mount tmpfs:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	o := Options{SegmentSize: 4 << 20, Reserve: 4 << 20}
	log := keepLog(&o)
	s := reopen(t, filepath.Join(dir, "data"), o)
	id := addAccount(t, s, "alice")
	ctx := context.Background()
	var err error
	var last store.Filed
	for i := 0; err == nil && i < 5000; i++ {
		a := acceptance(t, s, id, make([]byte, 3000+37_000*(i%2)))
		var got store.Accepted
		if got, err = s.Accept(ctx, a); err == nil {
			last = got.Filed[0]
		}
		a.Body.Discard()
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("after %d messages: %v", last.UID, err)
	}
	// Somebody else takes the very last octet.
	filler := filepath.Join(dir, "filler")
	fillDisk(t, filler)
	if _, err := s.Accept(ctx, acceptance(t, s, id, []byte("small"))); !errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	gone, _, err := s.Account(id).Expunge(ctx, last.Mailbox, []store.UIDRange{{First: 1, Last: last.UID}}, false)
	if err != nil || len(gone) != int(last.UID) {
		t.Fatalf("expunge on a full disk: %d gone, %v", len(gone), err)
	}
	log.expect(t, "store.opened store.full")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ { // the sweeper works beside
		a := acceptance(t, s, id, make([]byte, 30_000))
		if _, err = s.Accept(ctx, a); err == nil || try == 2000 {
			break
		}
	}
	if err != nil {
		t.Error("no recovery:", err)
	}
	for range 2000 { // commits look at the room
		if deliver(t, s, id, []byte("small")); s.engine.(*sqliteEngine).writer.disk.f != nil {
			break
		}
	}
	log.expect(t, "store.opened store.full store.recovered")
}

// The reserve is for a start, too: with a full disk SQLite cannot open a database.
func TestAStoreOpensOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		need.Missing(t, "mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("posthorn-test", dir, "tmpfs", 0, "size=24m"); err != nil {
		need.Missing(t, "cannot mount tmpfs:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	data, o := filepath.Join(dir, "data"), Options{SegmentSize: 4 << 20, Reserve: 4 << 20}
	open := func() (*Store, error) {
		s, err := OpenSQLite(t.Context(), data, o)
		if err != nil {
			return nil, err
		}
		return s.(*Store), nil
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	id := addAccount(t, s, "alice")
	m := deliver(t, s, id, []byte("kept"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, filepath.Join(dir, "filler"))
	if s, err = open(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Account(id).SetFlags(t.Context(), m.Mailbox, store.FlagUpdate{UIDs: []store.UIDRange{{First: m.UID, Last: m.UID}}, Op: store.FlagsAdd, Flags: store.FlagDeleted}); err != nil {
		t.Error("mark for deletion:", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	fillDisk(t, filepath.Join(dir, "filler2")) // and now the reserve is gone
	if _, err = open(); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "make some room") {
		t.Error(err)
	}
}

func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
