package storetest

import (
	"reflect"
	"time"

	"posthorn/internal/state/store"
)

var restartTests = []test{
	{name: "EverythingAcknowledgedIsThere", run: restartKeeps},
	{name: "SequencesGoOn", run: restartSequences},
	{name: "AcceptKeysAreRemembered", run: restartKeys},
	{name: "ClaimsStayLeased", run: restartClaims},
	{name: "IdentifiersNeverComeBack", run: restartIdentifiers},
	{name: "SweepingGoesOn", run: restartSweeps},
}

// reopen restarts the store; it reports false when the engine's tests cannot.
func (e *env) reopen() bool {
	e.t.Helper()
	if e.o.Reopen == nil {
		return false
	}
	e.s = e.o.Reopen(e.top, e.s)
	return true
}

func restartKeeps(e *env) {
	a, b := e.account(), e.accountOf(person("second"))
	sizes := []int{0, 10, 3999, 4001, 20_000, 100_000, 1_200_000}
	var ids []store.MessageID
	for i, n := range sizes {
		ids = append(ids, e.file(a, string(fill(n, byte(i))), inbox()).Message)
	}
	box := e.create(a, "Some/Where")
	in := e.box(a, "INBOX").ID
	e.set(a, in, store.FlagUpdate{UIDs: only(2, 3), Op: store.FlagsAdd, Flags: store.FlagSeen, Keywords: []string{"$k"}})
	_, err := a.Copy(e.ctx, in, only(1, 3), box.ID)
	e.must(err)
	cursor := mirrorOf(e.index(a, in))
	_, err = a.Move(e.ctx, in, only(2), box.ID)
	e.must(err)
	e.must(a.SetSubscribed(e.ctx, "No/Where", true))
	id := e.enqueue("queued", nil, rcpt("a", time.Now().Add(time.Hour)))
	version := e.save(0, store.SettingChange{Items: []store.SettingItem{item("a", "", "1")}})
	e.must(e.s.Directory().PutAlias(e.ctx, store.AnyVersion, groupRow("group", "x")))
	rows, err := e.s.Directory().ListAccounts(e.ctx, "", "", 0)
	e.must(err)
	beforeA, beforeB := e.state(a), e.state(b)
	for range 2 {
		if !e.reopen() {
			return
		}
		a, b = e.s.Account(a.ID()), e.s.Account(b.ID())
		e.unchanged(a, beforeA)
		e.unchanged(b, beforeB)
		for i, n := range sizes {
			if err := e.compare(a, ids[i], fill(n, byte(i))); err != nil {
				e.t.Errorf("%d octets: %v", n, err)
			}
		}
		m := *cursor
		m.entries = append([]store.Entry(nil), cursor.entries...)
		if m.follow(e, a, in) {
			m.same(e, e.index(a, in))
		}
	}
	got, err := e.s.Directory().ListAccounts(e.ctx, "", "", 0)
	if err != nil || !reflect.DeepEqual(got, rows) {
		e.t.Errorf("accounts %+v, %v", got, err)
	}
	if o, err := e.s.Directory().Owner(e.ctx, address("group")); err != nil || o.Alias == nil || !reflect.DeepEqual(*o.Alias, groupRow("group", "x")) {
		e.t.Errorf("group %+v, %v", o, err)
	}
	if v, rows, err := e.s.Settings().Load(e.ctx); err != nil || v != version || len(rows) != 1 {
		e.t.Errorf("settings %d %+v, %v", v, rows, err)
	}
	q, err := e.s.Queue().Get(e.ctx, id)
	if err != nil || len(q.Recipients) != 1 || time.Until(q.Due) > time.Hour || time.Until(q.Due) < 50*time.Minute {
		e.t.Errorf("queued %+v, %v", q, err)
	}
	body, err := e.s.Queue().OpenBody(e.ctx, id)
	e.must(err)
	if text := e.drain(body); text != "Received: queue\r\nqueued" {
		e.t.Errorf("queued %q", text)
	}
}

