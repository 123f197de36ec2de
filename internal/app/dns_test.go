package app

import (
	"slices"
	"testing"

	"posthorn/internal/app/boot"
	"posthorn/internal/state/setting"
)

// M-REL-04: servers in posthorn.toml or --dns are the only ones; without them
// those of the settings; without any, nil stands for the system's.
func TestNameServersOfTheBootstrapStandAlone(t *testing.T) {
	h := &House{handles: declareAll(setting.NewRegistry())}
	if got := h.nameServers(); got != nil {
		t.Errorf("%v", got)
	}
	h.handles.dns.Get().Preferred, h.handles.dns.Get().Alternate = "192.0.2.1", "192.0.2.2"
	if got := h.nameServers(); !slices.Equal(got, []string{"192.0.2.1:53", "192.0.2.2:53"}) {
		t.Errorf("%v", got)
	}
	h.Config = boot.Config{DNS: boot.DNS{Preferred: "127.0.0.1:5353"}}
	if got := h.nameServers(); !slices.Equal(got, []string{"127.0.0.1:5353"}) {
		t.Errorf("%v", got)
	}
}

func TestNameServersAreReadOnceForEachSetting(t *testing.T) {
	h := &House{handles: declareAll(setting.NewRegistry())}
	h.handles.dns.Get().Preferred = "192.0.2.1"
	h.nameServers()
	if n := testing.AllocsPerRun(10, func() { h.nameServers() }); n > 0 {
		t.Errorf("%v allocations for each look-up", n)
	}
	h.handles.dns.Get().Preferred = "192.0.2.3"
	if got := h.nameServers(); !slices.Equal(got, []string{"192.0.2.3:53"}) {
		t.Errorf("after a change: %v", got)
	}
}
