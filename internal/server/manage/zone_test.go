package manage

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

func TestZonesAreNamesOrOffsets(t *testing.T) {
	t.Parallel()
	winter := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"Europe/Berlin": "13:00 Europe/Berlin", "UTC": "12:00 UTC", "+02:00": "14:00 +02:00", " 02:00": "14:00 +02:00",
		"-0330": "08:30 -03:30", "+5": "", "-08": "04:00 -08:00", "+00:00": "12:00 +00:00",
		"": "", "Local": "", "Mars/Crater": "", "../../etc/passwd": "", "/etc/localtime": "", "02:00:00": "", "+99:00": "", "CEST ": "",
	} {
		zone, err := ParseZone(text)
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		name := zoneName(zone, winter)
		if got := winter.In(zone).Format("15:04 ") + name; got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if again, err := ParseZone(name); err != nil || zoneName(again, winter) != name {
			t.Errorf("%q is written as %q, which is %v, %v", text, name, again, err)
		}
	}
	if name := zoneName(time.Local, winter); name != winter.Local().Format("-07:00") {
		t.Errorf("the process's zone is called %q", name)
	}
}

// "On tuesday" is the server's Tuesday, whatever the process's zone, unless
// somebody says whose; and the answer says which it was.
func TestDaysAreThoseOfAZoneThatIsSaid(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	auckland, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	o.o.Zone = func() *time.Location { return auckland }
	for zone, want := range map[string]struct{ zone, since, until string }{
		"":                 {"Pacific/Auckland", "2026-03-02T11:00:00Z", "2026-03-03T11:00:00Z"},
		"-05:00":           {"-05:00", "2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z"},
		"America/New_York": {"America/New_York", "2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z"},
	} {
		at := func(u Understood) [2]string {
			return [2]string{u.Since.UTC().Format(time.RFC3339), u.Until.UTC().Format(time.RFC3339)}
		}
		traced, err := o.trace(t.Context(), &TraceInput{Period: Period{On: "2026-03-03", Zone: zone}})
		if err != nil || traced.Zone != want.zone || at(traced.Understood) != [2]string{want.since, want.until} {
			t.Errorf("trace in %q: %+v, %v", zone, traced, err)
		}
		in := &PolicyReplayInput{}
		in.Body.Period = Period{On: "2026-03-03", Zone: zone}
		if replayed, err := o.replayPolicy(t.Context(), in); err != nil || replayed.Zone != want.zone || at(replayed.Understood) != at(traced.Understood) {
			t.Errorf("replay in %q: %+v, %v", zone, replayed, err)
		}
	}
	var faults []string
	_, err = o.trace(t.Context(), &TraceInput{Period: Period{Zone: "Mars/Crater"}})
	for _, f := range faultsOf(err) {
		faults = append(faults, f.Field)
	}
	if !errors.Is(err, ErrInput) && !errors.Is(err, store.ErrInvalid) || len(faults) != 1 || faults[0] != "zone" {
		t.Errorf("%v of %q", err, faults)
	}
	all, err := o.trace(t.Context(), &TraceInput{})
	if text, _ := json.Marshal(all); err != nil || string(text) != `{"items":[],"zone":"Pacific/Auckland"}` {
		t.Errorf("%s, %v", text, err)
	}
}
