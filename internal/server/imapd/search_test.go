package imapd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// crowd is a view of n messages without text, in a mailbox with keywords k0 to
// k39; message i has the keyword k(i mod 40).
func crowd(n int) *view {
	entries := make([]store.Entry, n)
	for i := range entries {
		entries[i] = store.Entry{UID: store.UID(i + 1), ModSeq: 1, Message: store.MessageID(i + 1), Flags: 1 << (store.FirstKeyword + i%40)}
	}
	told := (&mailbox.Snapshot{}).With(nil, entries)
	for i := range 40 {
		told.Keywords = append(told.Keywords, fmt.Sprintf("k%d", i))
	}
	c := &conn{s: New(Deps{}), set: &Settings{SearchTime: time.Minute}}
	c.session = &session{c: c}
	return &view{c: c, told: told}
}

// tired is a context that is over once it was asked often enough.
type tired struct {
	context.Context
	asked, after int
}

func (c *tired) Err() error {
	if c.asked++; c.asked > c.after {
		return context.Canceled
	}
	return nil
}

func TestASearchOfTheIndexEndsWithItsTime(t *testing.T) {
	t.Parallel()
	v := crowd(20_000)
	v.c.set.SearchTime = time.Millisecond
	key := imap.SearchKey{Op: imap.KeyAnd}
	for range 1990 {
		key.Keys = append(key.Keys, imap.SearchKey{Op: imap.KeyUnflag, Text: "none"})
	}
	if _, err := v.search(t.Context(), &key); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestASearchOfRememberedHeadersEndsWithItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	if err := w.fill(3 * timeEvery); err != nil {
		t.Fatal(err)
	}
	inbox, err := w.store.Account(w.accounts["alice"]).FindMailbox(w.ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	box, release, err := w.boxes.Open(w.ctx, w.accounts["alice"], inbox.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c := &conn{s: w.server, set: &w.settings}
	c.session = &session{c: c, account: w.store.Account(w.accounts["alice"])}
	v := &view{c: c, box: box, told: box.Snapshot()}
	s := &searcher{v: v, key: &imap.SearchKey{Op: imap.KeyHeader, Field: "subject", Text: "nothing"}, needle: map[string]*needle{}}
	look := func(ctx context.Context) error {
		found := make([]truth, v.exists())
		open, err := s.index(w.ctx, found)
		if err != nil || len(open) != len(found) {
			t.Fatal(len(open), err)
		}
		return s.look(ctx, open, found)
	}
	if err := look(w.ctx); err != nil { // the headers are remembered from here on
		t.Fatal(err)
	}
	for after, want := range []error{context.Canceled, context.Canceled, context.Canceled, nil} {
		if err := look(&tired{Context: w.ctx, after: after}); !errors.Is(err, want) {
			t.Errorf("over after %d looks: %v", after, err)
		}
	}
}

func TestASearchFindsFlagsInAnyCase(t *testing.T) {
	t.Parallel()
	v := crowd(80)
	v.recent = []store.UIDRange{{First: 3, Last: 4}}
	for name, want := range map[string]string{"K7": "[7 47]", "k7": "[7 47]", "k8": "[8 48]", "none": "[]", `\RECENT`: "[2 3]", `\Seen`: "[]"} {
		has := imap.SearchKey{Op: imap.KeyFlag, Text: name}
		other := imap.SearchKey{Op: imap.KeyUnflag, Text: strings.ToLower(name)}
		not := imap.SearchKey{Op: imap.KeyNot, Keys: []imap.SearchKey{other}}
		both := &imap.SearchKey{Op: imap.KeyAnd, Keys: []imap.SearchKey{has, not}}
		found, err := v.search(t.Context(), both)
		if got := fmt.Sprint(found); err != nil || got != want {
			t.Errorf("%s: %s %v, wanted %s", name, got, err, want)
		}
	}
}

func TestASavedSortIsASetWhateverItsOrder(t *testing.T) {
	t.Parallel()
	h := hits{v: crowd(6), ordered: true, indexes: []int{4, 0, 5, 3, 1}}
	for want, r := range map[string]imap.SearchReturn{
		"1:2,4:6": {},
		"5":       {Min: true},
		"2":       {Max: true},
		"2,5":     {Min: true, Max: true},
		"1,4,6":   {Window: imap.Window{First: 2, Last: 4}},
	} {
		h.save(r)
		if got := h.v.saved.String(); got != want {
			t.Errorf("%+v saved %s, wanted %s", r, got, want)
		}
	}
	if fmt.Sprint(h.indexes) != "[4 0 5 3 1]" {
		t.Error("the order of the answer changed:", h.indexes)
	}
}

// TestSavingALargeSortTakesNoQuadraticTime saves every second of 200,000
// messages out of order, which takes milliseconds; a set that is put in order
// for each of them takes minutes.
func TestSavingALargeSortTakesNoQuadraticTime(t *testing.T) {
	t.Parallel()
	const n = 200_000
	h := hits{v: crowd(n), ordered: true}
	for i := n - 1; i > 0; i -= 2 {
		h.indexes = append(h.indexes, i)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.save(imap.SearchReturn{})
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("took more than five seconds")
	}
}
