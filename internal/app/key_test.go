package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posthorn/internal/app/boot"
	"posthorn/internal/base/seal"
	"posthorn/internal/state/setting"
	"posthorn/internal/testkit/pgtest"
)

// reopen opens and closes a house, with something done in it.
func reopen(t *testing.T, c boot.Config, o OpenOptions, do func(h *House)) error {
	t.Helper()
	h, err := Open(t.Context(), c, o)
	if err != nil {
		return err
	}
	do(h)
	return h.Close()
}

func nothing(*House) {}

// withPassword opens a house and gives it a secret.
func withPassword(t *testing.T, c boot.Config) (key []byte) {
	t.Helper()
	if err := reopen(t, c, OpenOptions{}, func(h *House) {
		if _, err := h.Settings.Save(t.Context(), setting.Edit{Author: "eva", Set: map[string]string{"relay.password": "secret"}}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(c.Data, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestALostKeyIsNotReplacedInSilence(t *testing.T) {
	t.Parallel()
	c := boot.Config{Data: t.TempDir()}
	file := filepath.Join(c.Data, keyFile)
	key := withPassword(t, c)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, o := range []OpenOptions{{}, {MustExist: true}} {
		if err := reopen(t, c, o, nothing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "echo new") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reopen(t, c, OpenOptions{MustExist: true}, func(h *House) {
		if s := h.handles.relay.Get().Password.Reveal(); s != "secret" {
			t.Errorf("the password is %q", s)
		}
	}); err != nil {
		t.Error("with the key again:", err)
	}
}

func TestEachPartOfAFolderTellsThatItWasUsed(t *testing.T) {
	t.Parallel()
	for _, part := range []string{filepath.Join(storeDir, database), recordFile, nodeFile} {
		c := boot.Config{Data: t.TempDir()}
		if err := os.MkdirAll(filepath.Join(c.Data, part), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := reopen(t, c, OpenOptions{}, nothing); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("with %s only: %v", part, err)
		}
	}
}

func TestADiskMountedForTheStoreIsAFreshStart(t *testing.T) {
	t.Parallel()
	c := boot.Config{Data: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(c.Data, storeDir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := reopen(t, c, OpenOptions{}, nothing); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, storeDir, database)); err != nil {
		t.Error("the database is elsewhere:", err)
	}
}

func TestAKeyThatIsLostForGoodIsRenewedWhenAskedFor(t *testing.T) {
	t.Parallel()
	c := boot.Config{Data: t.TempDir()}
	file := filepath.Join(c.Data, keyFile)
	key := withPassword(t, c)
	if err := os.WriteFile(file, []byte("new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds the new key and its mark
		if err := reopen(t, c, OpenOptions{}, func(h *House) {
			if p := h.Settings.Problems(); len(p) != 1 || p[0].Name != "relay.password" {
				t.Errorf("problems: %v", p)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(len(key)) {
		t.Errorf("key file: %v, %v", info, err)
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reopen(t, c, OpenOptions{}, nothing); !errors.Is(err, seal.ErrKey) {
		t.Errorf("with the old key: %v", err)
	}
}

// Nodes of one database share the key: what one seals the others must open.
func TestAnotherKeyThanTheDatabasesIsRefused(t *testing.T) {
	t.Parallel()
	var cluster pgtest.Cluster
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := boot.Store{Engine: postgreSQL, DSN: cluster.Database(t, func(string) error { return nil })}
	first, second := boot.Config{Data: t.TempDir(), Store: s}, boot.Config{Data: t.TempDir(), Store: s}
	key := withPassword(t, first)
	file := filepath.Join(second.Data, keyFile)
	for range 2 {
		for _, o := range []OpenOptions{{}, {MustExist: true}} {
			err := reopen(t, second, o, nothing)
			if !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "another node") {
				t.Errorf("a second node with a key of its own: %v", err)
			}
		}
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reopen(t, second, OpenOptions{}, func(h *House) {
		if s := h.handles.relay.Get().Password.Reveal(); s != "secret" {
			t.Errorf("the password is %q", s)
		}
		// A database of before there were marks gets one.
		if err := h.Store.SetKeyMark(t.Context(), 0, true); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := reopen(t, first, OpenOptions{}, func(h *House) {
		if mark, err := h.Store.KeyMark(t.Context()); err != nil || mark == 0 {
			t.Errorf("mark %d, %v", mark, err)
		}
	}); err != nil {
		t.Error(err)
	}
}
