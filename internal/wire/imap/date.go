package imap

import (
	"bytes"
	"strconv"
	"time"
)

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// Date takes a date of SEARCH, quoted or not, and returns its midnight in UTC.
func (d *Decoder) Date() time.Time {
	quoted := d.accept('"')
	day := d.word(isDigit)
	t, ok := d.dayMonthYear(day)
	if !ok || len(day) == 0 || len(day) > 2 {
		d.fail(expected("a date such as 1-Feb-2026"))
	}
	if quoted {
		d.expect('"', `" after the date`)
	}
	return t
}

// dayMonthYear takes "-Feb-2026" after the day.
func (d *Decoder) dayMonthYear(day []byte) (time.Time, bool) {
	dd, ok := parseNumber(day, 31)
	if _, more := d.peek(); !more || !ok || len(d.line)-d.pos < len("-Feb-2026") {
		return time.Time{}, false
	}
	w := d.line[d.pos : d.pos+len("-Feb-2026")]
	month := parseMonth(w[1:4])
	year, ok := parseNumber(w[5:], 9999)
	t := time.Date(int(year), time.Month(month), int(dd), 0, 0, 0, 0, time.UTC)
	if !ok || w[0] != '-' || w[4] != '-' || month == 0 || t.Day() != int(dd) {
		return time.Time{}, false // also 31-Feb, which time.Date carries over
	}
	d.pos += len(w)
	return t, true
}

func parseMonth(w []byte) int {
	for i := range 12 {
		if bytes.EqualFold(w, []byte(months[3*i:3*i+3])) {
			return i + 1
		}
	}
	return 0
}

// DateTime takes a date-time in quotes, `" 7-Feb-2026 02:44:25 -0700"`, as
// APPEND has it. The time keeps its zone; its year is in 1..9999 in UTC too,
// so that it can be written there.
func (d *Decoder) DateTime() time.Time {
	const what = `a date-time such as "17-Jul-2026 02:44:25 -0700"`
	d.expect('"', what)
	if !d.accept(' ') {
		if c, ok := d.peek(); !ok || !isDigit(c) {
			d.fail(expected(what))
		}
	}
	t, ok := d.dayMonthYear(d.word(isDigit))
	if !ok || d.err != nil {
		d.fail(expected(what))
		return time.Time{}
	}
	t, ok = d.clock(t)
	if year := t.UTC().Year(); !ok || year < 1 || year > 9999 {
		d.fail(expected(what))
	}
	d.expect('"', `" after the date-time`)
	return t
}

// clock takes " 02:44:25 -0700" and puts it onto the day.
func (d *Decoder) clock(day time.Time) (time.Time, bool) {
	const form = " 02:44:25 -0700"
	if len(d.line)-d.pos < len(form) {
		return day, false
	}
	w := d.line[d.pos : d.pos+len(form)]
	two := func(at, limit int) int {
		n, ok := parseNumber(w[at:at+2], uint64(limit))
		if !ok {
			return -1
		}
		return int(n)
	}
	hour, minute, second := two(1, 23), two(4, 59), two(7, 60)
	zh, zm := two(11, 14), two(13, 59)
	if min(hour, minute, second, zh, zm) < 0 || w[0] != ' ' || w[3] != ':' || w[6] != ':' || w[9] != ' ' {
		return day, false
	}
	offset := (zh*60 + zm) * 60
	switch w[10] {
	case '-':
		offset = -offset
	case '+':
	default:
		return day, false
	}
	d.pos += len(w)
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset)
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, 0, zone), true
}

// appendDate appends the date alone, as SEARCH has it.
func appendDate(b []byte, t time.Time) []byte {
	return appendMonthYear(strconv.AppendInt(b, int64(t.Day()), 10), t)
}

func appendMonthYear(b []byte, t time.Time) []byte {
	m := 3 * (int(t.Month()) - 1)
	b = append(append(append(b, '-'), months[m:m+3]...), '-')
	year := t.Year()
	for div := 1000; div > 0; div /= 10 {
		b = append(b, byte('0'+year/div%10))
	}
	return b
}

// appendDateTime appends a date-time in quotes, in the zone of t.
func appendDateTime(b []byte, t time.Time) []byte {
	day := t.Day()
	tens := byte(' ')
	if day >= 10 {
		tens = byte('0' + day/10)
	}
	b = appendMonthYear(append(b, '"', tens, byte('0'+day%10)), t)
	b = appendTwo(append(b, ' '), t.Hour())
	b = appendTwo(append(b, ':'), t.Minute())
	b = appendTwo(append(b, ':'), t.Second())
	_, offset := t.Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	b = appendTwo(append(b, ' ', sign), offset/3600)
	return append(appendTwo(b, offset/60%60), '"')
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10%10), byte('0'+n%10)) }
