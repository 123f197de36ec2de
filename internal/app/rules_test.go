package app

import (
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

// M-GEN-13: whoever is told that a setting is in force finds the rules obeying it.
func TestRulesObeyAChangeWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, OpenOptions{})
	for i := range 100 {
		want := []policy.Mode{policy.Off, policy.Observe}[i%2]
		if _, err := h.Settings.Save(t.Context(), setting.Edit{Set: map[string]string{"policy.spf.mode": strings.ToLower(want.String())}, Author: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, e := range h.Pipeline.Rules().Table {
			if e.Name == "spf" && e.Mode != want {
				t.Fatalf("change %d: %s, want %s", i, e.Mode, want)
			}
		}
	}
}
