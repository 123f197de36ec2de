package app

import (
	"flag"
	"os"
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
