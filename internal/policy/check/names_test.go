package check

import (
	"reflect"
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

// observe sets every mode among the settings.
func observe(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[policy.Mode]():
			f.Set(reflect.ValueOf(policy.Observe))
		case f.Kind() == reflect.Struct:
			observe(f)
		}
	}
}

func TestTableTakesModesFromTheSettings(t *testing.T) {
	s := defaults()
	observe(reflect.ValueOf(s).Elem())
	for _, e := range Table(s) {
		if !e.Fixed && e.Mode != policy.Observe {
			t.Errorf("%s has no mode to choose", e.Name)
		}
	}
}
