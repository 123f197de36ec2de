package storetest

import (
	"fmt"
	"slices"

	"posthorn/internal/state/store"
)

var flagTests = []test{
	{name: "ReplaceAddRemove", run: flagOps},
	{name: "KeywordsKeepTheirSpelling", run: flagKeywords},
	{name: "KeywordsAreBounded", run: keywordBound},
	{name: "RemovingUnknownKeywordsMakesNone", run: removeUnknownKeyword},
	{name: "UnchangedSinceSkipsWhatChanged", run: unchangedSince},
	{name: "NothingNewKeepsModSeq", run: noChange},
	{name: "RangesMayOverlapAndReachOut", run: flagRanges},
	{name: "UnknownMailboxIsNotFound", run: flagsUnknown},
	{name: "BulkIsOneChange", run: flagBulk},
	{name: "ChangesTogetherAllCount", run: flagsTogether},
}

// set updates flags.
func (e *env) set(a store.Account, box store.MailboxID, u store.FlagUpdate) store.FlagResult {
	e.t.Helper()
	if u.UIDs == nil {
		u.UIDs = all()
	}
	r, err := a.SetFlags(e.ctx, box, u)
	e.must(err)
	return r
}

func flagOps(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 1)
	const seen, answered, flagged = store.FlagSeen, store.FlagAnswered, store.FlagFlagged
	for _, step := range []struct {
		op       store.FlagOp
		flags    store.Flags
		keywords []string
		want     string
	}{
		{store.FlagsAdd, seen, nil, `[\Seen]`},
		{store.FlagsAdd, flagged, []string{"$one"}, `[$one \Flagged \Seen]`},
		{store.FlagsRemove, seen | answered, []string{"$two"}, `[$one \Flagged]`},
		{store.FlagsReplace, answered, []string{"$two", "$three"}, `[$three $two \Answered]`},
		{store.FlagsAdd, 0, []string{"$one"}, `[$one $three $two \Answered]`},
		{store.FlagsRemove, 0, []string{"$ONE", "$two"}, `[$three \Answered]`},
		{store.FlagsReplace, 0, nil, `[]`},
		{store.FlagsAdd, store.SystemFlags, nil, `[\Answered \Deleted \Draft \Flagged \Seen]`},
		{store.FlagsReplace, store.Flags(1<<64 - 1), nil, ``},
	} {
		before := e.index(a, box)
		r := e.set(a, box, store.FlagUpdate{Op: step.op, Flags: step.flags, Keywords: step.keywords})
		x := e.index(a, box)
		if step.want == "" { // bits that are no system flags say nothing
			if len(r.Changed) != 0 || x.Entries[0] != before.Entries[0] {
				e.t.Errorf("all bits: %+v, %+v", r, x)
			}
			continue
		}
		m := x.Entries[0]
		if got := fmt.Sprint(flagNames(m.Flags, x.Mailbox.Keywords)); got != step.want {
			e.t.Errorf("op %d of %b %v: %s, want %s", step.op, step.flags, step.keywords, got, step.want)
		}
		if m.ModSeq <= before.Cursor.ModSeq || r.ModSeq != x.Cursor.ModSeq || len(r.Changed) != 1 || r.Changed[0] != m ||
			!slices.Equal(r.Keywords, x.Mailbox.Keywords) {
			e.t.Errorf("result %+v, index %+v", r, x)
		}
		e.recount(x)
	}
	e.verify(a)
}

func flagKeywords(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 2)
	e.set(a, box, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: []string{"$MDNSent", "Étoile"}})
	r := e.set(a, box, store.FlagUpdate{UIDs: only(2), Op: store.FlagsAdd, Keywords: []string{"$mdnsent", "$MDNSENT"}})
	if want := []string{"$MDNSent", "Étoile"}; !slices.Equal(r.Keywords, want) {
		e.t.Errorf("keywords %q, want %q", r.Keywords, want)
	}
	x := e.index(a, box)
	if got := flagNames(x.Entries[1].Flags, x.Mailbox.Keywords); !slices.Equal(got, []string{"$MDNSent"}) {
		e.t.Errorf("flags %q", got)
	}
	// Bits keep their meaning after the last use of a keyword.
	e.set(a, box, store.FlagUpdate{Op: store.FlagsReplace})
	e.set(a, box, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: []string{"$third"}})
	x = e.index(a, box)
	if got := flagNames(x.Entries[0].Flags, x.Mailbox.Keywords); !slices.Equal(got, []string{"$third"}) {
		e.t.Errorf("flags %q", got)
	}
	if other := e.box(a, "Sent"); len(other.Keywords) != 0 {
		e.t.Errorf("another mailbox got the keywords: %+v", other)
	}
}

