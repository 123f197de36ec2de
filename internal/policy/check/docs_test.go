package check

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write derived files anew")

func TestPolicyDocumentIsFresh(t *testing.T) {
	golden(t, "../../../docs/policies.md", []byte(defaults().Rules().Document()))
}

func TestListReadsWell(t *testing.T) {
	s := defaults()
	if rows := s.Rules().List(); len(rows) != len(Table(s)) || rows[0].Name != "class-reject" || !strings.Contains(rows[0].Doc, "class reject") {
		t.Errorf("%d rows, %+v", len(rows), rows[0])
	}
}

// Whoever set no scanner and no list must not believe that he is protected.
func TestChecksWithNothingToAskAreNotSetUp(t *testing.T) {
	idle := func(s *Settings) (names []string) {
		for _, r := range s.Rules().List() {
			if r.Idle {
				names = append(names, r.Name)
			}
		}
		return names
	}
	s := defaults()
	got := strings.Join(idle(s), " ")
	if want := "milter-mail blocklists milter-rcpt milter-data attachments virus spam milter-content"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Virus.Server, s.Spam.URL, s.Milters.Servers = "127.0.0.1:3310", "http://127.0.0.1:11333", []string{"127.0.0.1:8891"}
	s.Blocklists.Lists, s.Attachments.Extensions = []WeightedList{{Zone: "zen.example.net", Weight: 1}}, []string{"exe"}
	if got := strings.Join(idle(s), " "); got != "" {
		t.Errorf("with everything: %s", got)
	}
}

// golden compares with a file that -update writes.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale (%v); go test ./internal/policy/check -update writes it:\n%s", path, err, got)
	}
}
