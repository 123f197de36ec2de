package storetest

import (
	"slices"

	"posthorn/internal/state/store"
)

var expungeTests = []test{
	{name: "OnlyWhatIsAskedGoes", run: expungeAsked},
	{name: "OnlyDeletedSparesTheOthers", run: expungeDeleted},
	{name: "ExpungedSinceListsWhatWent", run: expungedSince},
	{name: "UIDsNeverComeBack", run: uidsNeverComeBack},
	{name: "NothingToExpungeChangesNothing", run: expungeNothing},
	{name: "BodiesGoWithTheirLastCopy", run: bodiesGo},
	{name: "ManyGoInOneCommit", run: expungeMany},
}

func expungeAsked(e *env) {
	a := e.account()
	was := e.marked(a, 10)
	id := was.Mailbox.ID
	gone, at, err := a.Expunge(e.ctx, id, []store.UIDRange{{First: 7, Last: 8}, {First: 2, Last: 3}, {First: 8, Last: 8}, {First: 50, Last: 60}}, false)
	e.must(err)
	if !slices.Equal(gone, []store.UID{2, 3, 7, 8}) || at <= was.Cursor.ModSeq {
		e.t.Errorf("expunged %v at %d", gone, at)
	}
	x := e.index(a, id)
	if got := uidsOf(x.Entries); !slices.Equal(got, []store.UID{1, 4, 5, 6, 9, 10}) || x.Mailbox.HighestModSeq != at || x.Mailbox.UIDNext != 11 {
		e.t.Errorf("left %v, %+v, modseq %d", got, x.Mailbox, at)
	}
	e.verify(a)
}

func expungeDeleted(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	e.fileMany(a, id, 10)
	e.set(a, id, store.FlagUpdate{UIDs: only(1, 4, 5, 9), Op: store.FlagsAdd, Flags: store.FlagDeleted})
	gone, _, err := a.Expunge(e.ctx, id, []store.UIDRange{{First: 2, Last: 7}}, true)
	if err != nil || !slices.Equal(gone, []store.UID{4, 5}) {
		e.t.Errorf("expunged %v, %v", gone, err)
	}
	gone, _, err = a.Expunge(e.ctx, id, all(), true)
	if err != nil || !slices.Equal(gone, []store.UID{1, 9}) {
		e.t.Errorf("expunged %v, %v", gone, err)
	}
	e.verify(a)
}

func expungedSince(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	e.fileMany(a, id, 10)
	var steps []store.ModSeq
	start := e.index(a, id).Cursor.ModSeq
	for _, uids := range [][]store.UIDRange{only(3), {{First: 5, Last: 6}}, only(4), {{First: 9, Last: 10}}} {
		_, at, err := a.Expunge(e.ctx, id, uids, false)
		e.must(err)
		steps = append(steps, at)
		e.set(a, id, store.FlagUpdate{UIDs: only(1), Op: store.FlagsReplace, Flags: store.Flags(len(steps)) & store.SystemFlags})
	}
	for i, want := range [][]store.UIDRange{{{First: 3, Last: 6}, {First: 9, Last: 10}}, {{First: 4, Last: 6}, {First: 9, Last: 10}},
		{{First: 4, Last: 4}, {First: 9, Last: 10}}, {{First: 9, Last: 10}}, nil} {
		since := start
		if i > 0 {
			since = steps[i-1]
		}
		uids, complete, err := a.ExpungedSince(e.ctx, id, since)
		if err != nil || !complete || !slices.Equal(uids, want) {
			e.t.Errorf("expunged since step %d: %v, complete %v, %v; want %v", i, uids, complete, err, want)
		}
	}
	_, _, err := a.ExpungedSince(e.ctx, 1_000_000, 0)
	e.wants(err, store.ErrNotFound, "ExpungedSince of no mailbox")
}

func uidsNeverComeBack(e *env) {
	a := e.account()
	id, other := e.box(a, "INBOX").ID, e.create(a, "Other").ID
	next, modseq := store.UID(1), store.ModSeq(0)
	for i := range 10 {
		f := e.file(a, "x", inbox())
		if f.UID != next || f.ModSeq <= modseq {
			e.t.Fatalf("filed %+v, expected UID %d above modseq %d", f, next, modseq)
		}
		next++
		if i%2 == 0 {
			_, _, err := a.Expunge(e.ctx, id, all(), false)
			e.must(err)
		} else {
			_, err := a.Move(e.ctx, id, all(), other)
			e.must(err)
		}
		modseq = e.index(a, id).Cursor.ModSeq
	}
	e.verify(a)
}

func expungeNothing(e *env) {
	a := e.account()
	id := e.marked(a, 3).Mailbox.ID
	e.set(a, id, store.FlagUpdate{Op: store.FlagsReplace})
	before := e.state(a)
	for _, c := range []struct {
		uids    []store.UIDRange
		deleted bool
	}{{all(), true}, {only(9), false}, {nil, false}, {nil, true}} {
		gone, _, err := a.Expunge(e.ctx, id, c.uids, c.deleted)
		if err != nil || len(gone) != 0 {
			e.t.Errorf("expunged %v, %v", gone, err)
		}
		e.unchanged(a, before)
	}
	_, _, err := a.Expunge(e.ctx, 1_000_000, all(), false)
	e.wants(err, store.ErrNotFound, "expunge no mailbox")
}

func bodiesGo(e *env) {
	a := e.account()
	id, other := e.box(a, "INBOX").ID, e.create(a, "Other").ID
	for _, n := range []int{10, 100_000} {
		body := string(fill(n, 1))
		f := e.file(a, body, inbox())
		_, err := a.Copy(e.ctx, id, only(f.UID), other)
		e.must(err)
		_, _, err = a.Expunge(e.ctx, id, all(), false)
		e.must(err)
		for range 20 { // whatever tidies up has its chance to do wrong
			e.pass(e.lease() / 100)
			if text := e.octets(a, f.Message); text != body {
				e.t.Fatalf("%d octets: a copy lost its body", n)
			}
		}
		_, _, err = a.Expunge(e.ctx, other, all(), false)
		e.must(err)
		e.eventually("the body goes with the last copy", func() bool {
			_, err := a.OpenBody(e.ctx, f.Message)
			return err != nil
		})
	}
	if u, err := a.Usage(e.ctx); err != nil || u.Bytes != 0 || u.Messages != 0 {
		e.t.Errorf("usage %+v, %v", u, err)
	}
	e.verify(a)
}

func expungeMany(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	n := e.o.size(1000, 5000, 100_000)
	e.fileMany(a, id, n)
	was := e.index(a, id)
	m := mirrorOf(was)
	e.set(a, id, store.FlagUpdate{UIDs: []store.UIDRange{{First: 2, Last: store.UID(n)}}, Op: store.FlagsAdd, Flags: store.FlagDeleted})
	gone, _, err := a.Expunge(e.ctx, id, all(), true)
	if err != nil || len(gone) != n-1 {
		e.t.Fatalf("%d gone, %v", len(gone), err)
	}
	x := e.index(a, id)
	if m.follow(e, a, id) {
		m.same(e, x)
	}
	e.eventually("all bodies go", func() bool {
		for _, i := range []int{1, n / 2, n - 1} {
			if b, err := a.OpenBody(e.ctx, was.Entries[i].Message); err == nil {
				e.must(b.Close())
				return false
			}
		}
		return true
	})
	if text := e.octets(a, x.Entries[0].Message); text != "m" {
		e.t.Errorf("what is left reads %q", text)
	}
	e.verify(a)
}
