package storetest

import (
	"fmt"
	"slices"
	"time"

	"posthorn/internal/state/store"
)

var transferTests = []test{
	{name: "CopyPairsUIDsAndKeepsWhatAMessageIs", run: copyKeeps},
	{name: "MovePairsUIDsAndExpungesTheOld", run: moveKeeps},
	{name: "KeywordsAreTranslated", run: transferKeywords},
	{name: "KeywordsInAnotherOrderAreTranslated", run: transferSwapped},
	{name: "TooManyKeywordsMoveNothing", run: transferKeywordBound},
	{name: "CopyCountsForTheQuotaAndMoveDoesNot", run: transferQuota},
	{name: "UnknownMailboxesChangeNothing", run: transferUnknown},
	{name: "NothingToTransferChangesNothing", run: transferNothing},
	{name: "WithinOneMailbox", run: transferWithin},
	{name: "MovesTogetherLoseAndDoubleNothing", run: movesTogether},
}

// marked fills INBOX with n messages of different sizes, dates and flags.
func (e *env) marked(a store.Account, n int) store.Index {
	e.t.Helper()
	for i := range n {
		f := inbox()
		f.Internal = time.UnixMicro(int64(1000 + i))
		f.Flags = store.Flags(i) & store.SystemFlags
		if i%2 == 1 {
			f.Keywords = []string{fmt.Sprint("$k", i%3)}
		}
		e.file(a, string(fill(i, byte(i))), f)
	}
	return e.index(a, e.box(a, "INBOX").ID)
}

// sameMessages fails unless the pairs of a result are the same messages.
func (e *env) sameMessages(r store.CopyResult, from, to store.Index) {
	e.t.Helper()
	entry := func(x store.Index, uid store.UID) store.Entry {
		i := slices.IndexFunc(x.Entries, func(m store.Entry) bool { return m.UID == uid })
		if i < 0 {
			e.t.Fatalf("%s has no UID %d", x.Mailbox.Name, uid)
		}
		return x.Entries[i]
	}
	if len(r.From) != len(r.To) || r.UIDValidity != to.Mailbox.UIDValidity {
		e.t.Fatalf("result %+v into %+v", r, to.Mailbox)
	}
	for i := range r.From {
		old, new := entry(from, r.From[i]), entry(to, r.To[i])
		if old.Message != new.Message || old.Size != new.Size || old.Internal != new.Internal ||
			!slices.Equal(flagNames(old.Flags, from.Mailbox.Keywords), flagNames(new.Flags, to.Mailbox.Keywords)) {
			e.t.Errorf("UID %d was %+v %q, became %+v %q", r.From[i], old, from.Mailbox.Keywords, new, to.Mailbox.Keywords)
		}
		if new.ModSeq > r.ModSeq || i > 0 && r.To[i] <= r.To[i-1] {
			e.t.Errorf("result %+v, entry %+v", r, new)
		}
	}
}

func copyKeeps(e *env) {
	a := e.account()
	from := e.marked(a, 20)
	to := e.create(a, "To").ID
	e.file(a, "was there", into(to))
	r, err := a.Copy(e.ctx, from.Mailbox.ID, []store.UIDRange{{First: 15, Last: 17}, {First: 3, Last: 5}, {First: 16, Last: 16}, {First: 90, Last: 99}}, to)
	e.must(err)
	if want := []store.UID{3, 4, 5, 15, 16, 17}; !slices.Equal(r.From, want) || !slices.Equal(r.To, []store.UID{2, 3, 4, 5, 6, 7}) {
		e.t.Errorf("copied %v to %v", r.From, r.To)
	}
	now := e.index(a, from.Mailbox.ID)
	if !slices.Equal(now.Entries, from.Entries) || now.Cursor != from.Cursor {
		e.t.Error("copying changed the source")
	}
	e.sameMessages(r, from, e.index(a, to))
	// Each copy lives on its own.
	_, _, err = a.Expunge(e.ctx, from.Mailbox.ID, all(), false)
	e.must(err)
	e.set(a, to, store.FlagUpdate{UIDs: only(2), Op: store.FlagsReplace})
	for _, m := range e.index(a, to).Entries[1:] {
		if text := e.octets(a, m.Message); len(text) != int(m.Size) {
			e.t.Errorf("copy of %d octets reads %q", m.Size, text)
		}
	}
	e.verify(a)
}

