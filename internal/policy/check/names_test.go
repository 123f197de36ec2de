package check

import (
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

func TestEntriesNameSettingsThatExist(t *testing.T) {
	r := setting.NewRegistry()
	setting.Register[Settings](r, "policy")
	known := string(r.Markdown())
	for _, e := range Table(defaults()) {
		if !strings.Contains(e.Setting, " ") && !strings.Contains(known, "### "+e.Setting+"\n") {
			t.Errorf("%s: there is no setting %s", e.Name, e.Setting)
		}
	}
}

func TestTableTakesModesFromTheSettings(t *testing.T) {
	s := defaults()
	s.Sender.Mode, s.Recipients.Mode, s.Quota.Mode = policy.Observe, policy.Observe, policy.Observe
	for _, e := range Table(s) {
		if !e.Fixed && e.Mode != policy.Observe {
			t.Errorf("%s has no mode to choose", e.Name)
		}
	}
}
