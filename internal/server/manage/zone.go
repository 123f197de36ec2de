package manage

import (
	"fmt"
	"strings"
	"time"
)

// ParseZone reads a time zone: a name such as Europe/Berlin, or an offset from
// UTC such as +02:00.
func ParseZone(text string) (*time.Location, error) {
	text = strings.TrimSpace(text)
	offset := text
	if text != "" && '0' <= text[0] && text[0] <= '9' {
		offset = "+" + text // a plus sign in an address is a space
	}
	for _, form := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(form, offset); err == nil {
			_, seconds := t.Zone()
			return time.FixedZone(t.Format("-07:00"), seconds), nil
		}
	}
	zone, err := time.LoadLocation(text)
	if err != nil || text == "" || zone == time.Local {
		return nil, fmt.Errorf("%q is no time zone; write a name such as Europe/Berlin or an offset such as +02:00", text)
	}
	return zone, nil
}

// zone is the one whose days and times people mean who name none.
func (s *Service) zone() *time.Location {
	if s.o.Zone == nil {
		return time.Local
	}
	return s.o.Zone()
}

// zoneName names a zone so that ParseZone reads it: one without a name by its
// offset at the time.
func zoneName(zone *time.Location, at time.Time) string {
	if zone == time.Local {
		return at.In(zone).Format("-07:00")
	}
	return zone.String()
}

// Understood is how a Period was read.
type Understood struct {
	Since time.Time `json:"since,omitzero" doc:"The beginning of the period; absent: of all there is"`
	Until time.Time `json:"until,omitzero" doc:"Its end, which is not part of it; absent: none"`
	Zone  string    `json:"zone" doc:"The time zone whose days and times are meant: a name, or an offset from UTC"`
}

// read is the period's bounds, and what follows from them.
func (p Period) read(now time.Time) (u Understood, err error) {
	zone := now.Location()
	if p.Zone != "" {
		if zone, err = ParseZone(p.Zone); err != nil {
			return u, inField("zone", err)
		}
	}
	u.Zone = zoneName(zone, now)
	u.Since, u.Until, err = p.bounds(now.In(zone))
	return u, err
}
