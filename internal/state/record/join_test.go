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

func TestForwardedMailIsFoundByWhereItWent(t *testing.T) {
	t.Parallel()
	r, _ := recorder(t, filepath.Join(t.TempDir(), "records.db"), plenty)
	a := attempt(r, "192.0.2.7", "eve@away.test", "ext@example.test", Accepted)
	attempt(r, "192.0.2.7", "eve@away.test", "bob@example.test", Accepted)
	as := ids.New()
	r.Event(Event{ID: a.ID, Kind: Queued, Recipient: "ext@example.test"})
	r.Event(Event{ID: as, Kind: Queued, Recipient: "Friend@far.test"})
	r.Event(Event{ID: a.ID, Kind: Forwarded, Recipient: "ext@example.test", Place: "Friend@far.test", Other: as})
	r.Event(Event{ID: as, Kind: Filed, Recipient: "Friend@far.test", Place: "INBOX", Account: 1, Arrived: 1000})
	r.Event(Event{Kind: Read, Place: "INBOX", By: "friend@far.test (IMAP)", Account: 1, Arrived: 1000})
	for name, q := range map[string]Query{
		"the id of the message that left": {ID: as},
		"its recipient":                   {To: "friend@far.test"},
		"and the domain":                  {To: "@far.test", From: "eve@away.test"},
		"the first recipient":             {To: "ext@example.test"},
		"the first id":                    {ID: a.ID},
	} {
		list := find(t, r, q)
		if len(list) != 1 || list[0].Attempt == nil || list[0].Attempt.ID != a.ID || len(list[0].Events) != 5 {
			t.Errorf("%s: %+v", name, list)
			continue
		}
		if e := list[0].Events[4]; e.ID != as || e.Recipient != "Friend@far.test" || e.Kind != Read {
			t.Errorf("%s: %+v", name, e)
		}
		if via := list[0].Via; (via == as) != (q.ID == as) {
			t.Errorf("%s: via %s", name, via)
		}
	}
	if list := find(t, r, Query{To: "friend@far.test", From: "dan@away.test"}); len(list) != 0 {
		t.Errorf("of another sender: %+v", list)
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
