package record

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

func TestWhatPeopleDoWithCopiesJoinsTheirMessage(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	a := attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
	other := attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
	r.Event(Event{ID: a.ID, Kind: Filed, Recipient: "bob@example.test", Place: "INBOX", Account: 1, Arrived: 1000})
	r.Event(Event{ID: a.ID, Kind: Filed, Recipient: "carol@example.test", Place: "INBOX", Account: 2, Arrived: 1000})
	r.Event(Event{ID: other.ID, Kind: Filed, Recipient: "bob@example.test", Place: "INBOX", Account: 1, Arrived: 1001})
	r.Event(Event{Kind: Read, Place: "INBOX", By: "bob@example.test (IMAP)", Account: 1, Arrived: 1000})
	r.Event(Event{Kind: Deleted, Place: "INBOX", By: "carol@example.test (POP3)", Account: 2, Arrived: 1000})
	r.Event(Event{Kind: Moved, Place: "Old", By: "bob@example.test (IMAP)", Account: 1, Arrived: 77}) // nobody's here
	list := find(t, r, Query{From: "eve@away.test"})
	if len(list) != 2 || list[1].Attempt.ID != a.ID || len(list[0].Events) != 1 || len(list[1].Events) != 4 {
		t.Fatalf("%+v", list)
	}
	read, deleted := list[1].Events[2], list[1].Events[3]
	if read.Kind != Read || read.Recipient != "bob@example.test" || read.ID != a.ID || deleted.Kind != Deleted || deleted.Recipient != "carol@example.test" {
		t.Errorf("%+v", list[1].Events)
	}
}

func TestEachHandsOutEveryAttemptNewestFirst(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	for i := range 3000 {
		attempt(r, "192.0.2.7", fmt.Sprintf("u%d@away.test", i), "bob@example.test", Accepted)
	}
	n := 3000
	err := r.Each(ctx, Query{From: "@away.test", Limit: 5}, func(a *Attempt) bool {
		if n--; a.Sender != fmt.Sprintf("u%d@away.test", n) {
			t.Fatal(n, a.Sender)
		}
		return n > 1000
	})
	if err != nil || n != 1000 {
		t.Error(n, err)
	}
	gone, stop := context.WithCancel(ctx)
	stop()
	if err := r.Each(gone, Query{}, func(*Attempt) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
