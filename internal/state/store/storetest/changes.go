package storetest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/state/store"
)

var changeTests = []test{
	{name: "EveryChangeIsSeenOnce", run: changesOneByOne},
	{name: "ChangesLeadToTheIndexWhileOthersWrite", run: changesTogether},
	{name: "ALongLogReachesBackOrSaysSo", run: longLog},
	{name: "ACursorFromElsewhereIsNotComplete", run: strangeCursor},
	{name: "WatchWakesForEveryChange", run: watchWakes},
	{name: "WatchSleepsWhileOthersChange", run: watchSleeps},
	{name: "RecentIsToldOnce", run: takeRecent},
	{name: "UnknownMailboxIsGone", run: changesUnknown},
}

func changesOneByOne(e *env) {
	a := e.account()
	id, other := e.box(a, "INBOX").ID, e.create(a, "Other").ID
	start := e.index(a, id)
	step := mirrorOf(start)
	var marks []*mirror
	for i, do := range []func(){
		func() { e.fileMany(a, id, 5) },
		func() { e.set(a, id, store.FlagUpdate{UIDs: only(2, 3), Op: store.FlagsAdd, Flags: store.FlagSeen}) },
		func() { e.set(a, id, store.FlagUpdate{UIDs: only(3), Op: store.FlagsAdd, Keywords: []string{"$new"}}) },
		func() { _, _, err := a.Expunge(e.ctx, id, only(3, 4), false); e.must(err) },
		func() { _, err := a.Copy(e.ctx, id, only(1, 2), other); e.must(err) },
		func() { _, err := a.Move(e.ctx, other, all(), id); e.must(err) },
		func() { e.file(a, "x", inbox()) },
		func() { e.set(a, id, store.FlagUpdate{Op: store.FlagsReplace, Flags: store.FlagDeleted}) },
		func() { _, _, err := a.Expunge(e.ctx, id, only(1, 7), true); e.must(err) },
		func() { e.must(a.RenameMailbox(e.ctx, other, "Renamed")) },
		func() { e.must(a.RenameMailbox(e.ctx, id, "Moved")) },
	} {
		marks = append(marks, mirrorOf(e.index(a, id)))
		do()
		x := e.index(a, id)
		for j, m := range append(marks, step) {
			if !m.follow(e, a, id) {
				e.t.Fatalf("step %d: the log does not reach back to step %d", i, j)
			}
			m.same(e, x)
		}
		c, err := a.ChangesSince(e.ctx, id, x.Cursor)
		if err != nil || !c.Complete || c.Gone || len(c.Arrived)+len(c.Changed)+len(c.Expunged) > 0 || c.Cursor != x.Cursor {
			e.t.Fatalf("changes since now: %+v, %v", c, err)
		}
	}
	e.verify(a)
}

// changesTogether lets mirrors follow random changes of several writers.
func changesTogether(e *env) {
	a := e.account()
	boxes := []store.MailboxID{e.box(a, "INBOX").ID, e.create(a, "Other").ID}
	e.fileMany(a, boxes[0], 50)
	rounds := e.o.size(20, 60, 2000)
	stop := make(chan struct{})
	mirrors := make([]*mirror, 4)
	var readers sync.WaitGroup
	errs := make([]error, len(mirrors))
	for i := range mirrors {
		id := boxes[i%2]
		mirrors[i] = mirrorOf(e.index(a, id))
		p := e.pace(a, i == 0, stop)
		readers.Go(func() {
			defer p.w.Close()
			for errs[i] == nil && !p.ended() {
				errs[i] = e.quietly(func(q *env) {
					if !mirrors[i].follow(q, a, id) {
						x := q.index(a, id)
						q.recount(x)
						mirrors[i] = mirrorOf(x)
					}
				})
			}
		})
	}
	err := together(6, func(i int) error {
		random := rand.New(rand.NewPCG(7, uint64(i)))
		for range rounds {
			if err := e.randomChange(a, boxes, random); err != nil {
				return err
			}
		}
		return nil
	})
	close(stop)
	readers.Wait()
	e.must(errors.Join(append(errs, err)...))
	for i, m := range mirrors {
		x := e.index(a, boxes[i%2])
		if !m.follow(e, a, boxes[i%2]) {
			m = mirrorOf(x)
		}
		m.same(e, x)
	}
	e.verify(a)
}

// randomChange does something to the messages of two mailboxes.
func (e *env) randomChange(a store.Account, boxes []store.MailboxID, random *rand.Rand) error {
	i := random.IntN(2)
	box, other := boxes[i], boxes[1-i]
	first := store.UID(random.IntN(150) + 1)
	span := []store.UIDRange{{First: first, Last: first + store.UID(random.IntN(15))}}
	var err error
	switch random.IntN(8) {
	case 0:
		_, _, err = a.Expunge(e.ctx, box, span, random.IntN(2) == 0)
	case 1:
		_, err = a.Move(e.ctx, box, span, other)
	case 2:
		_, err = a.Copy(e.ctx, box, span[:1], other)
	case 3, 4:
		_, err = a.SetFlags(e.ctx, box, store.FlagUpdate{UIDs: span, Op: store.FlagOp(random.IntN(3)),
			Flags: store.Flags(random.Uint64()) & store.SystemFlags, Keywords: []string{string(rune('a' + random.IntN(20)))}})
	default:
		_, err = e.deliver(e.ctx, a, "x", into(box))
	}
	return err
}

