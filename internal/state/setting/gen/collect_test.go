package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs.txt")

func TestSettingsDocumentationIsCurrent(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	want, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, target)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale; go test ./internal/state/setting/gen -update repairs it", target)
	}
}

func TestCommentsOfSettingsStructsAreCollected(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "internal", "a", "b")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const source = "package b\n" +
		"// Greylist defers (B1G-GREY).\ntype Greylist struct {\n\t// Wait is how long\n\t// (B1G-GREY-03, M-SEC-BW-09) (of others, B1G-SPF).\n\t//\n\t// More.\n\tWait int `default:\"1\"`\n\tOn bool `default:\"true\"` // On is a switch.\n}\n" +
		"// Other has no settings.\ntype Other struct {\n\t// X is not collected.\n\tX int `json:\"x\"`\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "b.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b_test.go"), []byte(strings.Replace(source, "Greylist", "Test", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	const want = "== posthorn/internal/a/b.Greylist\nGreylist defers.\n" +
		"== posthorn/internal/a/b.Greylist.On\nOn is a switch.\n" +
		"== posthorn/internal/a/b.Greylist.Wait\nWait is how long (of others).\n\nMore.\n"
	if string(got) != want {
		t.Errorf("Collect:\n%s\nwant:\n%s", got, want)
	}
}
