package transcript

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Files plays testdata/*.txtar of the package under test: each file beside the
// others, its parts in order. The first line of a file must name the
// requirements it shows (ids: …).
func Files(t *testing.T, play func(t *testing.T, dialogue string)) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(a.Comment), "ids: ") || len(a.Files) == 0 {
				t.Error("the first line does not name requirements (ids: …), or nothing follows")
			}
			for _, part := range a.Files {
				t.Run(part.Name, func(t *testing.T) { play(t, string(part.Data)) })
			}
		})
	}
}
