package storetest

import (
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

var appendTests = []test{
	{name: "SeveralMessagesComeInOneCommit", run: appendSeveral},
	{name: "OneThatDoesNotFitKeepsAllOut", run: appendAllOrNothing},
	{name: "UnknownMailboxIsNotFound", run: appendUnknown},
	{name: "TogetherWithDeliveriesUIDsStayDense", run: appendTogether},
}

// item is a message to append.
func (e *env) item(body string, keywords ...string) store.AppendItem {
	e.t.Helper()
	d, err := e.draft([]byte(body))
	e.must(err)
	return store.AppendItem{Body: d, Keywords: keywords, Meta: []byte("meta " + body), Internal: time.UnixMicro(77)}
}

func appendSeveral(e *env) {
	a := e.account()
	box := e.box(a, "Drafts")
	big := string(fill(50_000, 1))
	items := []store.AppendItem{e.item("one", "$a"), e.item(big), e.item("", "$b", "$A")}
	items[1].Flags = store.FlagSeen | store.FlagDraft
	filed, err := a.Append(e.ctx, box.ID, items)
	e.must(err)
	for _, it := range items {
		it.Body.Discard()
	}
	x := e.index(a, box.ID)
	if len(filed) != 3 || len(x.Entries) != 3 {
		e.t.Fatalf("filed %+v, index %+v", filed, x)
	}
	for i, f := range filed {
		m := x.Entries[i]
		if f.Mailbox != box.ID || f.UIDValidity != box.UIDValidity || f.UID != box.UIDNext+store.UID(i) || f.UID != m.UID ||
			f.ModSeq != m.ModSeq || f.ModSeq <= box.HighestModSeq || f.Message != m.Message || m.Internal != 77 {
			e.t.Errorf("filed %+v, entry %+v", f, m)
		}
	}
	names := [][]string{flagNames(x.Entries[0].Flags, x.Mailbox.Keywords), flagNames(x.Entries[1].Flags, x.Mailbox.Keywords), flagNames(x.Entries[2].Flags, x.Mailbox.Keywords)}
	if got := fmt.Sprint(names); got != `[[$a] [\Draft \Seen] [$a $b]]` {
		e.t.Errorf("flags %s", got)
	}
	for i, want := range []string{"one", big, ""} {
		if text := e.octets(a, filed[i].Message); text != want {
			e.t.Errorf("message %d reads %d octets, want %d", i, len(text), len(want))
		}
	}
	e.verify(a)
}

func appendAllOrNothing(e *env) {
	a := e.account()
	box := e.box(a, "Drafts")
	refuse := func(want error, items ...store.AppendItem) {
		e.t.Helper()
		before := e.state(a)
		_, err := a.Append(e.ctx, box.ID, items)
		e.wants(err, want, "append of %d", len(items))
		for _, it := range items {
			it.Body.Discard()
		}
		e.unchanged(a, before)
	}
	e.limit(a, 10, 2)
	refuse(store.ErrOverQuota, e.item("12345"), e.item("123456"))
	refuse(store.ErrOverQuota, e.item("1"), e.item("2"), e.item("3", "$new"))
	refuse(store.ErrOverQuota, e.item("1"), e.item(string(fill(20_000, 1))))
	e.limit(a, 0, 0)
	var items []store.AppendItem
	for i := range store.MaxKeywords + 1 {
		items = append(items, e.item("x", fmt.Sprint("k", i)))
	}
	refuse(store.ErrLimit, items...)
	items = append(items[:0], e.item("x"), e.item(string(fill(20_000, 1))), e.item("x", "$new"))
	_, err := a.Append(e.ctx, box.ID, items)
	e.must(err)
	e.verify(a)
}

func appendUnknown(e *env) {
	a := e.account()
	it := e.item("x")
	defer it.Body.Discard()
	_, err := a.Append(e.ctx, 1_000_000, []store.AppendItem{it})
	e.wants(err, store.ErrNotFound, "append to no mailbox")
	_, err = e.s.Account(1_000_000).Append(e.ctx, 1, []store.AppendItem{it})
	e.wants(err, store.ErrNotFound, "append to no account")
	// The draft is still the caller's.
	_, err = a.Append(e.ctx, e.box(a, "INBOX").ID, []store.AppendItem{it})
	e.must(err)
	e.verify(a)
}

func appendTogether(e *env) {
	a := e.account()
	box := e.box(a, "INBOX")
	each := e.o.size(3, 10, 100)
	e.must(together(16, func(i int) error {
		for range each {
			if i%2 == 0 {
				if _, err := e.deliver(e.ctx, a, "delivered", inbox()); err != nil {
					return err
				}
				continue
			}
			d, err := e.draft(fill(5000*i, byte(i)))
			if err != nil {
				return err
			}
			_, err = a.Append(e.ctx, box.ID, []store.AppendItem{{Body: d}})
			d.Discard()
			if err != nil {
				return err
			}
		}
		return nil
	}))
	x := e.index(a, box.ID)
	for i, m := range x.Entries {
		if m.UID != box.UIDNext+store.UID(i) {
			e.t.Fatalf("entry %d has UID %d", i, m.UID)
		}
	}
	if len(x.Entries) != 16*each {
		e.t.Errorf("%d messages, want %d", len(x.Entries), 16*each)
	}
	e.verify(a)
}