func moveKeeps(e *env) {
	a := e.account()
	from := e.marked(a, 20)
	id, to := from.Mailbox.ID, e.create(a, "To").ID
	m := mirrorOf(from)
	span := []store.UIDRange{{First: 5, Last: 14}}
	r, err := a.Move(e.ctx, id, span, to)
	e.must(err)
	e.sameMessages(r, from, e.index(a, to))
	now := e.index(a, id)
	if len(now.Entries) != 10 || now.Mailbox.UIDNext != from.Mailbox.UIDNext || now.Mailbox.HighestModSeq <= from.Mailbox.HighestModSeq {
		e.t.Errorf("source after the move: %+v", now)
	}
	if m.follow(e, a, id) {
		m.same(e, now)
	} else {
		e.t.Error("the change log does not reach back over one move")
	}
	uids, complete, err := a.ExpungedSince(e.ctx, id, from.Cursor.ModSeq)
	if err != nil || !complete || !slices.Equal(uids, span) {
		e.t.Errorf("expunged since: %v %v %v", uids, complete, err)
	}
	if r, err := a.Move(e.ctx, id, span, to); err != nil || len(r.From) != 0 {
		e.t.Errorf("moved again: %+v, %v", r, err)
	}
	e.verify(a)
}

func transferKeywords(e *env) {
	a := e.account()
	from, to := e.box(a, "INBOX").ID, e.create(a, "To").ID
	e.fileMany(a, from, 3)
	e.fileMany(a, to, 1)
	// Another order and other keywords there, and one here that nobody uses.
	e.set(a, to, store.FlagUpdate{Op: store.FlagsAdd, Keywords: []string{"$x", "$THREE", "$y"}})
	e.set(a, from, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: []string{"$one", "$unused", "$three"}})
	e.set(a, from, store.FlagUpdate{UIDs: only(1), Op: store.FlagsRemove, Keywords: []string{"$unused"}})
	e.set(a, from, store.FlagUpdate{UIDs: only(2), Op: store.FlagsAdd, Keywords: []string{"$x"}})
	e.set(a, from, store.FlagUpdate{UIDs: only(3), Op: store.FlagsAdd, Keywords: []string{"$elsewhere"}})
	_, err := a.Copy(e.ctx, from, only(1, 2), to)
	e.must(err)
	x := e.index(a, to)
	if got := fmt.Sprint(flagNames(x.Entries[1].Flags, x.Mailbox.Keywords), flagNames(x.Entries[2].Flags, x.Mailbox.Keywords)); got != "[$THREE $one] [$x]" {
		e.t.Errorf("keywords became %s", got)
	}
	if got := x.Mailbox.Keywords; !slices.Equal(got, []string{"$x", "$THREE", "$y", "$one"}) {
		e.t.Errorf("the mailbox has keywords %q", got)
	}
	e.verify(a)
}

// Both mailboxes have the same keywords on the same bits, but not each on its own.
func transferSwapped(e *env) {
	a := e.account()
	from, to := e.box(a, "INBOX").ID, e.create(a, "To").ID
	e.fileMany(a, from, 2)
	e.fileMany(a, to, 1)
	e.set(a, from, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: []string{"$a"}})
	e.set(a, from, store.FlagUpdate{UIDs: only(2), Op: store.FlagsAdd, Keywords: []string{"$b"}})
	e.set(a, to, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: []string{"$b", "$a"}})
	_, err := a.Copy(e.ctx, from, all(), to)
	e.must(err)
	x := e.index(a, to)
	if got := fmt.Sprint(flagNames(x.Entries[1].Flags, x.Mailbox.Keywords), flagNames(x.Entries[2].Flags, x.Mailbox.Keywords)); got != "[$a] [$b]" {
		e.t.Errorf("keywords became %s", got)
	}
	e.verify(a)
}

func transferKeywordBound(e *env) {
	a := e.account()
	from, to := e.box(a, "INBOX").ID, e.create(a, "To").ID
	e.fileMany(a, from, 2)
	e.fileMany(a, to, 1)
	var keywords []string
	for i := range store.MaxKeywords {
		keywords = append(keywords, fmt.Sprint("there", i))
	}
	e.set(a, to, store.FlagUpdate{Op: store.FlagsAdd, Keywords: keywords})
	e.set(a, from, store.FlagUpdate{UIDs: only(2), Op: store.FlagsAdd, Keywords: []string{"$here"}})
	before := e.state(a)
	_, err := a.Copy(e.ctx, from, all(), to)
	e.wants(err, store.ErrLimit, "copy with a keyword too many")
	e.unchanged(a, before)
	_, err = a.Move(e.ctx, from, all(), to)
	e.wants(err, store.ErrLimit, "move with a keyword too many")
	e.unchanged(a, before)
	_, err = a.Move(e.ctx, from, only(1), to)
	e.must(err)
	e.verify(a)
}

