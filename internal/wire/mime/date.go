package mime

import (
	"strings"
	"time"
)

// ParseDate reads the value of a Date field as tolerantly as mail needs it:
// RFC 5322 §3.3 and its obsolete forms, and the ctime, RFC 850 and ISO 8601
// forms seen in the wild. A missing time is midnight, a missing zone UTC. The
// result keeps the zone as written, so that its date is the author's.
func ParseDate(value string) (time.Time, bool) {
	d := dateReader{day: -1, month: -1, year: -1, hour: -1}
	for _, word := range dateWords(value) {
		if !d.take(word) {
			return time.Time{}, false
		}
	}
	return d.time()
}

const maxDate = 256

// dateWords splits at white space, commas and comments.
func dateWords(value string) []string {
	b := []byte(value[:min(len(value), maxDate)])
	for i := 0; i < len(b); i++ {
		if b[i] != '(' {
			continue
		}
		for end := commentEnd(b, i); i < end; i++ {
			b[i] = ' '
		}
	}
	return strings.FieldsFunc(string(b), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n'
	})
}

type dateReader struct {
	day, month, year int
	hour, min, sec   int
	zone             int // seconds east of UTC
	zoned            bool
}

// take reads one word. Unknown words, such as a weekday or a zone name nobody
// knows, are passed over (RFC 5322 §4.3); impossible numbers are an error.
func (d *dateReader) take(word string) bool {
	switch c := word[0]; {
	case strings.HasPrefix(strings.TrimLeft(word, "0123456789"), ":"):
		return d.takeClock(word)
	case (c == '+' || c == '-') && len(word) > 1:
		d.takeOffset(word)
		return true
	case c >= '0' && c <= '9':
		return d.takeNumber(word)
	}
	return d.takeName(word)
}

func (d *dateReader) takeName(word string) bool {
	if dot := strings.TrimRight(word, "."); dot != "" {
		word = dot
	}
	if month := monthOf(word); month >= 0 && d.month < 0 {
		d.month = month
		return true
	}
	switch {
	case equalFold(word, "pm") && d.hour >= 0 && d.hour < 12:
		d.hour += 12
	case equalFold(word, "am") && d.hour == 12:
		d.hour = 0
	case d.hour >= 0 && !d.zoned:
		d.takeZoneName(word)
	}
	return true
}

func monthOf(word string) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(word) < 3 {
		return -1
	}
	if i := strings.Index(months, strings.ToLower(word[:3])); i >= 0 && i%3 == 0 {
		return i / 3
	}
	return -1
}

// takeZoneName knows the zones of RFC 5322 §4.3 and a few European ones.
func (d *dateReader) takeZoneName(word string) {
	if i := strings.IndexAny(word, "+-"); i > 0 { // GMT+0100
		d.takeOffset(word[i:])
		return
	}
	const hour = 3600
	zones := [...]struct {
		name string
		zone int
	}{
		{"UT", 0}, {"UTC", 0}, {"GMT", 0}, {"Z", 0}, {"EST", -5 * hour}, {"EDT", -4 * hour},
		{"CST", -6 * hour}, {"CDT", -5 * hour}, {"MST", -7 * hour}, {"MDT", -6 * hour},
		{"PST", -8 * hour}, {"PDT", -7 * hour}, {"CET", hour}, {"CEST", 2 * hour}, {"MEZ", hour},
		{"MESZ", 2 * hour}, {"BST", hour}, {"EET", 2 * hour}, {"EEST", 3 * hour}, {"JST", 9 * hour},
	}
	for _, z := range zones {
		if equalFold(word, z.name) {
			d.zone, d.zoned = z.zone, true
			return
		}
	}
}

// takeOffset reads +hhmm, +hh:mm or +hh.
func (d *dateReader) takeOffset(word string) {
	if d.zoned {
		return
	}
	digits := strings.Replace(word[1:], ":", "", 1)
	n, rest, ok := leadingNumber(digits)
	if !ok || rest != "" {
		return
	}
	hours, minutes := n/100, n%100
	if len(digits) <= 2 {
		hours, minutes = n, 0
	}
	if hours > 23 || minutes > 59 {
		return
	}
	d.zone, d.zoned = hours*3600+minutes*60, true
	if word[0] == '-' {
		d.zone = -d.zone
	}
}

// takeClock reads hh:mm, hh:mm:ss and a fraction, zone or am/pm stuck to it.
func (d *dateReader) takeClock(word string) bool {
	if d.hour >= 0 {
		return false
	}
	var parts [3]int
	n := 0
	for {
		v, rest, ok := leadingNumber(word)
		if !ok {
			break
		}
		parts[n] = v
		n++
		word = rest
		if n == 3 || !strings.HasPrefix(word, ":") {
			break
		}
		word = word[1:]
	}
	if n < 2 || parts[0] > 24 || parts[1] > 59 || parts[2] > 60 {
		return false
	}
	d.hour, d.min, d.sec = parts[0], parts[1], parts[2]
	if strings.HasPrefix(word, ".") {
		word = strings.TrimLeft(word[1:], "0123456789")
	}
	if word == "" {
		return true
	}
	return d.take(word)
}

// takeNumber reads a day or a year, or a whole date of one word.
func (d *dateReader) takeNumber(word string) bool {
	n, rest, _ := leadingNumber(word)
	digits := len(word) - len(rest)
	if rest != "" && (rest[0] == '-' || rest[0] == '/' || rest[0] == '.') && len(rest) > 1 {
		return d.takeJoined(n, digits, rest)
	}
	switch {
	case d.day < 0 && digits <= 2:
		d.day = n
	case d.year < 0:
		d.setYear(n, digits)
	}
	return n <= 9999
}

// takeJoined reads 2-Jan-2006, 2006-01-02 and 2006-01-02T15:04:05Z.
func (d *dateReader) takeJoined(n, digits int, rest string) bool {
	middle, last, ok := strings.Cut(rest[1:], rest[:1])
	if !ok || last == "" || d.day >= 0 {
		return false
	}
	month := monthOf(middle)
	if month < 0 {
		m, after, ok := leadingNumber(middle)
		if !ok || after != "" || m < 1 || m > 12 {
			return false
		}
		month = m - 1
	}
	end, clock, ok := leadingNumber(last)
	if !ok {
		return false
	}
	d.month = month
	if digits >= 3 {
		d.day = end
		d.setYear(n, digits)
	} else {
		d.day = n
		d.setYear(end, len(last)-len(clock))
	}
	if len(clock) > 1 && (clock[0] == 'T' || clock[0] == 't') {
		return d.take(clock[1:])
	}
	return true
}

// setYear widens years of two and three digits by RFC 5322 §4.3.
func (d *dateReader) setYear(n, digits int) {
	switch {
	case digits <= 2 && n < 50:
		n += 2000
	case digits <= 3:
		n += 1900
	}
	d.year = n
}

func (d *dateReader) time() (time.Time, bool) {
	if d.month < 0 || d.year < 0 || d.year > 9999 || d.day < 1 || d.day > 31 {
		return time.Time{}, false
	}
	zone := time.UTC
	if d.zone != 0 {
		zone = time.FixedZone("", d.zone)
	}
	return time.Date(d.year, time.Month(d.month+1), d.day, max(d.hour, 0), d.min, d.sec, 0, zone), true
}

// leadingNumber reads up to nine digits.
func leadingNumber(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:], i > 0
}