func restartSequences(e *env) {
	a := e.account()
	in := e.box(a, "INBOX").ID
	last := store.Filed{UIDValidity: e.box(a, "INBOX").UIDValidity}
	for range 4 {
		f := e.file(a, "x", inbox())
		if f.UID != last.UID+1 || f.ModSeq <= last.ModSeq || f.Message <= last.Message || f.UIDValidity != last.UIDValidity {
			e.t.Fatalf("filed %+v after %+v", f, last)
		}
		last = f
		// What was last is gone before the restart: nothing may be derived from it.
		_, at, err := a.Expunge(e.ctx, in, all(), false)
		e.must(err)
		last.ModSeq = at
		if !e.reopen() {
			return
		}
		a = e.s.Account(a.ID())
		if x := e.index(a, in); x.Cursor != (store.Cursor{UIDNext: last.UID + 1, ModSeq: at}) {
			e.t.Fatalf("cursor %+v after %+v", x.Cursor, last)
		}
	}
	e.verify(a)
}

func restartKeys(e *env) {
	a := e.account()
	m := e.acceptance(a, []byte("once"), inbox())
	first, err := e.accept(m)
	e.must(err)
	if !e.reopen() {
		return
	}
	got, err := e.accept(e.again(m, []byte("once")))
	e.must(err)
	if !got.Repeated || !reflect.DeepEqual(got.Filed, first.Filed) {
		e.t.Errorf("repeated %+v, first %+v", got, first)
	}
	e.verify(e.s.Account(a.ID()))
}

func restartClaims(e *env) {
	e.enqueue("x", nil)
	c := e.one("me")
	if !e.reopen() {
		return
	}
	if list := e.claim("you", false, 10); e.o.Bubble && len(list) != 0 {
		e.t.Errorf("claimed during another's lease: %+v", list)
	}
	e.pass(2 * e.lease())
	again := e.one("you")
	if again.Fence == c.Fence || again.Message.ID != c.Message.ID {
		e.t.Errorf("claimed %+v, before %+v", again, c)
	}
	e.wants(e.s.Queue().Finish(e.ctx, c, done(c), nil), store.ErrConflict, "finish of a claim that was lost over a restart")
	e.must(e.s.Queue().Finish(e.ctx, again, done(again), nil))
}

func restartIdentifiers(e *env) {
	a := e.account()
	boxes, messages, validities := map[store.MailboxID]bool{}, map[store.MessageID]bool{}, map[uint32]bool{}
	recipients, accounts := map[int64]bool{}, map[store.AccountID]bool{a.ID(): true}
	for i := range 4 {
		b := e.create(a, "Box")
		f := e.file(a, "x", into(b.ID))
		extra := e.account()
		entry, err := e.s.Queue().Get(e.ctx, e.enqueue("x", nil))
		e.must(err)
		r := entry.Recipients[0].ID
		if boxes[b.ID] || messages[f.Message] || validities[b.UIDValidity] || recipients[r] || accounts[extra.ID()] {
			e.t.Fatalf("restart %d: an identifier came back: %+v %+v recipient %d account %d", i, b, f, r, extra.ID())
		}
		boxes[b.ID], messages[f.Message], validities[b.UIDValidity], recipients[r], accounts[extra.ID()] = true, true, true, true, true
		e.must(a.DeleteMailbox(e.ctx, b.ID))
		e.must(e.s.Directory().RemoveAccount(e.ctx, extra.ID()))
		_, err = e.s.Queue().Remove(e.ctx, store.QueueFilter{ID: entry.ID})
		e.must(err)
		if !e.reopen() {
			return
		}
		a = e.s.Account(a.ID())
	}
	e.verify(a)
}

func restartSweeps(e *env) {
	a := e.account()
	b := e.create(a, "Big")
	n := e.o.size(500, 2000, 20_000)
	e.fileMany(a, b.ID, n)
	list := e.index(a, b.ID).Entries
	kept := e.file(a, "kept", inbox())
	e.must(a.DeleteMailbox(e.ctx, b.ID))
	if !e.reopen() {
		return
	}
	a = e.s.Account(a.ID())
	e.eventually("bodies of a deleted mailbox go after a restart", func() bool {
		for _, i := range []int{0, n / 2, n - 1} {
			if b, err := a.OpenBody(e.ctx, list[i].Message); err == nil {
				e.must(b.Close())
				return false
			}
		}
		return true
	})
	if text := e.octets(a, kept.Message); text != "kept" {
		e.t.Errorf("kept mail reads %q", text)
	}
	e.verify(a)
}
