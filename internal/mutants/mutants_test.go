package mutants

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/policy/check"
	"posthorn/internal/state/setting"
)

var run = flag.String("mutants", "", "build and test every mutant whose file has this in its name; * for all")

const root = "../.."

// all lists every mutation, checks first.
func all() []Mutation {
	var list []Mutation
	for _, name := range slices.Sorted(maps.Keys(Checks)) {
		list = append(list, Checks[name])
	}
	return append(append(list, Details...), Sessions...)
}

func TestEveryCheckHasAMutant(t *testing.T) {
	s := setting.Defaults[check.Settings](setting.Recommended)
	names := map[string]bool{}
	for _, e := range check.Table(&s) {
		names[e.Name] = true
		if _, ok := Checks[e.Name]; !ok {
			t.Errorf("no mutation switches %s off", e.Name)
		}
		for _, id := range e.IDs {
			if _, ok := Requirements[id]; !ok {
				t.Errorf("%s: the table does not know %s", e.Name, id)
			}
		}
	}
	for name := range Checks {
		if !names[name] {
			t.Errorf("there is no check %s", name)
		}
	}
}

func TestMutationsFitTheSource(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range all() {
		src, err := os.ReadFile(filepath.Join(root, m.File))
		if err == nil {
			_, err = m.Apply(src)
		}
		if err != nil || seen[m.Name] {
			t.Errorf("%s: %v, twice: %v", m.Name, err, seen[m.Name])
		}
		seen[m.Name] = true
		if err := exists(m.Killer); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

func TestEveryRequirementIsShown(t *testing.T) {
	shown := shown(t)
	for id, tests := range Requirements {
		for _, test := range tests {
			if err := exists(test); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if len(tests)+len(shown[id]) == 0 {
			t.Errorf("no test shows %s", id)
		}
	}
	for id, tests := range shown {
		if _, ok := Requirements[id]; !ok {
			t.Errorf("%v shows %s, which the table does not know", tests, id)
		}
	}
}

// shown reads which requirements the transcripts name.
func shown(t *testing.T) map[string][]Test {
	out := map[string][]Test{}
	for _, pkg := range Transcripts {
		files, err := filepath.Glob(filepath.Join(root, pkg, "testdata", "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no transcripts (%v)", pkg, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(string(text), "\n")
			ids, ok := strings.CutPrefix(line, "ids: ")
			if !ok {
				t.Errorf("%s names no requirement", file)
			}
			for id := range strings.FieldsSeq(ids) {
				out[id] = append(out[id], Test{pkg, "TestTranscripts/" + strings.TrimSuffix(filepath.Base(file), ".txtar")})
			}
		}
	}
	return out
}

// exists reports whether the test function, and the transcript, are there.
func exists(test Test) error {
	fn, name, transcript := strings.Cut(test.Name, "/")
	if transcript {
		if _, err := os.Stat(filepath.Join(root, test.Package, "testdata", name+".txtar")); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(root, test.Package, "*_test.go"))
	if err != nil {
		return err
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == fn {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has no test %s", test.Package, test.Name)
}

// TestEveryMutantIsKilled runs with -mutants only: it builds a test binary
// for each mutation.
func TestEveryMutantIsKilled(t *testing.T) {
	if *run == "" {
		t.Skip("make mutants runs it")
	}
	sound := map[Test]bool{}
	for _, m := range all() {
		if *run != "*" && !strings.Contains(m.File, *run) {
			continue
		}
		if !sound[m.Killer] {
			if out, err := test(t, m.Killer, ""); err != nil {
				t.Fatalf("%v fails without a mutation: %v\n%s", m.Killer, err, out)
			}
			sound[m.Killer] = true
		}
		t.Run(strings.ReplaceAll(m.Name, " ", "-"), func(t *testing.T) { kill(t, m) })
	}
}

func kill(t *testing.T, m Mutation) {
	src, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		t.Fatal(err)
	}
	mutant, err := m.Apply(src)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, mutant, 0o600); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(filepath.Join(root, m.File))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := test(t, m.Killer, path)
	switch {
	case err == nil:
		t.Errorf("the mutant lives: %s (%s, %s) and %s passes", m.Name, m.File, m.Func, m.Killer.Name)
	case !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic: "):
		t.Errorf("the mutant cannot be tested: %v\n%s", err, out)
	}
}

// test runs one test of the program, with an overlay if there is one.
func test(t *testing.T, test Test, overlay string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var parts []string
	for part := range strings.SplitSeq(test.Name, "/") {
		parts = append(parts, "^"+part+"$")
	}
	args := []string{"test", "-count=1", "-vet=off", "-run", strings.Join(parts, "/")}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+test.Package)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
