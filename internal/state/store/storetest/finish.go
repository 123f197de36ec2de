package storetest

import (
	"errors"
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

var noticeTests = []test{
	{name: "TheNoticeComesWithTheOutcome", run: noticeComes},
	{name: "NoNoticeWithoutTheOutcome", run: noticeFails},
	{name: "AFinishRepeatedTellsOnce", run: noticeOnce},
	{name: "ANoticeHasQueueRowsOnly", run: noticeInvalid},
	{name: "ManyFinishWithNotices", run: noticeTogether},
}

// later is when nothing of a test happens any more.
func later() time.Time { return time.Now().Add(24 * time.Hour) }

// notice is a message to a sender. The caller discards its body.
func (e *env) notice(body string) *store.Acceptance {
	e.t.Helper()
	a := e.acceptance(nil, []byte(body))
	a.Queue = queueMessage(a.Key)
	a.Queue.Size = int64(len(body))
	a.Queue.Recipients = []store.QueueRecipient{rcpt("sender", later())}
	return a
}

func finishTraces(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now), rcpt("b", now))
	c := e.one("me")
	if r := c.Message.Recipients[0]; !r.LastTry.IsZero() || r.LastHost != "" || r.Route != "" || r.Notified || r.Asked {
		e.t.Errorf("before the first attempt: %+v", r)
	}
	finish := func(o store.Outcome) store.QueueRecipient {
		e.t.Helper()
		o.Recipient, o.NextTry = c.Message.Recipients[0].ID, time.Now()
		e.must(q.Finish(e.ctx, c, []store.Outcome{o}, nil))
		got, err := q.Get(e.ctx, id)
		e.must(err)
		c = e.one("me")
		return got.Recipients[0]
	}
	r := finish(store.Outcome{LastError: "450 busy", Host: "mx.remote.test [192.0.2.7]", Route: "remote.test", Notified: true})
	if !near(r.LastTry, now) || r.LastHost != "mx.remote.test [192.0.2.7]" || r.Route != "remote.test" || !r.Notified {
		e.t.Errorf("after the first attempt: %+v", r)
	}
	r = finish(store.Outcome{LastError: "nobody answered", Route: "relay x:25"})
	if r.LastHost != "" || r.Route != "relay x:25" || !r.Notified || r.Attempts != 2 {
		e.t.Errorf("after the second: %+v", r)
	}
}

func finishUntried(e *env) {
	q, id := e.s.Queue(), e.enqueue("x", nil)
	c := e.one("me")
	first := store.Outcome{Recipient: c.Message.Recipients[0].ID, NextTry: time.Now(), LastError: "450 busy", Host: "mx", Route: "remote.test"}
	e.must(q.Finish(e.ctx, c, []store.Outcome{first}, nil))
	before, err := q.Get(e.ctx, id)
	e.must(err)
	c = e.one("me")
	next := later()
	e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: first.Recipient, Untried: true, NextTry: next, LastError: "no", Host: "no", Notified: true}}, nil))
	got, err := q.Get(e.ctx, id)
	e.must(err)
	r, was := got.Recipients[0], before.Recipients[0]
	if r.Attempts != 1 || r.LastError != was.LastError || r.LastHost != was.LastHost || r.Route != was.Route || !near(r.LastTry, was.LastTry) || r.Notified || !near(r.NextTry, next) {
		e.t.Errorf("%+v, before %+v", r, was)
	}
	e.wants(q.Finish(e.ctx, c, []store.Outcome{first}, nil), store.ErrConflict, "finish of a claim given back")
}

func extendLease(e *env) {
	q, now := e.s.Queue(), time.Now()
	e.enqueue("x", nil, rcpt("a", now), rcpt("b", now))
	c := e.one("me")
	e.must(q.Finish(e.ctx, c, done(c)[:1], nil))
	for range 3 {
		e.pass(e.lease() / 2)
		until, err := q.Extend(e.ctx, c, e.lease())
		e.must(err)
		if !near(until, time.Now().Add(e.lease())) {
			e.t.Errorf("extended until %v", until)
		}
	}
	if list := e.claim("you", false, 10); len(list) != 0 {
		e.t.Errorf("claimed during an extended lease: %+v", list)
	}
	// A lease that ran out is the holder's until somebody takes it.
	e.pass(2 * e.lease())
	_, err := q.Extend(e.ctx, c, e.lease())
	e.must(err)
	if list := e.claim("you", false, 10); len(list) != 0 {
		e.t.Errorf("claimed after the lease was renewed: %+v", list)
	}
	e.must(q.Finish(e.ctx, c, done(c)[1:], nil))
	_, err = q.Extend(e.ctx, c, e.lease())
	e.wants(err, store.ErrConflict, "extension of a finished claim")
}

func extendLost(e *env) {
	q := e.s.Queue()
	e.enqueue("x", nil)
	first := e.one("me")
	e.pass(2 * e.lease())
	second := e.one("you")
	_, err := q.Extend(e.ctx, first, time.Hour)
	e.wants(err, store.ErrConflict, "extension of a lost claim")
	_, err = q.Abandon(e.ctx, "you")
	e.must(err)
	for _, c := range []store.Claim{first, second, {}} {
		_, err = q.Extend(e.ctx, c, time.Hour)
		e.wants(err, store.ErrConflict, "extension after the claim was abandoned")
	}
	e.one("third")
}

