package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience bounds one run of a test.
const patience = 2 * time.Minute

// All lists every mutation, those that switch checks off first.
func All() []Mutation {
	var list []Mutation
	for _, name := range slices.Sorted(maps.Keys(Checks)) {
		list = append(list, Checks[name])
	}
	return slices.Concat(list, Details, Strangers, Lists, Contents, Sessions, Sending)
}

// Bench is the tests of the program, built with mutations that can be switched
// on one at a time.
type Bench struct {
	root, dir string
	list      []Mutation
}

// Build builds the tests that shall kill the mutations of the list. The caller
// removes the folder.
func Build(ctx context.Context, root, dir string, list []Mutation) (*Bench, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	b := &Bench{root: root, dir: dir, list: list}
	overlay, err := b.overlay()
	if err != nil {
		return nil, err
	}
	built := map[string]bool{}
	for _, m := range list {
		if built[m.Killer.Package] {
			continue
		}
		built[m.Killer.Package] = true
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", b.binary(m.Killer), "./"+m.Killer.Package)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("the mutants of %s cannot be built: %w\n%s", m.Killer.Package, err, out)
		}
	}
	return b, nil
}

// overlay writes the mutated files and the file that tells the build of them.
func (b *Bench) overlay() (string, error) {
	files := map[string][]numbered{}
	for i, m := range b.list {
		files[m.File] = append(files[m.File], numbered{m, i + 1})
	}
	replace := map[string]string{}
	put := func(original string, text []byte) error {
		if replace[original] != "" {
			return nil // the switch of a package with several mutated files
		}
		path := filepath.Join(b.dir, fmt.Sprintf("mutant%d.go", len(replace)))
		replace[original] = path
		return os.WriteFile(path, text, 0o600)
	}
	for name, list := range files {
		original := filepath.Join(b.root, name)
		src, err := os.ReadFile(original)
		if err != nil {
			return "", err
		}
		text, err := switched(src, list)
		if err != nil {
			return "", err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		if err := put(original, text); err != nil {
			return "", err
		}
		if err := put(filepath.Join(filepath.Dir(original), "mutant_switch.go"), fmt.Appendf(nil, switchFile, file.Name.Name)); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

func (b *Bench) binary(t Test) string {
	return filepath.Join(b.dir, strings.ReplaceAll(t.Package, "/", "-")+".test")
}

// Sound runs a test without any mutation: it must pass, or its failing would
// prove nothing.
func (b *Bench) Sound(ctx context.Context, test Test) error {
	if out, err := b.run(ctx, test, 0); err != nil {
		return fmt.Errorf("%s in %s fails without a mutation: %w\n%s", test.Name, test.Package, err, out)
	}
	return nil
}

// Kill switches the mutation of that index on and runs its test. It returns nil
// when the test fails, as it should.
func (b *Bench) Kill(ctx context.Context, index int) error {
	m := b.list[index]
	out, err := b.run(ctx, m.Killer, index+1)
	switch {
	case strings.Contains(out, "panic: test timed out") && !m.Hangs:
		return fmt.Errorf("the test of the mutant did not end within %s", patience)
	case err == nil:
		return fmt.Errorf("the mutant lives: %s in %s passes", m.Killer.Name, m.Killer.Package)
	case strings.Contains(out, "--- FAIL"), strings.Contains(out, "panic: "):
		return nil
	}
	return fmt.Errorf("the mutant cannot be tested: %w\n%s", err, out)
}

// run runs one test with the mutation of that number, 0 for none, and returns
// what it said.
func (b *Bench) run(ctx context.Context, test Test, number int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var pattern []string
	for part := range strings.SplitSeq(test.Name, "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	cmd := exec.CommandContext(ctx, b.binary(test), "-test.run", strings.Join(pattern, "/"), "-test.timeout", patience.String(), "-test.v")
	cmd.Dir = filepath.Join(b.root, test.Package)
	cmd.Env = append(os.Environ(), Variable+"="+strconv.Itoa(number))
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), "--- PASS") {
		err = fmt.Errorf("no such test ran")
	}
	return string(out), err
}
