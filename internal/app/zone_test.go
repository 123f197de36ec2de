package app

import (
	"testing"
	"time"

	"posthorn/internal/state/setting"
)

// The process's zone need not be the one whose days people mean.
func TestTheZoneOfTheServerIsASetting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, OpenOptions{})
	if !sameClock(h.zone(), time.Local) {
		t.Errorf("without a setting it is %v", h.zone())
	}
	for _, name := range []string{"Pacific/Auckland", "America/New_York"} {
		if _, err := h.Settings.Save(t.Context(), setting.Edit{Set: map[string]string{"server.time_zone": name}, Author: "test"}); err != nil {
			t.Fatal(err)
		}
		out, err := h.Service.Call(t.Context(), "trace", []byte(`{"on":"today"}`))
		if zone := `"zone":"` + name + `"`; err != nil || string(out[len(out)-len(zone)-1:len(out)-1]) != zone {
			t.Errorf("%s, %v", out, err)
		}
	}
}