func transferQuota(e *env) {
	a := e.account()
	from := e.marked(a, 10) // 0+1+…+9 = 45 octets
	id, to := from.Mailbox.ID, e.create(a, "To").ID
	for _, limits := range [][2]int64{{89, 0}, {0, 19}, {10, 1}} {
		e.limit(a, limits[0], limits[1])
		before := e.state(a)
		_, err := a.Copy(e.ctx, id, all(), to)
		e.wants(err, store.ErrOverQuota, "copy with limits %v", limits)
		e.unchanged(a, before)
	}
	_, err := a.Move(e.ctx, id, only(1, 2, 3), to)
	e.must(err)
	e.limit(a, 90, 20)
	if _, err := a.Copy(e.ctx, id, all(), to); err != nil {
		e.t.Errorf("copy of what just fits: %v", err)
	}
	_, err = a.Copy(e.ctx, to, all(), id)
	e.wants(err, store.ErrOverQuota, "copy above the limit")
	e.verify(a)
}

func transferUnknown(e *env) {
	a := e.account()
	id := e.marked(a, 3).Mailbox.ID
	before := e.state(a)
	for _, move := range []bool{false, true} {
		f := a.Copy
		if move {
			f = a.Move
		}
		_, err := f(e.ctx, id, all(), 1_000_000)
		e.wants(err, store.ErrNotFound, "transfer to nowhere, move %v", move)
		_, err = f(e.ctx, 1_000_000, all(), id)
		e.wants(err, store.ErrNotFound, "transfer from nowhere, move %v", move)
		e.unchanged(a, before)
	}
}

func transferNothing(e *env) {
	a := e.account()
	id, to := e.marked(a, 3).Mailbox.ID, e.create(a, "To")
	e.limit(a, 1, 1) // nothing fits always
	before := e.state(a)
	for _, uids := range [][]store.UIDRange{nil, only(77), {{First: 10, Last: 20}}} {
		for _, f := range []func() (store.CopyResult, error){
			func() (store.CopyResult, error) { return a.Copy(e.ctx, id, uids, to.ID) },
			func() (store.CopyResult, error) { return a.Move(e.ctx, id, uids, to.ID) },
		} {
			if r, err := f(); err != nil || len(r.From)+len(r.To) != 0 {
				e.t.Errorf("transfer of %v: %+v, %v", uids, r, err)
			}
			e.unchanged(a, before)
		}
	}
}

func transferWithin(e *env) {
	a := e.account()
	was := e.marked(a, 6)
	id := was.Mailbox.ID
	m := mirrorOf(was)
	r, err := a.Copy(e.ctx, id, only(2, 4), id)
	e.must(err)
	now := e.index(a, id)
	if !slices.Equal(r.To, []store.UID{7, 8}) || len(now.Entries) != 8 {
		e.t.Errorf("copied within: %+v, %+v", r, now)
	}
	e.sameMessages(r, now, now)
	r, err = a.Move(e.ctx, id, only(1, 4, 8), id)
	e.must(err)
	x := e.index(a, id)
	if got := uidsOf(x.Entries); !slices.Equal(got, []store.UID{2, 3, 5, 6, 7, 9, 10, 11}) || !slices.Equal(r.To, []store.UID{9, 10, 11}) {
		e.t.Errorf("moved within: %+v, UIDs %v", r, got)
	}
	e.sameMessages(r, now, x)
	if m.follow(e, a, id) {
		m.same(e, x)
	}
	e.verify(a)
}

func movesTogether(e *env) {
	a := e.account()
	boxes := []store.MailboxID{e.box(a, "INBOX").ID, e.create(a, "One").ID, e.create(a, "Two").ID}
	const n = 60
	for i := range n {
		f := inbox()
		f.Internal = time.UnixMicro(int64(i + 1))
		e.file(a, fmt.Sprint("text ", i), f)
	}
	rounds := e.o.size(5, 15, 200)
	e.must(together(9, func(i int) error {
		for r := range rounds {
			from, to := boxes[(i+r)%3], boxes[(i+r+1)%3]
			span := []store.UIDRange{{First: store.UID(i * r), Last: store.UID(i*r + 20)}}
			if _, err := a.Move(e.ctx, from, span, to); err != nil {
				return err
			}
		}
		return nil
	}))
	seen := map[int64]bool{}
	for _, id := range boxes {
		for _, m := range e.index(a, id).Entries {
			if seen[m.Internal] {
				e.t.Errorf("message %d is there twice", m.Internal)
			}
			seen[m.Internal] = true
			if text := e.octets(a, m.Message); text != fmt.Sprint("text ", m.Internal-1) {
				e.t.Errorf("message %d reads %q", m.Internal, text)
			}
		}
	}
	if len(seen) != n {
		e.t.Errorf("%d of %d messages are left", len(seen), n)
	}
	e.verify(a)
}
