package junk

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// unprivileged runs fn as a user for whom modes of files count.
func unprivileged(t *testing.T, dir string, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	const nobody = 65534
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the user of file accesses is the thread's
	defer runtime.UnlockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0) // tells nothing
	defer func() { _, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0) }()
	fn()
}

// A command that root ran may leave files that the server may not open.
func TestFilesOfSomebodyElseAreSetAside(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{"", "-wal"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "some.db")
		unprivileged(t, dir, func() {
			f, err := openFile(path, 7, func(err error) { t.Error(err) }, func() {})
			if err != nil || f.close() != nil {
				t.Error(err)
			}
		})
		_ = os.Remove(path + tail)
		if err := os.WriteFile(path+tail, []byte("somebody else's"), 0); err != nil {
			t.Fatal(err)
		}
		unprivileged(t, dir, func() {
			complaints := 0
			failed := func(error) { complaints++ }
			f, err := openFile(path, 7, failed, func() {})
			if err != nil {
				t.Errorf("%q: %v", tail, err)
				return
			}
			if err := f.close(); err != nil || complaints != 1 {
				t.Errorf("%q: %d complaints, %v", tail, complaints, err)
			}
		})
	}
}