func keywordBound(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 1)
	var keywords []string
	for i := range store.MaxKeywords {
		keywords = append(keywords, fmt.Sprint("keyword", i))
	}
	u := store.FlagUpdate{UIDs: all(), Op: store.FlagsAdd, Keywords: append(keywords, "one-more")}
	before := e.state(a)
	_, err := a.SetFlags(e.ctx, box, u)
	e.wants(err, store.ErrLimit, "%d keywords at once", len(u.Keywords))
	e.unchanged(a, before)
	u.Keywords = keywords
	e.set(a, box, u)
	x := e.index(a, box)
	if got := flagNames(x.Entries[0].Flags, x.Mailbox.Keywords); len(got) != store.MaxKeywords || len(x.Mailbox.Keywords) != store.MaxKeywords {
		e.t.Errorf("%d keywords set, %d known", len(got), len(x.Mailbox.Keywords))
	}
	before = e.state(a)
	u.Keywords = []string{"one-more"}
	_, err = a.SetFlags(e.ctx, box, u)
	e.wants(err, store.ErrLimit, "one keyword more")
	f := inbox()
	f.Keywords = u.Keywords
	_, err = e.accept(e.acceptance(a, []byte("x"), f))
	e.wants(err, store.ErrLimit, "accept with one keyword more")
	e.unchanged(a, before)
	e.set(a, box, store.FlagUpdate{Op: store.FlagsRemove, Keywords: []string{"KEYWORD55"}})
	if got := e.index(a, box).Entries[0].Flags; got>>63 != 0 {
		e.t.Errorf("the last bit is still set: %b", got)
	}
	e.verify(a)
}

func removeUnknownKeyword(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 1)
	before := e.state(a)
	if r := e.set(a, box, store.FlagUpdate{Op: store.FlagsRemove, Keywords: []string{"$never"}}); len(r.Changed) != 0 {
		e.t.Errorf("changed %+v", r)
	}
	e.unchanged(a, before)
}

func unchangedSince(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 6)
	since := e.index(a, box).Cursor.ModSeq
	e.set(a, box, store.FlagUpdate{UIDs: only(2, 5), Op: store.FlagsAdd, Flags: store.FlagSeen})
	r := e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagFlagged, UnchangedSince: since, HasUnchangedSince: true})
	if got := uidsOf(r.Changed); !slices.Equal(got, []store.UID{1, 3, 4, 6}) || !slices.Equal(r.Modified, []store.UID{2, 5}) {
		e.t.Errorf("changed %v, modified %v", got, r.Modified)
	}
	x := e.index(a, box)
	for _, m := range x.Entries {
		if (m.Flags&store.FlagFlagged != 0) == (m.UID == 2 || m.UID == 5) {
			e.t.Errorf("entry %+v", m)
		}
	}
	// Zero is a condition, too: nothing was unchanged since before the beginning.
	before := e.state(a)
	r = e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagDraft, HasUnchangedSince: true})
	if len(r.Changed) != 0 || len(r.Modified) != 6 {
		e.t.Errorf("UNCHANGEDSINCE 0: %+v", r)
	}
	e.unchanged(a, before)
	r = e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagDraft, UnchangedSince: 1<<63 - 1, HasUnchangedSince: true})
	if len(r.Changed) != 6 || len(r.Modified) != 0 {
		e.t.Errorf("UNCHANGEDSINCE of the greatest modseq: %+v", r)
	}
	e.verify(a)
}

func noChange(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 3)
	e.set(a, box, store.FlagUpdate{UIDs: only(2), Op: store.FlagsAdd, Flags: store.FlagSeen})
	before := e.state(a)
	for _, u := range []store.FlagUpdate{
		{UIDs: only(2), Op: store.FlagsAdd, Flags: store.FlagSeen},
		{UIDs: only(2), Op: store.FlagsReplace, Flags: store.FlagSeen},
		{UIDs: only(1, 3), Op: store.FlagsRemove, Flags: store.FlagSeen},
		{UIDs: only(7, 8), Op: store.FlagsAdd, Flags: store.FlagSeen},
		{UIDs: []store.UIDRange{}, Op: store.FlagsAdd, Flags: store.FlagSeen},
	} {
		if r, err := a.SetFlags(e.ctx, box, u); err != nil || len(r.Changed)+len(r.Modified) != 0 {
			e.t.Errorf("%+v: %+v, %v", u, r, err)
		}
		e.unchanged(a, before)
	}
	r := e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagSeen})
	x := e.index(a, box)
	if got := uidsOf(r.Changed); !slices.Equal(got, []store.UID{1, 3}) {
		e.t.Errorf("changed %v", got)
	}
	if x.Entries[1] != before.indexes[indexOf(before, box)].Entries[1] {
		e.t.Errorf("a message whose flags were so already changed: %+v", x.Entries[1])
	}
}

