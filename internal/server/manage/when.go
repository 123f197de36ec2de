package manage

import (
	"fmt"
	"strings"
	"time"

	"posthorn/internal/state/setting"
)

// span is a time as people name it: a moment, or a day from its beginning to
// its end.
type span struct{ from, to time.Time }

// whenHelp says what parseWhen reads.
const whenHelp = "write how long ago (90m, 24h, 7d), a day (today, yesterday, tuesday, 2026-03-01) or a time (14:30, \"2026-03-01 14:30\")"

// parseWhen reads a time of the past, by the clock and the zone of now. A weekday
// is the last one there was, today's own included.
func parseWhen(text string, now time.Time) (span, error) {
	word := strings.ToLower(strings.Join(strings.Fields(text), " "))
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch word {
	case "now":
		return span{now, now}, nil
	case "today":
		return dayOf(midnight), nil
	case "yesterday":
		return dayOf(midnight.AddDate(0, 0, -1)), nil
	}
	if back, ok := weekday(strings.TrimPrefix(word, "last "), now.Weekday()); ok {
		if back == 0 && strings.HasPrefix(word, "last ") {
			back = 7
		}
		return dayOf(midnight.AddDate(0, 0, -back)), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, word, now.Location()); err == nil {
		return dayOf(t), nil
	}
	if t, ok := moment(strings.ToUpper(word), midnight); ok {
		return span{t, t}, nil
	}
	if d, err := setting.ParseDuration(word); err == nil {
		return span{now.Add(-d), now.Add(-d)}, nil
	}
	return span{}, fmt.Errorf("%q is no time; %s", text, whenHelp)
}

func dayOf(midnight time.Time) span { return span{midnight, midnight.AddDate(0, 0, 1)} }

// weekday says how many days ago the day was; a name may be cut to three letters.
func weekday(word string, today time.Weekday) (back int, ok bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := strings.ToLower(d.String())
		if len(word) >= 3 && strings.HasPrefix(name, word) {
			return int(today-d+7) % 7, true
		}
	}
	return 0, false
}

// moment reads a time of day, of today where no date is given, in the time zone
// of midnight, unless it is written with an offset.
func moment(text string, midnight time.Time) (time.Time, bool) {
	for _, form := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(form, text); err == nil {
			return time.Date(midnight.Year(), midnight.Month(), midnight.Day(), t.Hour(), t.Minute(), t.Second(), 0, midnight.Location()), true
		}
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err := time.ParseInLocation(form, text, midnight.Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Period is a part of the past.
type Period struct {
	Since string `json:"since,omitempty" query:"since" doc:"From when: how long ago (24h, 7d), a day (yesterday, tuesday, 2026-03-01) or a time"`
	Until string `json:"until,omitempty" query:"until" doc:"Up to when, in the same words; a day counts whole"`
	On    string `json:"on,omitempty" query:"on" doc:"One day: today, yesterday, tuesday, 2026-03-01; in place of since and until"`
	Zone  string `json:"zone,omitempty" query:"zone" doc:"Time zone of days and of times without an offset: a name (Europe/Berlin) or an offset (+02:00); empty: the server's (server.time_zone)"`
}

// bounds are the period's ends by the clock and the zone of now; zero for none.
func (p Period) bounds(now time.Time) (since, until time.Time, err error) {
	if p.On != "" {
		s, err := parseWhen(p.On, now)
		switch {
		case err != nil:
			return since, until, inField("on", err)
		case p.Since != "" || p.Until != "":
			return since, until, inField("on", fmt.Errorf("a day stands in place of since and until"))
		case s.from.Equal(s.to):
			return since, until, inField("on", fmt.Errorf("%q is no day; write a day such as yesterday, tuesday or 2026-03-01", p.On))
		}
		return s.from, s.to, nil
	}
	if p.Since != "" {
		s, err := parseWhen(p.Since, now)
		if err != nil {
			return since, until, inField("since", err)
		}
		since = s.from
	}
	if p.Until != "" {
		s, err := parseWhen(p.Until, now)
		if err != nil {
			return since, until, inField("until", err)
		}
		until = s.to
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return since, until, inField("until", fmt.Errorf("it is not after since"))
	}
	return since, until, nil
}
