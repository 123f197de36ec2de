package internal

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write derived documents")

// citation is how code names the paragraph it obeys: "RFC 5321 §4.5.3.1.8".
var citation = regexp.MustCompile(`RFC (\d{3,5})(?: §([0-9][0-9.]*[0-9]|[0-9]))?`)

// TestRFCPageIsNotStale collects docs/rfc.md from the code: RFC, section, the
// files that obey it and the tests that name it.
func TestRFCPageIsNotStale(t *testing.T) {
	const page = "../docs/rfc.md"
	want := rfcPage(t)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("docs/rfc.md is stale (%v); make docs repairs it", err)
	}
}

// rfcPage writes the page.
func rfcPage(t *testing.T) string {
	t.Helper()
	cited := map[int]map[string]map[string]bool{} // RFC, section, file
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || name == "rfc_test.go" {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range citation.FindAllStringSubmatch(string(text), -1) {
			number, _ := strconv.Atoi(m[1]) // digits
			if cited[number] == nil {
				cited[number] = map[string]map[string]bool{}
			}
			if cited[number][m[2]] == nil {
				cited[number][m[2]] = map[string]bool{}
			}
			cited[number][m[2]][filepath.ToSlash(name)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# RFCs and the code that obeys them\n\nCollected from the comments in the code (internal/rfc_test.go); do not edit.\n")
	for _, number := range slices.Sorted(maps.Keys(cited)) {
		fmt.Fprintf(&b, "\n## RFC %d\n\n| Section | Code | Tests |\n|---|---|---|\n", number)
		for _, section := range slices.SortedFunc(maps.Keys(cited[number]), bySection) {
			code, tests := split(cited[number][section])
			fmt.Fprintf(&b, "| %s | %s | %s |\n", section, code, tests)
		}
	}
	return b.String()
}

// split lists the files of the code and those of tests.
func split(files map[string]bool) (code, tests string) {
	var c, t []string
	for _, f := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "testkit/") {
			t = append(t, f)
		} else {
			c = append(c, f)
		}
	}
	return strings.Join(c, ", "), strings.Join(t, ", ")
}

// bySection sorts 4.5 before 4.10.
func bySection(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	return slices.CompareFunc(x, y, func(m, n string) int {
		i, _ := strconv.Atoi(m) // "" for the RFC as a whole comes first
		j, _ := strconv.Atoi(n)
		return i - j
	})
}
