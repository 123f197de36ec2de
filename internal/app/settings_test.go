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
