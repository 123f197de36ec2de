package setting

import (
	"maps"
	"strings"
	"testing"
)

// An export is what is stored, not what rules in its place: applied, it must not
// destroy what another key file or the version before can still use.
func TestAnExportKeepsWhatIsNotInForce(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]map[string]string{
		"one group at defaults":   {"guarded": "true", "user": "bob", "least": "9", "names": "a, b"},
		"values out of use":       {"guarded": "true", "least": "many", "names": "a, bad", "list.zones": "bad, worse"},
		"a secret of another key": {"user": "bob", "key": "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, mem := openGate(t, rows)
			before := maps.Clone(mem.rows)
			for _, secrets := range []bool{true, false} {
				data := b.Export(secrets)
				if !strings.Contains(string(data), "# What is stored here is not in force: ") && secrets {
					t.Errorf("not told:\n%s", data)
				}
				e, err := b.FileEdit(data, true)
				if err != nil {
					t.Fatal(err)
				}
				e.Author = "eva"
				saved, err := b.Save(t.Context(), e)
				if err != nil || len(saved.Changes) != 0 || !maps.Equal(before, mem.rows) {
					t.Errorf("applied: %+v, %v; stored %v\n%s", saved, err, mem.rows, data)
				}
			}
		})
	}
}
