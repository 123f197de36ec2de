package record

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/unit"
)

// pages reads an answer in pages of n and returns the senders.
func pages(t *testing.T, r *Recorder, q Query, n int) []string {
	t.Helper()
	var got []string
	for q.Limit = n; ; {
		list := find(t, r, q)
		for _, b := range list {
			got = append(got, b.Attempt.Sender)
		}
		if len(list) < n {
			return got
		}
		var err error
		if q.After, err = ParsePlace(list[n-1].Place.String()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPagesLeaveOutNoAttemptAndRepeatNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "records.db")
		r, _ := recorder(t, path, plenty)
		var want []string
		// What began long ago is handed in between, and time stands still:
		// everything else began in the same nanosecond.
		long := r.Trace(Session{ID: ids.New(), Begin: time.Now().Add(-time.Hour)})
		for i := range 700 {
			sender := fmt.Sprintf("u%d@away.test", i)
			if i%50 == 49 {
				long.Open(ids.New())
				long.Sender, long.HasSender = sender, true
				long.Close(Refused)
			} else {
				attempt(r, "192.0.2.7", sender, "bob@example.test", Accepted)
			}
			r.Event(Event{ID: ids.New(), Kind: Queued}) // is no attempt
			want = append(want, sender)
		}
		long.Done()
		slices.Reverse(want)
		for _, n := range []int{1, 7, 100, 350} {
			if got := pages(t, r, Query{}, n); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %d attempts of %d: %q", n, len(got), len(want), got)
			}
		}
		refused := slices.DeleteFunc(slices.Clone(want), func(s string) bool {
			var n int
			_, err := fmt.Sscanf(s, "u%d@", &n)
			return err != nil || n%50 != 49
		})
		if got := pages(t, r, Query{Outcomes: []Outcome{Refused}, From: "@away.test"}, 3); !slices.Equal(got, refused) {
			t.Errorf("pages of a search: %q, want %q", got, refused)
		}
	})
}

func TestAPlaceStaysWhatComesLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	r, _ := recorder(t, path, plenty)
	for i := range 10 {
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
	}
	at := find(t, r, Query{Limit: 5})[4].Place
	for i := range 500 {
		attempt(r, "192.0.2.7", fmt.Sprintf("late%d@away.test", i), "bob@example.test", Accepted)
	}
	for range 2 { // before and after a restart
		if list := find(t, r, Query{After: at}); len(list) != 5 || list[0].Attempt.Sender != "u4@away.test" {
			t.Errorf("after %s: %d attempts, %+v", at, len(list), list)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r, _ = recorder(t, path, plenty)
	}
}

func TestAPlaceOfOtherRecordsIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
	good := find(t, r, Query{})[0].Place
	for _, p := range []Place{{good.segment, good.record, ids.New()}, {good.segment + 1, 0, good.id}, {good.segment, 1, good.id}, {newest - 1, 1, good.id}} {
		if list, err := r.Search(ctx, Query{After: p}); !errors.Is(err, ErrPlace) {
			t.Errorf("after %s: %+v, %v", p, list, err)
		}
	}
}

func TestAfterAPlaceThatWasPrunedThereIsNothing(t *testing.T) {
	t.Parallel()
	s := plenty
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), s)
	for i := range 1500 {
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
	}
	list := find(t, r, Query{Limit: 1000})
	if err := r.file.prune(time.Time{}, int64(10*unit.KB)); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1000 {
		t.Fatal(len(list))
	}
	if rest := find(t, r, Query{After: list[999].Place}); len(rest) != 0 {
		t.Errorf("%d attempts, %+v", len(rest), rest[0])
	}
}

func FuzzParsePlace(f *testing.F) {
	f.Add(Place{7, 3, ids.New()}.String())
	f.Add("7.3.")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlace(s)
		if err != nil {
			return
		}
		if again, err := ParsePlace(p.String()); err != nil || again != p || p.segment < 1 || p.record < 0 {
			t.Errorf("%q is %s, %s, %v", s, p, again, err)
		}
	})
}
