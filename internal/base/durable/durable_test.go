package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreReplacedWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	for _, content := range []string{"first", "the second, longer one", ""} {
		if err := WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != content {
			t.Errorf("read %q, %v", got, err)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := WriteFile(filepath.Join(dir, "missing", "key"), nil, 0o600); err == nil {
		t.Error("a missing folder was no error")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestFoldersAreMadeWithThoseAbove(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 { // the second finds it there
		if err := MakeDir(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info, err)
	}
	if err := WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{"file", "file/below"} {
		if err := MakeDir(filepath.Join(dir, in), 0o700); err == nil {
			t.Errorf("%s: a file was taken for a folder", in)
		}
	}
}
