package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

var unevenTests = []test{
	{name: "MessagesAreKnownHoweverTheyCame", run: unevenKnown},
	{name: "MessagesAreForgottenWhenTheyGo", run: unevenGone},
}

// uneven are contents and how much they grow, of every size that is stored in
// a way of its own.
func uneven() map[string]int64 {
	list := map[string]int64{"": 0, "even\r\n": 0, "bare\n": 1, "bare\r": 1, "no end": 2, "a\nb\rc\r\nd": 4}
	for _, lines := range []int{300, 2000, 40_000} {
		list[strings.Repeat("even line\r\n", lines)] = 0
		list[strings.Repeat("bare line\n", lines)+"no end"] = int64(lines) + 2
	}
	return list
}

// wantUneven compares what Uneven says with what the messages grow by.
func (e *env) wantUneven(a store.Account, want map[store.MessageID]int64) {
	e.t.Helper()
	list, err := a.Uneven(e.ctx)
	e.must(err)
	if !slices.IsSortedFunc(list, func(a, b store.Uneven) int { return int(a.Message) - int(b.Message) }) {
		e.t.Errorf("not sorted: %v", list)
	}
	n := 0
	for _, more := range want {
		if more > 0 {
			n++
		}
	}
	if len(list) != n {
		e.t.Errorf("%d messages are uneven, want %d", len(list), n)
	}
	for _, u := range list {
		if want[u.Message] != u.More {
			e.t.Errorf("message %d grows by %d, want %d", u.Message, u.More, want[u.Message])
		}
	}
}

func unevenKnown(e *env) {
	a, want := e.account(), map[store.MessageID]int64{}
	box := e.create(a, "Appended")
	for body, more := range uneven() {
		f := inbox()
		f.Head = []byte("Return-Path: <>\r\n")
		want[e.file(a, body, f).Message] = more
		it := e.item(body)
		filed, err := a.Append(e.ctx, box.ID, []store.AppendItem{it})
		it.Body.Discard()
		e.must(err)
		want[filed[0].Message] = more
		e.enqueue(body, nil, store.QueueRecipient{Address: address("local"), Local: a.ID(), NextTry: time.Now()})
		for _, c := range e.claim("filer", true, 10) {
			e.must(e.s.Queue().Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, Done: true, File: &f}}, nil))
		}
		x := e.index(a, e.box(a, "INBOX").ID)
		want[x.Entries[len(x.Entries)-1].Message] = more
	}
	if n := 3 * len(uneven()); len(want) != n {
		e.t.Fatalf("%d messages, want %d", len(want), n)
	}
	e.wantUneven(a, want)
	_, err := a.Copy(e.ctx, box.ID, all(), e.box(a, "INBOX").ID) // the same messages
	e.must(err)
	e.wantUneven(a, want)
	e.wantUneven(e.account(), nil)
}

func unevenGone(e *env) {
	a := e.account()
	for i := range 3 {
		e.file(a, fmt.Sprint("no end ", i), inbox())
	}
	box := e.box(a, "INBOX").ID
	_, _, err := a.Expunge(e.ctx, box, all(), false)
	e.must(err)
	e.eventually("nothing is uneven", func() bool {
		list, err := a.Uneven(e.ctx)
		return err == nil && len(list) == 0
	})
}
