package pop3d

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTranscripts plays testdata/*.txtar: each part is a dialogue against a
// server with the real store, in virtual time. The first line of a file names
// the requirements it shows.
func TestTranscripts(t *testing.T) {
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
			if !strings.HasPrefix(string(a.Comment), "ids: ") {
				t.Error("the first line does not name requirements (ids: …)")
			}
			for _, part := range a.Files {
				t.Run(part.Name, func(t *testing.T) { play(t, string(part.Data)) })
			}
		})
	}
}
