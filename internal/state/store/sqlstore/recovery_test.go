package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// faultFS is a real folder whose files fail on demand.
type faultFS struct {
	blob.FS
	sync, write atomic.Pointer[error]
	most        atomic.Int64 // room for a file, if not 0
}

type faultFile struct {
	blob.File
	fs *faultFS
}

func (f *faultFS) Create(name string) (blob.File, error) {
	file, err := f.FS.Create(name)
	return faultFile{file, f}, err
}

func (f *faultFS) Open(name string) (blob.File, error) {
	file, err := f.FS.Open(name)
	return faultFile{file, f}, err
}

func (f faultFile) Sync() error {
	if p := f.fs.sync.Load(); p != nil {
		return *p
	}
	return f.File.Sync()
}

func (f faultFile) Allocate(n int64) error {
	if most := f.fs.most.Load(); most > 0 && n > most {
		return syscall.ENOSPC
	}
	return f.File.Allocate(n)
}

func (f faultFile) WriteAt(p []byte, off int64) (int, error) {
	if e := f.fs.write.Load(); e != nil {
		return 0, *e
	}
	return f.File.WriteAt(p, off)
}

func faulty(t *testing.T) (*faultFS, Options) {
	t.Helper()
	files, err := blob.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &faultFS{FS: files}
	return f, Options{SegmentSize: 1 << 20, files: f}
}

func TestBodyThatCannotBeSyncedIsNotAcknowledged(t *testing.T) {
	f, o := faulty(t)
	s := openTest(t, o)
	id := addAccount(t, s, "alice")
	kept := deliver(t, s, id, make([]byte, 30_000))
	eio := error(syscall.EIO)
	f.sync.Store(&eio)
	if _, err := s.Accept(context.Background(), acceptance(t, s, id, make([]byte, 30_000))); !errors.Is(err, store.ErrReadOnly) {
		t.Fatal(err)
	}
	f.sync.Store(nil)
	if _, err := s.Accept(context.Background(), acceptance(t, s, id, []byte("small"))); !errors.Is(err, store.ErrReadOnly) {
		t.Fatal("a write was taken after a failed sync:", err)
	}
	if got := content_(t, s, id, kept.Message); len(got) < 30_000 {
		t.Error(len(got))
	}
}

// Whoever meets the failed sync, and however small the mail: none is taken.
func TestAFailedSyncOfTheSweeperEndsWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := faulty(t)
		s := openTest(t, o)
		id := addAccount(t, s, "alice")
		var last store.Filed
		for range 60 { // three segments
			last = deliver(t, s, id, make([]byte, 50_000))
		}
		eio := error(syscall.EIO)
		f.sync.Store(&eio)
		most := []store.UIDRange{{First: 2, Last: 59}} // the first segment is moved together
		if _, _, err := s.Account(id).Expunge(context.Background(), last.Mailbox, most, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if room, err := s.Room(context.Background()); err != nil || room.ReadOnly == nil {
			t.Error(room, err)
		}
		if _, err := s.Accept(context.Background(), acceptance(t, s, id, []byte("small"))); !errors.Is(err, store.ErrReadOnly) {
			t.Error("mail was taken after the failed sync:", err)
		}
	})
}

func TestWhatNoCommitRefersToIsFreeSpaceAfterACrash(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentSize: 1 << 20}
	s := reopen(t, dir, o)
	id := addAccount(t, s, "alice")
	want := strings.Repeat("kept", 10_000)
	m := deliver(t, s, id, []byte(want))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A torn tail behind the last body, and a segment nobody committed to.
	name := filepath.Join(dir, "bodies", "000001.seg")
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte("torn"), 1000), int64(len(want))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.WriteFile(filepath.Join(dir, "bodies", "000002.seg"), []byte("orphan"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir, o)
	if _, err := os.Stat(filepath.Join(dir, "bodies", "000002.seg")); !os.IsNotExist(err) {
		t.Error("the orphan is still there:", err)
	}
	next := strings.Repeat("next", 10_000)
	n := deliver(t, s, id, []byte(next))
	for message, text := range map[store.MessageID]string{m.Message: want, n.Message: next} {
		if got := content_(t, s, id, message); !strings.HasSuffix(got, text) {
			t.Errorf("message %d differs", message)
		}
	}
	if places := blobPlaces(t, s); places[0].Start+places[0].Length != places[1].Start {
		t.Error("the tail was not used again:", places)
	}
}