func noticeComes(e *env) {
	q := e.s.Queue()
	for i, size := range []int{100, 100_000} { // in the row, and in a place of its own
		id := e.enqueue("x", nil)
		c := e.one("me")
		body := string(fill(size, byte(i)))
		n := e.notice(body)
		e.must(q.Finish(e.ctx, c, done(c), n))
		n.Body.Discard()
		_, err := q.Get(e.ctx, id)
		e.wants(err, store.ErrNotFound, "the finished message")
		got, err := q.Get(e.ctx, n.Key)
		e.must(err)
		if len(got.Recipients) != 1 || got.Recipients[0].Address != elsewhere("sender") {
			e.t.Errorf("notice for %+v", got.Recipients)
		}
		b, err := q.OpenBody(e.ctx, n.Key)
		e.must(err)
		if text := e.drain(b); text != string(n.Queue.Head)+body {
			e.t.Errorf("the notice has %d octets", len(text))
		}
		_, err = q.Remove(e.ctx, store.QueueFilter{ID: n.Key})
		e.must(err)
	}
}

func noticeFails(e *env) {
	q, a := e.s.Queue(), e.accountOf(store.AccountRow{QuotaBytes: 10})
	id := e.enqueue("0123456789", nil, store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: time.Now()})
	c := e.claim("me", true, 10)[0]
	n := e.notice("told")
	defer n.Body.Discard()
	told := func() bool {
		e.t.Helper()
		_, err := q.Get(e.ctx, n.Key)
		if err != nil {
			e.wants(err, store.ErrNotFound, "the notice")
		}
		return err == nil
	}
	full := done(c)
	f := inbox()
	f.Head = []byte("more than fits")
	full[0].File = &f
	e.wants(q.Finish(e.ctx, c, full, n), store.ErrOverQuota, "filing into a full mailbox")
	wrong := done(c)
	wrong[0].Recipient = -1
	e.wants(q.Finish(e.ctx, c, wrong, n), store.ErrConflict, "finish of somebody else")
	if told() {
		e.t.Fatal("told of what was not stored")
	}
	if got, err := q.Get(e.ctx, id); err != nil || len(got.Recipients) != 1 {
		e.t.Fatalf("the message: %+v, %v", got, err)
	}
	// The same notice serves the next try.
	e.must(q.Finish(e.ctx, c, done(c), n))
	if !told() {
		e.t.Error("not told of what was stored")
	}
	e.verify(a)
}

func noticeOnce(e *env) {
	q := e.s.Queue()
	e.enqueue("x", nil)
	c := e.one("me")
	n := e.notice("told")
	e.must(q.Finish(e.ctx, c, done(c), n))
	n.Body.Discard()
	again := e.again(n, []byte("told"))
	defer again.Body.Discard()
	e.wants(q.Finish(e.ctx, c, done(c), again), store.ErrConflict, "finish again with its notice")
	if messages, _, err := q.Count(e.ctx); err != nil || messages != 1 {
		e.t.Errorf("%d messages, %v", messages, err)
	}
	// A key that is taken is a mistake, and then nothing is stored.
	second := e.enqueue("y", nil)
	d := e.one("me")
	e.wants(q.Finish(e.ctx, d, done(d), again), store.ErrExists, "a notice under a known key")
	if _, err := q.Get(e.ctx, second); err != nil {
		e.t.Errorf("the message: %v", err)
	}
	e.must(q.Finish(e.ctx, d, done(d), nil))
}

func noticeInvalid(e *env) {
	q, a := e.s.Queue(), e.account()
	id := e.enqueue("x", nil)
	c := e.one("me")
	files := e.notice("told")
	files.Account, files.Filings = a.ID(), []store.Filing{inbox()}
	empty := e.notice("told")
	empty.Queue = nil
	nobody := e.notice("told")
	nobody.Queue.Recipients = nil
	for name, n := range map[string]*store.Acceptance{"files": files, "empty": empty, "nobody": nobody} {
		e.wants(q.Finish(e.ctx, c, done(c), n), store.ErrInvalid, "notice that is %s", name)
		n.Body.Discard()
	}
	if _, err := q.Get(e.ctx, id); err != nil {
		e.t.Errorf("the message: %v", err)
	}
}

func noticeTogether(e *env) {
	q, n := e.s.Queue(), e.o.size(30, 100, 1000)
	for range n {
		e.enqueue("x", nil)
	}
	notices := make(chan *store.Acceptance, n)
	for i := range n {
		notices <- e.notice(fmt.Sprint("notice ", i))
	}
	e.must(together(6, func(i int) error {
		for {
			list, err := q.Claim(e.ctx, fmt.Sprint("worker ", i), false, 5, time.Hour)
			if err != nil || len(list) == 0 {
				return err
			}
			for _, c := range list {
				notice := <-notices
				err := q.Finish(e.ctx, c, done(c), notice)
				// Only one may finish it.
				if again := q.Finish(e.ctx, c, done(c), nil); err == nil && !errors.Is(again, store.ErrConflict) {
					err = fmt.Errorf("finished twice: %w", again)
				}
				notice.Body.Discard()
				if err != nil {
					return err
				}
			}
		}
	}))
	if messages, recipients, err := q.Count(e.ctx); err != nil || messages != int64(n) || recipients != int64(n) {
		e.t.Errorf("%d messages for %d recipients, %v; want %d", messages, recipients, err, n)
	}
}
