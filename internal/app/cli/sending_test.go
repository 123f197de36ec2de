package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"posthorn/internal/server/manage"
)

// say runs a command on the house with this on its standard input.
func (b *bench) say(in, line string) (int, string) {
	var out, err bytes.Buffer
	code := Run(b.t.Context(), append(strings.Fields(line), "--data", b.dir), Streams{In: strings.NewReader(in), Out: &out, Err: &err})
	// what was typed is repeated in every hint (TestHintsNameTheServer)
	return code, strings.ReplaceAll(out.String()+err.String(), " --data "+b.dir, "")
}

// want runs a command and sees that it ends with the code and says the words.
func (b *bench) want(code int, in, line string, words ...string) {
	b.t.Helper()
	got, said := b.say(in, line)
	if got != code {
		b.t.Errorf("posthorn %s: exit %d, want %d: %s", line, got, code, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			b.t.Errorf("posthorn %s does not say %q: %s", line, w, said)
		}
	}
}

// A secret need not stand in an argument, where every user of the machine sees it.
func TestASettingIsReadFromStandardInput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "hunter=2 \n", "setting set relay.user=me relay.password --stdin", "relay.password: not set (default) -> set", "relay.user")
	if got := b.h.Settings.Registry().Version(); got != 1 {
		t.Errorf("version %d", got)
	}
	if _, said := b.say("", "setting history"); strings.Contains(said, "hunter") {
		t.Errorf("the secret is shown: %s", said)
	}
	b.want(0, "  Welcome, = friends\r\n", "setting set --stdin smtp.banner")
	b.want(0, "", "setting get smtp.banner", "Welcome, = friends")
	b.want(0, "", "setting explain relay.password", "relay.password --stdin   # ")
	b.want(0, "", "setting explain relay.hosts", "relay.hosts=VALUE,VALUE")
	b.want(0, "", "setting explain relay.mode", "relay.mode=relay   # direct, relay")
	for _, tt := range []struct {
		code          int
		in, line, say string
	}{
		{2, "x", "setting set relay.password", "pipe the value in with --stdin"},
		{2, "x", "setting set relay.user=me --stdin", "name the setting it is for"},
		{2, "x", "setting set relay.user relay.password --stdin", "one value, not one for relay.user and one for relay.password"},
		{1, "", "setting set relay.password --stdin", "nothing came"},
		{1, "\n", "setting set relay.password --stdin", "write relay.password= for the default"},
		{1, strings.Repeat("x", maxPiped+1), "setting set relay.password --stdin", "more than 1 MB"},
		{1, strings.Repeat("x", 1025), "setting set relay.password --stdin", "relay.password"},
	} {
		b.want(tt.code, tt.in, tt.line, tt.say)
	}
}

// What waits because the queue is paused says so, and how it goes on.
func TestAPausedQueueIsNoRiddle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.message()
	b.want(0, "", "queue list", "posthorn queue show ID")
	b.want(0, "", "queue show "+id, "posthorn queue retry "+id)
	b.want(0, "", "setting set queue.paused=true")
	for _, line := range []string{"queue list", "queue show " + id, "status"} {
		b.want(0, "", line, "posthorn setting set queue.paused=false")
	}
	b.want(0, "", "queue list", " paused ")
}

// What is being delivered is told apart from what waits for its turn, and
// whose node is at work.
func TestWhatIsUnderWayIsSeenInTheQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.message()
	b.want(0, "", "queue list", " now ", "the first attempt is due")
	if _, err := b.h.Store.Queue().Claim(t.Context(), "node1/remote", false, 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	b.want(0, "", "queue list", " now (claimed) ", "the first attempt is under way", "Claimed by node node1, to be delivered now: 1 recipient of these.")
	b.want(0, "", "queue show "+id, "node node1")
	b.want(0, "", "queue list --json", `"claimed_by": "node1"`)
	_, said := b.say("", "status --json")
	var status manage.Status
	if err := json.Unmarshal([]byte(said), &status); err != nil || len(status.Node) != 26 {
		t.Errorf("status says no node: %v %s", err, said)
	}
}

func TestNothingIsDoneToWhatIsNotSelected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.message()
	for _, verb := range []string{"hold", "release", "retry", "remove", "remove --yes"} {
		b.want(2, "", "queue "+verb, "nothing is selected", "--state ")
		b.want(0, "", "queue "+verb+" --to nobody.test", "Nothing was done")
	}
	b.want(1, "", "queue remove --state queued", "removes 1 recipient of 1 message for good", "--yes")
	b.want(0, "", "queue remove --state queued --yes", "Removed: 1 recipient")
}

// What was not tried yet has no way behind it, but one before it.
func TestTheWayOfWhatWasNotTriedIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.message()
	b.want(0, "", "queue show "+id, "not tried yet; now it would be else.test")
	b.want(0, "", "setting set relay.mode=relay relay.hosts=smart.test")
	b.want(0, "", "queue show "+id, "not tried yet; now it would be relay smart.test:25")
}