func blobPlaces(t testing.TB, s *Store) []blob.Place {
	t.Helper()
	var list []blob.Place
	err := s.read(context.Background(), func(t tx) error {
		return t.query(`SELECT segment, start, length FROM blob ORDER BY id`, nil, func(r row) error {
			list = append(list, blob.Place{Segment: r.int(0), Start: r.int(1), Length: r.int(2)})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func rows(t testing.TB, s *Store, table string) (n int64) {
	t.Helper()
	err := s.read(context.Background(), func(t tx) error {
		_, err := one(t, `SELECT COUNT(*) FROM `+table, nil, func(r row) error {
			n = r.int(0)
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRoomOfDeletedBodiesIsReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := reopen(t, dir, Options{SegmentSize: 1 << 20})
		id := addAccount(t, s, "alice")
		var last store.Filed
		for i := range 200 { // 10 segments
			last = deliver(t, s, id, bytes.Repeat([]byte{byte(i)}, 50_000))
		}
		inbox := last.Mailbox
		// One message of each segment or so stays.
		var gone []store.UIDRange
		for uid := store.UID(1); uid < 200; uid++ {
			if uid%20 != 5 {
				gone = append(gone, store.UIDRange{First: uid, Last: uid})
			}
		}
		if _, _, err := s.Account(id).Expunge(context.Background(), inbox, gone, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		x, err := s.Account(id).Index(context.Background(), inbox)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range x.Entries {
			want := strings.Repeat(string([]byte{byte(e.UID - 1)}), 50_000)
			if got := content_(t, s, id, e.Message); !strings.HasSuffix(got, want) {
				t.Errorf("UID %d differs after compaction", e.UID)
			}
		}
		if n := rows(t, s, "message"); n != int64(len(x.Entries)) {
			t.Errorf("%d message rows for %d entries", n, len(x.Entries))
		}
		names, err := os.ReadDir(filepath.Join(dir, "bodies"))
		if err != nil || len(names) > 3 {
			t.Errorf("%d segment files, %v", len(names), err)
		}
	})
}

func TestBodyBeingReadSurvivesItsDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, Options{SegmentSize: 256 << 10})
		id := addAccount(t, s, "alice")
		text := strings.Repeat("still here", 20_000)
		m := deliver(t, s, id, []byte(text))
		b, err := s.Account(id).OpenBody(context.Background(), m.Message)
		if err != nil {
			t.Fatal(err)
		}
		all := []store.UIDRange{{First: 1, Last: 1 << 31}}
		if _, _, err := s.Account(id).Expunge(context.Background(), m.Mailbox, all, false); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, id, make([]byte, 200_000)) // begins another segment
		synctest.Wait()
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || !strings.HasSuffix(string(got), text) {
			t.Error(len(got), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLargeMailboxIsDeletedInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, Options{})
		id := addAccount(t, s, "alice")
		ctx := context.Background()
		a := s.Account(id)
		box, err := a.CreateMailbox(ctx, "big/one", store.RoleNone)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			items := make([]store.AppendItem, 20)
			for i := range items {
				items[i].Body = acceptance(t, s, id, []byte("x")).Body
			}
			if _, err := a.Append(ctx, box.ID, items); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.DeleteMailbox(ctx, box.ID); err != nil {
			t.Fatal(err)
		}
		if u, err := a.Usage(ctx); err != nil || u.Messages != 0 || u.Bytes != 0 {
			t.Error(u, err)
		}
		synctest.Wait()
		for _, table := range []string{"entry", "message", "body", "garbage"} {
			if n := rows(t, s, table); n != 0 {
				t.Errorf("%d rows left in %s", n, table)
			}
		}
		if b, err := a.CreateMailbox(ctx, "big/one", store.RoleNone); err != nil || b.UIDValidity <= box.UIDValidity {
			t.Error(b, err)
		}
	})
}

func TestAbandonedDraftsLeaveNothing(t *testing.T) {
	s := openTest(t, Options{SegmentSize: 1 << 20})
	id := addAccount(t, s, "alice")
	for range 10 {
		acceptance(t, s, id, make([]byte, 500_000)).Body.Discard()
	}
	s.sweeper.kick()
	deliver(t, s, id, make([]byte, 300_000))
	if n := rows(t, s, "blob"); n != 1 {
		t.Error(n)
	}
}

func TestDraftsOfAnySizeCostLittleMemory(t *testing.T) {
	s := openTest(t, Options{})
	id := addAccount(t, s, "alice")
	d, err := s.NewDraft(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 32<<10)
	allocated := testing.AllocsPerRun(1, func() {
		for range 512 { // 16 MB a run
			if _, err := d.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocated > 200 {
		t.Errorf("%v allocations for 16 MB", allocated)
	}
	a := acceptance(t, s, id, nil)
	a.Body = d
	got, err := s.Accept(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(content_(t, s, id, got.Filed[0].Message)); n < 32<<20 {
		t.Error(n)
	}
}

func TestTheStoreWorksInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, Options{})
		id := addAccount(t, s, "alice")
		w := s.Watch(id)
		defer w.Close()
		start := time.Now()
		deliver(t, s, id, []byte("hello"))
		time.Sleep(time.Hour)
		deliver(t, s, id, []byte("later"))
		<-w.C
		if d := time.Since(start); d != time.Hour {
			t.Error(d)
		}
	})
}

func TestRepeatedAcceptanceIsFiledOnce(t *testing.T) {
	s := openTest(t, Options{})
	id := addAccount(t, s, "alice")
	a := acceptance(t, s, id, []byte("once"))
	first, err := s.Accept(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Accept(context.Background(), a)
	if err != nil || !again.Repeated || fmt.Sprint(again.Filed) != fmt.Sprint(first.Filed) {
		t.Error(again, err)
	}
	if n := rows(t, s, "entry"); n != 1 {
		t.Error(n)
	}
}
