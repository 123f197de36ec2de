package record

import (
	"os"
	"path/filepath"
	"testing"

	"posthorn/internal/testkit/need"
)

// A command that root ran may leave files that the server may not open.
func TestFilesOfSomebodyElseAreSetAside(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{"", "-wal"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "some.db")
		need.Unprivileged(t, dir, func() {
			f, err := openFile(path, func(err error) { t.Error(err) })
			if err != nil || f.close() != nil {
				t.Error(err)
			}
		})
		_ = os.Remove(path + tail)
		if err := os.WriteFile(path+tail, []byte("somebody else's"), 0); err != nil {
			t.Fatal(err)
		}
		need.Unprivileged(t, dir, func() {
			complaints := 0
			failed := func(error) { complaints++ }
			f, err := openFile(path, failed)
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
