package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// patience bounds one build and run of a test.
const patience = 10 * time.Minute

// All lists every mutation, those that switch checks off first.
func All() []Mutation {
	var list []Mutation
	for _, name := range slices.Sorted(maps.Keys(Checks)) {
		list = append(list, Checks[name])
	}
	return slices.Concat(list, Details, Strangers, Lists, Contents, Sessions, Sending)
}

// Kill builds the program in the folder with the mutation and runs its test.
// It returns nil when the test fails, as it should.
func Kill(ctx context.Context, root string, m Mutation) error {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its folder
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return err
	}
	out, err := Try(ctx, root, m.Killer, "-overlay", overlay)
	switch {
	case err == nil:
		return fmt.Errorf("the mutant lives: %s in %s passes", m.Killer.Name, m.Killer.Package)
	case strings.Contains(out, "--- FAIL"), strings.Contains(out, "panic: "):
		return nil
	}
	return fmt.Errorf("the mutant cannot be tested: %w\n%s", err, out)
}

// overlay writes the mutant and the file that tells the build to take it.
func (m Mutation) overlay(root, dir string) (string, error) {
	original, err := filepath.Abs(filepath.Join(root, m.File))
	if err != nil {
		return "", err
	}
	src, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	mutant, err := m.Apply(src)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, mutant, 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// Try runs one test of the program in the folder and returns what it said.
func Try(ctx context.Context, root string, test Test, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var pattern []string
	for part := range strings.SplitSeq(test.Name, "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	args := append([]string{"test", "-count=1", "-vet=off", "-run", strings.Join(pattern, "/")}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+test.Package)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