func indexOf(st state, id store.MailboxID) int {
	return slices.IndexFunc(st.indexes, func(x store.Index) bool { return x.Mailbox.ID == id })
}

func flagRanges(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 10)
	_, _, err := a.Expunge(e.ctx, box, only(4), false)
	e.must(err)
	r := e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagSeen,
		UIDs: []store.UIDRange{{First: 8, Last: 1<<32 - 1}, {First: 2, Last: 5}, {First: 3, Last: 3}, {First: 5, Last: 6}}})
	if got := uidsOf(r.Changed); !slices.Equal(got, []store.UID{2, 3, 5, 6, 8, 9, 10}) {
		e.t.Errorf("changed %v", got)
	}
	e.verify(a)
}

func flagsUnknown(e *env) {
	a := e.account()
	_, err := a.SetFlags(e.ctx, 1_000_000, store.FlagUpdate{UIDs: all(), Op: store.FlagsAdd, Flags: store.FlagSeen})
	e.wants(err, store.ErrNotFound, "flags in no mailbox")
	_, err = e.s.Account(1_000_000).SetFlags(e.ctx, 1, store.FlagUpdate{UIDs: all()})
	e.wants(err, store.ErrNotFound, "flags of no account")
}

func flagBulk(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	n := e.o.size(2000, 10_000, 100_000)
	e.fileMany(a, box, n)
	m := mirrorOf(e.index(a, box))
	r := e.set(a, box, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagSeen, Keywords: []string{"$bulk"}})
	if len(r.Changed) != n {
		e.t.Fatalf("%d of %d changed", len(r.Changed), n)
	}
	x := e.index(a, box)
	if x.Mailbox.Unseen != 0 || !slices.Equal(r.Changed, x.Entries) {
		e.t.Error("the result differs from the index")
	}
	for i, c := range x.Entries {
		if i > 0 && c.ModSeq < x.Entries[i-1].ModSeq {
			e.t.Fatal("one update, but modseqs fall")
		}
	}
	if m.follow(e, a, box) {
		m.same(e, x)
	}
	var odd []store.UIDRange
	for uid := store.UID(1); int(uid) <= n; uid += 2 {
		odd = append(odd, store.UIDRange{First: uid, Last: uid})
	}
	m = mirrorOf(x)
	if r = e.set(a, box, store.FlagUpdate{UIDs: odd, Op: store.FlagsRemove, Flags: store.FlagSeen}); len(r.Changed) != n/2 {
		e.t.Errorf("%d of %d changed", len(r.Changed), n/2)
	}
	if m.follow(e, a, box) {
		m.same(e, e.index(a, box))
	}
	e.verify(a)
}

func flagsTogether(e *env) {
	a := e.account()
	box := e.box(a, "INBOX").ID
	e.fileMany(a, box, 40)
	e.must(together(20, func(i int) error {
		for n := range 10 {
			u := store.FlagUpdate{UIDs: []store.UIDRange{{First: store.UID(i), Last: store.UID(i + 20)}}, Op: store.FlagsAdd, Keywords: []string{fmt.Sprint("k", i)}}
			if n%2 == 1 {
				u.Op = store.FlagsRemove
			}
			if _, err := a.SetFlags(e.ctx, box, u); err != nil {
				return err
			}
			if _, err := e.deliver(e.ctx, a, "x", inbox()); err != nil {
				return err
			}
		}
		return nil
	}))
	x := e.index(a, box)
	for _, m := range x.Entries {
		if m.Flags != 0 {
			e.t.Fatalf("entry %+v after every keyword was taken off", m)
		}
	}
	if len(x.Mailbox.Keywords) != 20 || len(x.Entries) != 240 {
		e.t.Errorf("%d keywords, %d messages", len(x.Mailbox.Keywords), len(x.Entries))
	}
	e.verify(a)
}
