package record

import (
	"path/filepath"
	"strings"
	"testing"
)

// A client that is refused the same command before each message of a long
// session must not fill the records of its messages with that.
func TestRefusedCommandsLeaveRoomForTheMessagesOfTheirSession(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	tr := r.Trace(Session{ID: ids.New()})
	tr.Step(&Step{Verb: "connect", Reply: "220 mx"})
	for range 1000 {
		tr.Step(&Step{Verb: Command, Argument: strings.Repeat("x", 100), Reply: "503 5.5.1 No"})
	}
	tr.Open(ids.New())
	tr.Step(&Step{Verb: "MAIL", Reply: "250 Ok"})
	tr.Step(&Step{Verb: "RCPT", Reply: "250 Ok"})
	if len(tr.steps) > maxSaid+1000 || len(tr.last) > 0 || tr.Lost > 0 {
		t.Errorf("%d octets, %d of the last, %d lost", len(tr.steps), len(tr.last), tr.Lost)
	}
	tr.Close(Aborted)
	tr.Step(&Step{Verb: Command, Argument: "the last", Reply: "503 5.5.1 No"})
	if !strings.Contains(string(tr.last), "the last") {
		t.Error("the newest is not kept")
	}
	tr.Done()
}
