// Command gen collects the doc comments of all settings structs of the module
// into internal/state/setting/docs.txt, so that the running program can show
// what the source says. A struct is one of settings when a field of it has a
// default tag.
//
//	go run posthorn/internal/state/setting/gen -update
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// target is the generated file, from the module's root.
const target = "internal/state/setting/docs.txt"

func main() {
	update := flag.Bool("update", false, "write the file instead of only checking it")
	flag.Parse()
	if err := run(*update); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(update bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	want, err := Collect(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, target)
	if update {
		return os.WriteFile(path, want, 0o644)
	}
	got, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s is stale; run it with -update", target)
	}
	return err
}

// moduleRoot is the folder of go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			return dir, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		err = fmt.Errorf("no go.mod above the working directory")
	}
	return "", err
}
