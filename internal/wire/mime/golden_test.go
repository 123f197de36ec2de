package mime

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Golden files hold a message, then after a separator what IMAP says of it.
const goldenMark = "=== golden ===\n"

// describe renders what a golden file records, in LF lines.
func describe(s *Structure) string {
	var b strings.Builder
	b.WriteString("ENVELOPE " + string(s.AppendEnvelope(nil)) + "\n")
	b.WriteString("BODY " + string(s.AppendBody(nil)) + "\n")
	b.WriteString("BODYSTRUCTURE " + string(s.AppendBodyStructure(nil)) + "\n")
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

func goldenMessages(t testing.TB) map[string][]byte {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) < 12 {
		t.Fatalf("golden files: %v %v", files, err)
	}
	messages := make(map[string][]byte)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		message, _, _ := strings.Cut(string(raw), goldenMark)
		messages[f] = []byte(strings.ReplaceAll(message, "\n", "\r\n"))
	}
	return messages
}

func TestRealisticMessagesRenderAsRecorded(t *testing.T) {
	t.Parallel()
	for file, message := range goldenMessages(t) {
		s := Parse(message)
		if err := checkRendering(s); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		got := describe(s)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body, want, _ := strings.Cut(string(raw), goldenMark)
		if *update {
			if err := os.WriteFile(file, []byte(body+goldenMark+got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", file, got, want)
		}
	}
}

// TestBareLineFeedsParseAlike: the tree of a message from APPEND with LF line
// ends is the same, only its sizes differ.
func TestBareLineFeedsParseAlike(t *testing.T) {
	t.Parallel()
	for file, message := range goldenMessages(t) {
		crlf := Parse(message)
		lf := Parse([]byte(strings.ReplaceAll(string(message), "\r\n", "\n")))
		if len(crlf.Parts) != len(lf.Parts) {
			t.Errorf("%s: %d parts with CRLF, %d with LF", file, len(crlf.Parts), len(lf.Parts))
			continue
		}
		if string(crlf.AppendEnvelope(nil)) != string(lf.AppendEnvelope(nil)) {
			t.Errorf("%s: envelopes differ", file)
		}
		for i := range crlf.Parts {
			a, b := &crlf.Parts[i], &lf.Parts[i]
			if a.Type != b.Type || a.Subtype != b.Subtype || a.Lines != b.Lines {
				t.Errorf("%s part %d: %s/%s %d lines, with LF %s/%s %d", file, i, a.Type, a.Subtype, a.Lines, b.Type, b.Subtype, b.Lines)
			}
		}
		if lf.Flags&(HasBareLF|HasBareCR) != HasBareLF || crlf.Flags&(HasBareLF|HasBareCR) != 0 {
			t.Errorf("%s: bare line ends %b, with LF %b", file, crlf.Flags, lf.Flags)
		}
	}
}
