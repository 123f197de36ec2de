package policy_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestDialogues plays testdata/*.txtar: the part "zone" is what name servers
// know, every other part a dialogue in a world of its own. The first line of a
// file names the requirements it shows.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			if !strings.HasPrefix(string(a.Comment), "ids: ") {
				t.Error("the first line does not name requirements (ids: …)")
			}
			zone := ""
			for _, part := range a.Files {
				if part.Name == "zone" {
					zone = string(part.Data)
					continue
				}
				t.Run(part.Name, func(t *testing.T) {
					t.Parallel()
					play(t, zone, string(part.Data))
				})
			}
		})
	}
}
