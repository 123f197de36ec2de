package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// The builds, each made at most once by a test process.
var (
	plainBuild = sync.OnceValues(func() (string, error) { return build("posthorn") })
	raceBuild  = sync.OnceValues(func() (string, error) { return build("posthorn-race", "-race") })
)

// Binary returns the path of the built program: $POSTHORN_BINARY if set,
// otherwise it is built as it is shipped, without cgo; with race, by the race
// detector, which needs cgo.
func Binary(t testing.TB, race bool) string {
	t.Helper()
	if path := os.Getenv("POSTHORN_BINARY"); path != "" && !race {
		return path
	}
	get := plainBuild
	if race {
		get = raceBuild
	}
	path, err := get()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build makes the binary in a folder that belongs to this source tree, so that
// an unchanged program is not linked again by the next test process.
func build(name string, flags ...string) (path string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("posthorn-test-%d-%x", os.Getuid(), sha256.Sum256([]byte(root)))[:40])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	path = filepath.Join(dir, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, "./cmd/posthorn")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if len(flags) > 0 {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("daemon: build: %w\n%s", err, out)
	}
	return path, nil
}

// lock keeps two test processes from building into the same file.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil // closing gives the lock back
}

// moduleRoot is the nearest folder above the test with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("daemon: no go.mod above the test")
		}
		dir = up
	}
}