func longLog(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	e.fileMany(a, id, 3)
	first := mirrorOf(e.index(a, id))
	e.set(a, id, store.FlagUpdate{UIDs: only(3), Op: store.FlagsAdd, Flags: store.FlagFlagged}) // never again
	n := e.o.size(300, 300, 50_000)
	latest := mirrorOf(e.index(a, id))
	for i := range n {
		u := store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Flags: store.FlagSeen}
		if i%2 == 1 {
			u.Op = store.FlagsRemove
		}
		e.set(a, id, u)
		if !latest.follow(e, a, id) {
			e.t.Fatalf("after change %d the log does not even reach back one change", i)
		}
	}
	x := e.index(a, id)
	latest.same(e, x)
	if first.follow(e, a, id) {
		first.same(e, x)
	}
	e.verify(a)
}

// strangeCursor asks from where this mailbox has never been, as after a restore.
func strangeCursor(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	e.fileMany(a, id, 3)
	now := e.index(a, id).Cursor
	for _, c := range []store.Cursor{{UIDNext: now.UIDNext + 5, ModSeq: now.ModSeq}, {UIDNext: now.UIDNext, ModSeq: now.ModSeq + 5}} {
		got, err := a.ChangesSince(e.ctx, id, c)
		if err != nil || got.Complete {
			e.t.Errorf("changes since %+v of a mailbox at %+v: %+v, %v", c, now, got, err)
		}
	}
}

func watchWakes(e *env) {
	a := e.account()
	id, other := e.box(a, "INBOX").ID, e.create(a, "Other").ID
	e.fileMany(a, id, 5)
	w := e.s.Watch(a.ID())
	defer w.Close()
	var made store.MailboxID
	for i, do := range []func(){
		func() { e.file(a, "x", inbox()) },
		func() { e.fileMany(a, id, 1) },
		func() { e.set(a, id, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Flags: store.FlagSeen}) },
		func() { _, err := a.Copy(e.ctx, id, only(1), other); e.must(err) },
		func() { _, err := a.Move(e.ctx, id, only(2), other); e.must(err) },
		func() { _, _, err := a.Expunge(e.ctx, id, only(3), false); e.must(err) },
		func() { made = e.create(a, "Made").ID },
		func() { e.must(a.RenameMailbox(e.ctx, made, "Renamed")) },
		func() { e.must(a.DeleteMailbox(e.ctx, made)) },
		func() { e.fileByQueue(a) },
		func() { e.must(e.s.Directory().RemoveAccount(e.ctx, a.ID())) },
	} {
		select { // hints may come late and once more
		case <-w.C:
		default:
		}
		do()
		select {
		case <-w.C:
		case <-time.After(time.Minute):
			e.t.Fatalf("change %d woke nobody", i)
		}
	}
}

func watchSleeps(e *env) {
	a, other := e.account(), e.account()
	w, closed := e.s.Watch(a.ID()), e.s.Watch(a.ID())
	defer w.Close()
	closed.Close()
	e.pass(e.lease() / 10)
	select {
	case <-w.C:
	default:
	}
	e.file(other, "x", inbox())
	e.pass(e.lease() / 10)
	select {
	case <-w.C:
		e.t.Error("a change of another account woke the watch")
	default:
	}
	e.file(a, "x", inbox())
	<-w.C
	select {
	case <-closed.C:
		e.t.Error("a closed watch woke")
	default:
	}
}

func takeRecent(e *env) {
	a := e.account()
	id := e.box(a, "INBOX").ID
	take := func(want store.UID) {
		e.t.Helper()
		if got, err := a.TakeRecent(e.ctx, id); err != nil || got != want {
			e.t.Errorf("recent from %d on (%v), want %d", got, err, want)
		}
	}
	take(1)
	e.fileMany(a, id, 3)
	take(1)
	take(4)
	e.fileMany(a, id, 2)
	e.set(a, id, store.FlagUpdate{Op: store.FlagsAdd, Flags: store.FlagSeen})
	before := e.state(a)
	take(4)
	e.unchanged(a, before)
	take(6)
	_, _, err := a.Expunge(e.ctx, id, all(), false)
	e.must(err)
	take(6)
	// Of many sessions one is told.
	e.fileMany(a, id, 1)
	var told atomic.Int64
	e.must(together(8, func(int) error {
		first, err := a.TakeRecent(e.ctx, id)
		if first == 6 {
			told.Add(1)
		}
		return err
	}))
	if told.Load() != 1 {
		e.t.Errorf("%d sessions were told of one recent message", told.Load())
	}
	_, err = a.TakeRecent(e.ctx, 1_000_000)
	e.wants(err, store.ErrNotFound, "recent of no mailbox")
}

func changesUnknown(e *env) {
	a := e.account()
	if c, err := a.ChangesSince(e.ctx, 1_000_000, store.Cursor{UIDNext: 1, ModSeq: 1}); err != nil || !c.Gone {
		e.t.Errorf("changes of no mailbox: %+v, %v", c, err)
	}
	_, err := a.Index(e.ctx, 1_000_000)
	e.wants(err, store.ErrNotFound, "index of no mailbox")
}
