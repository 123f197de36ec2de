package app

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"posthorn/internal/state/setting"
)

// A scanner that is not there makes mail wait: whoever sets it hears so at once.
func TestAScannerIsAskedWhenItIsSet(t *testing.T) {
	t.Parallel()
	h := newHouse(t, OpenOptions{})
	there := filepath.Join(t.TempDir(), "clamd.ctl")
	l, err := net.Listen("unix", there)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			clamdSaying("")(c)
			_ = c.Close()
		}
	}()
	gone := "unix:" + filepath.Join(t.TempDir(), "nobody")
	for _, tt := range []struct{ name, value, want string }{
		{"policy.virus.server", gone, "policy.virus.when_down"},
		{"policy.virus.server", "unix:" + there, ""},
		{"policy.milters.servers", gone, "policy.milters.fallback"},
		{"policy.milters.servers", "", ""},
		{"policy.spam.url", "http://127.0.0.1:1", "policy.spam.when_down"},
	} {
		saved, err := h.Settings.Save(t.Context(), setting.Edit{Set: map[string]string{tt.name: tt.value}, Author: "test"})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(h.advise(t.Context(), saved.Changes), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s=%s: %q", tt.name, tt.value, got)
		}
	}
}
