package limit

import "time"

// Day is a calendar day in some time zone: days since 1 January 1970.
type Day int32

// DayOf returns the day it is in the zone at that moment.
func DayOf(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// End returns when the day ends in the zone. Where the clock skips midnight,
// that is when it skips.
func (d Day) End(zone *time.Location) time.Time {
	next := time.Date(1970, 1, 2+int(d), 0, 0, 0, 0, zone)
	if DayOf(next, zone) <= d {
		_, next = next.ZoneBounds()
	}
	return next
}
