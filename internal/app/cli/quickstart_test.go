package cli

import (
	"testing"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
)

// Where all is there already a start writes nothing, so that it needs no room on
// a full disk; another password is written.
func TestASecondQuickstartWritesNothing(t *testing.T) {
	t.Parallel()
	h, err := app.Open(t.Context(), boot.Config{Data: t.TempDir()}, app.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, start := range []struct {
		password string
		writes   bool
	}{{"first password", true}, {"first password", false}, {"", false}, {"another password", true}, {"another password", false}} {
		before := h.Store.Stats().Writes
		q := trial{c: &quickstartCmd{Password: start.password}, domain: "example.test"}
		if err := q.prepare(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if wrote := h.Store.Stats().Writes - before; (wrote > 0) != start.writes {
			t.Errorf("password %q: %d writes", start.password, wrote)
		}
		if got := q.passwords["demo@example.test"]; start.password != "" && got != start.password || got == "" {
			t.Errorf("password %q: %q is shown", start.password, got)
		}
	}
}
