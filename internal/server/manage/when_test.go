package manage

import (
	"testing"
	"time"
)

func TestTimesAreReadAsPeopleNameThem(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 31, 15, 4, 5, 0, zone) // a Tuesday, two days after the clocks went forward
	for text, want := range map[string][2]string{
		"24h":                       {"2026-03-30T15:04:05+02:00", "2026-03-30T15:04:05+02:00"},
		"7d":                        {"2026-03-24T14:04:05+01:00", "2026-03-24T14:04:05+01:00"},
		"now":                       {"2026-03-31T15:04:05+02:00", "2026-03-31T15:04:05+02:00"},
		"today":                     {"2026-03-31T00:00:00+02:00", "2026-04-01T00:00:00+02:00"},
		" Yesterday ":               {"2026-03-30T00:00:00+02:00", "2026-03-31T00:00:00+02:00"},
		"tuesday":                   {"2026-03-31T00:00:00+02:00", "2026-04-01T00:00:00+02:00"},
		"last Tuesday":              {"2026-03-24T00:00:00+01:00", "2026-03-25T00:00:00+01:00"},
		"last wed":                  {"2026-03-25T00:00:00+01:00", "2026-03-26T00:00:00+01:00"},
		"sun":                       {"2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		"2026-03-01":                {"2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"},
		"2026-03-01 14:30":          {"2026-03-01T14:30:00+01:00", "2026-03-01T14:30:00+01:00"},
		"2026-03-01T14:30:00":       {"2026-03-01T14:30:00+01:00", "2026-03-01T14:30:00+01:00"},
		"2026-03-01t14:30:00.5z":    {"2026-03-01T15:30:00+01:00", "2026-03-01T15:30:00+01:00"},
		"2026-03-01T14:30:00-05:00": {"2026-03-01T20:30:00+01:00", "2026-03-01T20:30:00+01:00"},
		"14:30":                     {"2026-03-31T14:30:00+02:00", "2026-03-31T14:30:00+02:00"},
	} {
		s, err := parseWhen(text, now)
		if got := [2]string{s.from.In(zone).Format(time.RFC3339), s.to.In(zone).Format(time.RFC3339)}; err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "tu", "soon", "32:00", "2026-13-01", "-1h", "last", "last week"} {
		if s, err := parseWhen(text, now); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
}

func TestPeriodsDoNotContradictThemselves(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 15, 4, 5, 0, time.UTC)
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		p            Period
		since, until time.Time
	}{
		{Period{}, time.Time{}, time.Time{}},
		{Period{On: "yesterday"}, day(30), day(31)},
		{Period{Since: "monday"}, day(30), time.Time{}},
		{Period{Since: "friday", Until: "sunday"}, day(27), day(30)},
	} {
		if since, until, err := c.p.bounds(now); err != nil || !since.Equal(c.since) || !until.Equal(c.until) {
			t.Errorf("%+v: %v %v %v", c.p, since, until, err)
		}
	}
	for _, p := range []Period{{On: "3h"}, {On: "monday", Since: "1h"}, {Since: "1h", Until: "2h"}, {Since: "x"}, {Until: "x"}, {On: "x"}} {
		if since, until, err := p.bounds(now); err == nil {
			t.Errorf("%+v: %v %v", p, since, until)
		}
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, text := range []string{"24h", "tuesday", "2026-03-01 10:00", "yesterday", "9:00"} {
		f.Add(text)
	}
	now := time.Date(2026, 3, 31, 15, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseWhen(text, now); err == nil && s.to.Before(s.from) {
			t.Errorf("%q: %v", text, s)
		}
	})
}
