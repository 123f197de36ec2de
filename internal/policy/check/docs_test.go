package check

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"posthorn/internal/state/setting"
)

var update = flag.Bool("update", false, "write derived files anew")

func TestPolicyDocumentIsFresh(t *testing.T) {
	golden(t, "../../../docs/policies.md", []byte(defaults().Rules().Document()))
}

// The modes in docs/policies.md are compared with what the settings declare, not
// with the table that made the page.
func TestPolicyDocumentTellsTheModesOfANewServer(t *testing.T) {
	r := setting.NewRegistry()
	setting.Register[Settings](r, "policy")
	declared := map[string]string{} // the default of every setting that is a mode
	for name, text := range sections(string(r.Markdown())) {
		if strings.Contains(text, "- Allowed: enforce, observe, off") {
			declared[name] = line(text, "- Default: ")
		}
	}
	page, err := os.ReadFile("../../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	checks := sections(string(page))
	compared := 0
	for _, e := range Table(defaults()) {
		want, says := "always enforced", line(checks[e.Name], "- Mode: ")
		if !e.Fixed {
			mode, own := declared[e.Setting]
			if !own {
				mode = declared[e.Setting[:strings.LastIndexByte(e.Setting, '.')]+".mode"]
			}
			want = strings.Trim(mode, "`") + " on a new server"
			compared++
		}
		if got, _, _ := strings.Cut(says, ", "); got != want {
			t.Errorf("%s: docs/policies.md says %q, the settings say %q", e.Name, says, want)
		}
	}
	if compared < 20 || len(checks) != len(Table(defaults())) {
		t.Errorf("%d checks compared, %d described", compared, len(checks))
	}
}

// sections cuts a page at its headings of the third rank.
func sections(page string) map[string]string {
	out := map[string]string{}
	for i, part := range strings.Split(page, "\n### ") {
		if name, text, ok := strings.Cut(part, "\n"); ok && i > 0 {
			out[name], _, _ = strings.Cut(text, "\n## ")
		}
	}
	return out
}

// line is the rest of the line that begins so, "" without one.
func line(text, start string) string {
	_, rest, _ := strings.Cut(text, "\n"+start)
	rest, _, _ = strings.Cut(rest, "\n")
	return rest
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
