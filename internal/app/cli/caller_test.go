package cli

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/server/manage"
	"posthorn/internal/testkit/need"
)

// callerData names the folder for the process that the test below starts.
const callerData = "TEST_CALLER_DATA"

func TestRootLeavesNothingTheServerCannotOpen(t *testing.T) {
	if dir := os.Getenv(callerData); dir != "" { // in a process of its own, for who gave up root stays without
		w := Where{Data: dir}
		if err := w.with(t.Context(), &Streams{Err: os.Stderr}, func(manage.Caller) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Getuid() != 0 {
		need.Missing(t, "needs root to become somebody")
	}
	const owner = 65534
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	house, err := app.Open(t.Context(), boot.Config{Data: dir}, app.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := house.Close(); err != nil {
		t.Fatal(err)
	}
	each := func(f func(name string, info fs.FileInfo) error) {
		t.Helper()
		if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			return errors.Join(err, f(name, info))
		}); err != nil {
			t.Fatal(err)
		}
	}
	each(func(name string, _ fs.FileInfo) error { return os.Chown(name, owner, owner) })
	if err := os.WriteFile(filepath.Join(dir, "records.db"), []byte("this is no database, but it is long enough to look like one"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRootLeavesNothingTheServerCannotOpen$")
	cmd.Env = append(os.Environ(), callerData+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "records.db.damaged")); err != nil {
		t.Error("nothing was made anew:", err)
	}
	each(func(name string, info fs.FileInfo) error {
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != owner {
			t.Errorf("%s belongs to somebody else", name)
		}
		return nil
	})
}
