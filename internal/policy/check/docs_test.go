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
	s.Sender.Mode = 1
	var out bytes.Buffer
	if err := s.Rules().WriteList(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/list.txt", out.Bytes())
	if rows := s.Rules().List(); len(rows) != len(Table(s)) || rows[0].Name != "class-reject" || !strings.Contains(rows[0].Doc, "class reject") {
		t.Errorf("%d rows, %+v", len(rows), rows[0])
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
