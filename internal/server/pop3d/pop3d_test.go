package pop3d

import (
	"testing"

	"go.uber.org/goleak"

	"posthorn/internal/testkit/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTranscripts plays testdata/*.txtar: each part is a dialogue against a
// server with the real store, in virtual time. The first line of a file names
// the requirements it shows.
func TestTranscripts(t *testing.T) { transcript.Files(t, play) }
