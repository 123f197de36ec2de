package app

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"posthorn/internal/state/setting"
)

var update = flag.Bool("update", false, "write derived documents")

const settingsPage = "../../docs/settings.md"

func TestSettingsPageIsNotStale(t *testing.T) {
	r := setting.NewRegistry()
	Declare(r)
	want := r.Markdown()
	if *update {
		if err := os.WriteFile(settingsPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(settingsPage)
	if err != nil || string(got) != string(want) {
		t.Errorf("docs/settings.md is stale (%v); make docs repairs it", err)
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	r := setting.NewRegistry()
	Declare(r)
	for _, name := range r.Undocumented() {
		t.Errorf("%s has no documentation", name)
	}
}

// Administrators cannot look requirements up, and a type of Go tells them nothing.
func TestSettingsAreExplainedToAdministrators(t *testing.T) {
	r := setting.NewRegistry()
	Declare(r)
	page := string(r.Markdown())
	for _, id := range regexp.MustCompile(`\b(M|B1G|ORD|SYS)(-[A-Z]+)+(-[0-9]+)?`).FindAllString(page, -1) {
		t.Errorf("%s is named", id)
	}
	kinds := regexp.MustCompile(`^(list of )?(text|number|size|duration|network|domain|address|choice|rule|secret|bool)(s|es)?$`)
	for section := range strings.SplitSeq(page, "\n### ") {
		name, text, _ := strings.Cut(section, "\n")
		_, kind, _ := strings.Cut(text, "\n- Type: ")
		kind, _, _ = strings.Cut(kind, "\n")
		_, written, _ := strings.Cut(text, "\n- Written: ")
		written, _, _ = strings.Cut(written, "\n")
		switch {
		case strings.HasPrefix(name, "# "):
		case !kinds.MatchString(kind):
			t.Errorf("%s is of type %s", name, kind)
		case strings.HasSuffix(kind, "rules") && !strings.Contains(written, "such as"):
			t.Errorf("%s does not say how a rule is written: %q", name, written)
		case strings.Contains(text, "`enforce`, `observe`, `off`") || strings.Contains(text, "Allowed: enforce"):
			if !strings.Contains(text, "- observe: it is only written into the trace") {
				t.Errorf("%s does not say what observing is", name)
			}
		}
		for _, leaning := range []string{"The same for", "Those of", "How many of them", "Belongs to", "How large they", "of that mail", "as above", "these to"} {
			if strings.Contains(text, leaning) {
				t.Errorf("%s is understood beside its neighbours only: %q", name, leaning)
			}
		}
	}
}

// M-GEN-07: at least two labels, no address.
func TestHostNamesMustBeFull(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "mail.example.org": true, "mail": false, "192.0.2.1": false, "[192.0.2.1]": false} {
		s := Server{Hostname: name}
		if err := s.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := (&Server{TimeZone: "Mars/Olympus"}).Validate(); err == nil {
		t.Error("a time zone that does not exist was taken")
	}
	if err := (&Connections{Total: 10, Reserved: 10}).Validate(); err == nil {
		t.Error("a reserved share as large as the whole was taken")
	}
}
