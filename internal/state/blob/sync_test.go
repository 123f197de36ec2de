package blob

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
)

// gateFS is a folder whose syncs wait and then fail, and whose punches count.
type gateFS struct {
	FS
	begun   chan struct{}
	outcome chan error
	folder  error
	punched int
}

type gateFile struct {
	File
	fs *gateFS
}

func (f *gateFS) Create(name string) (File, error) {
	file, err := f.FS.Create(name)
	return gateFile{file, f}, err
}

func (f *gateFS) SyncDir() error { return errors.Join(f.folder, f.FS.SyncDir()) }

func (f gateFile) Sync() error {
	if f.fs.begun == nil {
		return f.File.Sync()
	}
	f.fs.begun <- struct{}{}
	return <-f.fs.outcome
}

func (f gateFile) Punch(start, length int64) error {
	f.fs.punched++
	return f.File.Punch(start, length)
}

func openGate(t *testing.T) (*gateFS, *Segments) {
	t.Helper()
	files, err := Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &gateFS{FS: files}
	s, err := Open(f, 1<<20, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return f, s
}

// What the first of two callers writes down, the second relies on: it must not
// hear of success while the sync is under way, and it hears of its failure.
func TestNobodyTakesASyncUnderWayForDone(t *testing.T) {
	f, s := openGate(t)
	f.begun, f.outcome = make(chan struct{}), make(chan error)
	b := s.NewBatch()
	p, err := b.Add(pattern(50_000))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- s.Sync(p.Segment) }()
	<-f.begun
	s.mu.Lock()
	before := s.open[p.Segment].users
	s.mu.Unlock()
	go func() { second <- s.Sync(p.Segment) }()
	for waits := false; !waits; runtime.Gosched() {
		select {
		case err := <-second:
			t.Fatal("the second caller returned before the sync ended:", err)
		default:
		}
		s.mu.Lock()
		waits = s.open[p.Segment].users > before
		s.mu.Unlock()
	}
	f.outcome <- syscall.EIO
	for _, c := range []chan error{first, second} {
		if err := <-c; !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
}

func TestNothingIsGivenBackAfterACommitOfUnknownOutcome(t *testing.T) {
	f, s := openGate(t)
	b := s.NewBatch()
	p, err := b.Add(pattern(50_000))
	if err == nil {
		err = b.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(syscall.EIO)
	s.Free(p)
	s.Remove(p.Segment)
	if more, err := s.Reclaim(); more || err != nil {
		t.Error(more, err)
	}
	if names, err := f.Names(); f.punched > 0 || len(names) != 1 || err != nil {
		t.Errorf("%d holes, files %v, %v", f.punched, names, err)
	}
	if _, err := s.NewStream(1); !errors.Is(err, ErrFailed) {
		t.Error("a body was begun:", err)
	}
}

// A file whose name may not survive a power cut is no place for mail, and what
// a second sync of its folder would say means nothing.
func TestAFolderThatCannotBeSyncedEndsWriting(t *testing.T) {
	f, s := openGate(t)
	f.folder = syscall.EIO
	if _, err := s.NewStream(1); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	f.folder = nil
	if _, err := s.NewStream(1); !errors.Is(err, ErrFailed) {
		t.Error("a second try was believed:", err)
	}
}
