package seal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newKey(t *testing.T) (*Box, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret.key")
	box, err := OpenOrCreate(path, true)
	if err != nil {
		t.Fatal(err)
	}
	return box, path
}

func TestSealedSecretsOpenWithTheSameFileAndName(t *testing.T) {
	t.Parallel()
	box, path := newKey(t)
	text, err := box.Seal("relay.password", []byte("hunter2"))
	if err != nil || !IsSealed(text) || strings.Contains(text, "hunter2") {
		t.Fatalf("Seal = %q, %v", text, err)
	}
	again, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open("relay.password", text); err != nil || string(plain) != "hunter2" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if two, _ := box.Seal("relay.password", []byte("hunter2")); two == text {
		t.Error("the same secret seals to the same text twice")
	}
}

func TestSecretsDoNotOpenElsewhere(t *testing.T) {
	t.Parallel()
	box, path := newKey(t)
	other, otherPath := newKey(t)
	text, err := box.Seal("a", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Open("b", text); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("another name: %v", err)
	}
	if _, err := other.Open("a", text); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), otherPath) {
		t.Errorf("another key: %v", err)
	}
	flipped := []byte(text)
	if flipped[len(flipped)-3] == 'A' {
		flipped[len(flipped)-3] = 'B'
	} else {
		flipped[len(flipped)-3] = 'A'
	}
	for _, bad := range []string{string(flipped), text[:len(text)-8], prefix, prefix + "!!", text + "\n"} {
		if _, err := box.Open("a", bad); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrKey) {
			t.Errorf("Open(%q) = %v", bad, err)
		}
	}
	if _, err := box.Open("a", "plain text"); !errors.Is(err, ErrSyntax) {
		t.Errorf("plain text: %v", err)
	}
}

func TestAMissingKeyIsOnlyMadeForAFreshStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := OpenOrCreate(path, false); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Fatalf("missing key: %v", err)
	}
	if _, err := OpenOrCreate(path, true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("key file: %v, %v", info, err)
	}
	if _, err := CreateFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing key was replaced: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left beside the key: %v, %v", left, err)
	}
}

func TestAKeyIsRenewedOnlyWhereTheFileAsksForIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	old, err := CreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mark := func(b *Box, err error) int64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Mark()
		if err != nil || m <= 0 {
			t.Fatal(m, err)
		}
		return m
	}
	if was, is := mark(old, nil), mark(RenewFile(path)); was != is {
		t.Error("a key that is there was replaced")
	}
	if err := os.WriteFile(path, []byte(" new\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOrCreate(path, true); !errors.Is(err, ErrRenew) {
		t.Errorf("a file that asks: %v", err)
	}
	made := mark(RenewFile(path))
	if made == mark(old, nil) || made != mark(OpenFile(path)) {
		t.Error("the new key is not the file's, or the old one")
	}
}

func TestUnsafeKeyFilesAreRefusedWithTheRemedy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		size int
		mode os.FileMode
		want string
	}{{"short", 31, 0o600, "exactly 32"}, {"long", 33, 0o600, "exactly 32"}, {"open", 32, 0o640, "chmod 600"}} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, make([]byte, c.size), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenOrCreate(path, true); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	box, err := newBox(make([]byte, 32), "test.key")
	if err != nil {
		f.Fatal(err)
	}
	text, err := box.Seal("n", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(prefix + "AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := box.Open("n", s); err == nil && string(plain) != "secret" {
			t.Fatalf("%q opens to %q", s, plain)
		}
	})
}
