package app

import (
	"os"
	"strings"
	"time"
	_ "time/tzdata" // zones have names on machines that know none
)

// zone is the one whose days count and that times are shown in.
func (h *House) zone() *time.Location {
	if name := h.handles.server.Get().TimeZone; name != "" {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	return h.local
}

// machineZone is the process's zone, with its name where that can be found.
func machineZone() *time.Location {
	name, set := os.LookupEnv("TZ")
	if name = strings.TrimPrefix(name, ":"); !set {
		target, _ := os.Readlink("/etc/localtime") // no link, no name
		_, name, _ = strings.Cut(target, "zoneinfo/")
	}
	if zone, err := time.LoadLocation(name); name != "" && err == nil && sameClock(zone, time.Local) {
		return zone
	}
	return time.Local
}

// sameClock reports that two zones show the same time in every month of a year.
func sameClock(a, b *time.Location) bool {
	for t, i := time.Now(), 0; i < 12; i++ {
		_, x := t.In(a).Zone()
		_, y := t.In(b).Zone()
		if x != y {
			return false
		}
		t = t.AddDate(0, 1, 0)
	}
	return true
}
