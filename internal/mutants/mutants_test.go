package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"posthorn/internal/policy/check"
	"posthorn/internal/state/setting"
)

const root = "../.."

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
	for _, m := range All() {
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

// ids is how requirements are named in comments and tests.
var ids = regexp.MustCompile(`\b(ORD|PROF|M-(GEN|DEL|REL|SEC-[A-Z]+)|B1G-[A-Z]+|SYS-[A-Z]+)-\d+[a-d]?\b`)

// The documents that the ids come from are not in the repository: docs/status.md
// must say what each one means.
func TestEveryIDIsExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/status.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if id := strings.TrimPrefix(cells[0], "| "); len(cells) > 2 && ids.FindString(id) == id {
			rows[id] = len(strings.Fields(cells[1])) > 1
		}
	}
	named := map[string]string{}
	for _, dir := range []string{"cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, e os.DirEntry, err error) error {
			if e != nil && e.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if ext := filepath.Ext(name); err != nil || ext != ".go" && ext != ".txtar" {
				return err
			}
			text, err := os.ReadFile(name)
			for _, id := range ids.FindAllString(string(text), -1) {
				named[id] = name
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id, name := range named {
		if !rows[id] {
			t.Errorf("%s: docs/status.md does not explain %s", name, id)
		}
	}
	if len(named) < 100 {
		t.Errorf("%d ids found", len(named))
	}
}
