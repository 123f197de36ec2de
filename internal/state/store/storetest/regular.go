package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

var regularTests = []test{
	{name: "RegularsComeBackWhole", run: regularsWhole},
	{name: "ANoteReplacesOneOfItsKindOnly", run: regularsReplaced},
	{name: "OnlyWhatIsNewIsRead", run: regularsSince},
	{name: "BeyondTheBoundTheOldestGo", run: regularsBound},
	{name: "OldRegularsAreSwept", run: regularsSwept},
	{name: "NotesMadeTogetherAreAllThere", run: regularsTogether},
	{name: "ANoteOfNothingIsNone", run: regularsNone},
}

func regular(host string, kind store.RegularKind, last time.Duration) store.RegularRow {
	return store.RegularRow{Host: prefix(host), Kind: kind, Last: noon.Add(last)}
}

// regulars are all hosts and kinds, in order.
func (e *env) regulars() string {
	e.t.Helper()
	rows, _, err := e.s.Regulars().Since(e.ctx, 0, 0)
	e.must(err)
	return regularNames(rows)
}

func regularNames(rows []store.RegularRow) string {
	var all []string
	for _, r := range rows {
		all = append(all, fmt.Sprint(r.Host, " ", r.Kind))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func regularsWhole(e *env) {
	r := e.s.Regulars()
	want := []store.RegularRow{regular("192.0.2.1/32", store.RegularMail, time.Hour), regular("2001:db8:1:2::/64", store.RegularMail, 0)}
	e.must(r.Note(e.ctx, store.RegularMail, []store.RegularRow{want[1], want[0]}, 0))
	admin := regular("192.0.2.1/32", store.RegularAdministrator, 2*time.Hour)
	e.must(r.Note(e.ctx, store.RegularAdministrator, []store.RegularRow{admin}, 0))
	got, version, err := r.Since(e.ctx, 0, 0)
	if err != nil || version != 2 || !reflect.DeepEqual(got, append(want, admin)) {
		e.t.Errorf("version %d, %+v, %v", version, got, err)
	}
	if got, _, err := r.Since(e.ctx, 0, 1); err != nil || !reflect.DeepEqual(got, []store.RegularRow{want[0], admin}) {
		e.t.Errorf("the last of each kind %+v, %v", got, err)
	}
}

func regularsReplaced(e *env) {
	r := e.s.Regulars()
	e.must(r.Note(e.ctx, store.RegularMail, []store.RegularRow{regular("192.0.2.0/24", store.RegularMail, 0)}, 1))
	e.must(r.Note(e.ctx, store.RegularAdministrator, []store.RegularRow{regular("192.0.2.0/24", store.RegularAdministrator, 0)}, 1))
	e.must(r.Note(e.ctx, store.RegularMail, []store.RegularRow{regular("192.0.2.77/24", store.RegularMail, time.Hour)}, 1)) // the same network
	got, _, err := r.Since(e.ctx, 0, 0)
	if err != nil || regularNames(got) != "192.0.2.0/24 administrator, 192.0.2.0/24 mail" || !got[0].Last.Equal(noon.Add(time.Hour)) || !got[1].Last.Equal(noon) {
		e.t.Errorf("%+v, %v", got, err)
	}
}

func regularsSince(e *env) {
	r := e.s.Regulars()
	note := func(host string, kind store.RegularKind) {
		e.t.Helper()
		e.must(r.Note(e.ctx, kind, []store.RegularRow{regular(host, kind, 0)}, 0))
	}
	version := int64(0)
	expect := func(want string) {
		e.t.Helper()
		rows, now, err := r.Since(e.ctx, version, 0)
		e.must(err)
		if got := regularNames(rows); got != want {
			e.t.Errorf("after version %d: %s, want %s", version, got, want)
		}
		version = now
	}
	expect("")
	note("192.0.2.1/32", store.RegularMail)
	note("192.0.2.2/32", store.RegularAdministrator)
	expect("192.0.2.1/32 mail, 192.0.2.2/32 administrator")
	expect("")
	note("192.0.2.1/32", store.RegularMail)
	expect("192.0.2.1/32 mail")
	_, err := r.Sweep(e.ctx, store.RegularMail, noon.Add(time.Hour))
	e.must(err)
	note("192.0.2.3/32", store.RegularMail)
	expect("192.0.2.3/32 mail")
}

func regularsBound(e *env) {
	r := e.s.Regulars()
	e.must(r.Note(e.ctx, store.RegularAdministrator, []store.RegularRow{regular("192.0.2.9/32", store.RegularAdministrator, -time.Hour)}, 3))
	for i, minutes := range []int{50, 10, 40, 20} {
		row := regular(fmt.Sprintf("192.0.2.%d/32", i), store.RegularMail, time.Duration(minutes)*time.Minute)
		for range 2 { // the second replaces the first and takes no room
			e.must(r.Note(e.ctx, store.RegularMail, []store.RegularRow{row}, 3))
		}
	}
	if got := e.regulars(); got != "192.0.2.0/32 mail, 192.0.2.2/32 mail, 192.0.2.3/32 mail, 192.0.2.9/32 administrator" {
		e.t.Errorf("left %s", got)
	}
	var many []store.RegularRow
	for i := range 20 {
		many = append(many, regular(fmt.Sprintf("198.51.100.%d/32", i), store.RegularMail, time.Duration(i)*time.Hour))
	}
	e.must(r.Note(e.ctx, store.RegularMail, many, 2))
	if got := e.regulars(); got != "192.0.2.9/32 administrator, 198.51.100.18/32 mail, 198.51.100.19/32 mail" {
		e.t.Errorf("left %s", got)
	}
}

func regularsSwept(e *env) {
	r := e.s.Regulars()
	var rows []store.RegularRow
	for i, last := range []time.Duration{-time.Hour, -time.Microsecond, 0, time.Hour} {
		rows = append(rows, regular(fmt.Sprintf("192.0.2.%d/32", i), store.RegularMail, last))
	}
	e.must(r.Note(e.ctx, store.RegularMail, rows, 0))
	e.must(r.Note(e.ctx, store.RegularAdministrator, []store.RegularRow{regular("192.0.2.9/32", store.RegularAdministrator, -time.Hour)}, 0))
	for _, want := range []int{2, 0} {
		if n, err := r.Sweep(e.ctx, store.RegularMail, noon); err != nil || n != want {
			e.t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	if got := e.regulars(); got != "192.0.2.2/32 mail, 192.0.2.3/32 mail, 192.0.2.9/32 administrator" {
		e.t.Errorf("left %s", got)
	}
	for i := range rows { // what was swept has made room
		rows[i].Last = noon
	}
	e.must(r.Note(e.ctx, store.RegularMail, rows, 4))
	if got := strings.Count(e.regulars(), "mail"); got != 4 {
		e.t.Errorf("%d hosts, want 4", got)
	}
}

func regularsTogether(e *env) {
	r := e.s.Regulars()
	e.must(together(20, func(i int) error {
		return r.Note(e.ctx, store.RegularMail, []store.RegularRow{regular(fmt.Sprintf("192.0.2.%d/32", i%10), store.RegularMail, time.Duration(i)*time.Minute)}, 5)
	}))
	rows, version, err := r.Since(e.ctx, 0, 0)
	if err != nil || len(rows) != 5 || version != 20 {
		e.t.Errorf("%d hosts, version %d, %v", len(rows), version, err)
	}
}

func regularsNone(e *env) {
	r := e.s.Regulars()
	e.must(r.Note(e.ctx, store.RegularMail, nil, 1))
	e.wants(r.Note(e.ctx, store.RegularMail, []store.RegularRow{{}}, 0), store.ErrInvalid, "a note of no host")
	wrong := []store.RegularRow{regular("192.0.2.1/32", store.RegularMail, 0), regular("192.0.2.2/32", store.RegularAdministrator, 0)}
	e.wants(r.Note(e.ctx, store.RegularMail, wrong, 0), store.ErrInvalid, "a note of another kind")
	if rows, version, err := r.Since(e.ctx, 0, 0); err != nil || len(rows) != 0 || version != 0 {
		e.t.Errorf("%+v, version %d, %v", rows, version, err)
	}
}
