package setting

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

func parseDuration(text string, v reflect.Value) error {
	d, err := ParseDuration(text)
	v.SetInt(int64(d))
	return err
}

func formatDuration(v reflect.Value) string { return FormatDuration(time.Duration(v.Int())) }

// ParseDuration reads "90s", "5m", "8h", "35d", "1d12h" and "0".
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time; write a number with s, m, h or d, for example 90s or 35d", clip(text))
	s := strings.ReplaceAll(text, " ", "")
	var days time.Duration
	if head, rest, ok := strings.Cut(s, "d"); ok {
		// days by the parser of hours, so that fractions and overflow are its matter
		d, err := time.ParseDuration(head + "h")
		switch {
		case err == nil && d > (1<<63-1)/24 || err != nil && wholeNumber(head):
			return 0, tooLong(text)
		case err != nil || d < 0:
			return 0, bad
		}
		days, s = d*24, rest
		if s == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && d >= 0 && days+d < 0 || err != nil && s != "" && wholeNumber(s[:len(s)-1]) && strings.Contains("smh", s[len(s)-1:]):
		return 0, tooLong(text)
	case err != nil || d < 0:
		return 0, bad
	}
	return days + d, nil
}

func tooLong(text string) error {
	return fmt.Errorf("%q is too long a time: at most 106751d", clip(text))
}

// wholeNumber reports digits alone.
func wholeNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// FormatDuration writes what ParseDuration reads, without idle zeros: 1m, 8h, 35d.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	const day = 24 * time.Hour
	var out string
	if d >= day {
		out = fmt.Sprintf("%dd", d/day)
		if d %= day; d == 0 {
			return out
		}
	}
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return out + s
}
