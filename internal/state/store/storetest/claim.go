package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

var claimTests = []test{
	{name: "DueRecipientsOfOneMessageComeTogether", run: claimTogether},
	{name: "LocalAndElsewhereAreApart", run: claimKinds},
	{name: "AClaimIsLeasedUntilItsEnd", run: claimLease},
	{name: "AClaimIsSeenWhileItLasts", run: claimSeen},
	{name: "LostClaimsConflict", run: claimLost},
	{name: "FinishedOnceOnly", run: finishOnce},
	{name: "DeferredRecipientsComeBack", run: finishDefers},
	{name: "AnOutcomeMayHold", run: finishHolds},
	{name: "FilingMarksDoneInOneCommit", run: finishFiles},
	{name: "FilingThatFailsLeavesTheClaim", run: finishFileFails},
	{name: "AbandonedClaimsAreDueAgain", run: claimAbandoned},
	{name: "RemovedMeanwhileConflicts", run: removedMeanwhile},
	{name: "AnAttemptLeavesItsTraces", run: finishTraces},
	{name: "WhatWasNotTriedDoesNotCount", run: finishUntried},
	{name: "ALeaseIsExtended", run: extendLease},
	{name: "ALostLeaseIsNotExtended", run: extendLost},
	{name: "ManyOwnersClaimDisjointly", run: claimDisjoint},
	{name: "ManyWorkersFileEachMessageOnce", run: fileOnceTogether},
}

// claim claims what is due for the usual lease.
func (e *env) claim(owner string, local bool, limit int) []store.Claim {
	e.t.Helper()
	list, err := e.s.Queue().Claim(e.ctx, owner, local, limit, e.lease())
	e.must(err)
	return list
}

// one claims the only message that is due.
func (e *env) one(owner string) store.Claim {
	e.t.Helper()
	list := e.claim(owner, false, 10)
	if len(list) != 1 {
		e.t.Fatalf("%d claims, want 1", len(list))
	}
	return list[0]
}

// done is the outcome of every recipient of a claim.
func done(c store.Claim) []store.Outcome {
	var list []store.Outcome
	for _, r := range c.Message.Recipients {
		list = append(list, store.Outcome{Recipient: r.ID, Done: true})
	}
	return list
}

// claimSeen: administrators see who has claimed what, and no ended claim.
func claimSeen(e *env) {
	now, q := time.Now(), e.s.Queue()
	id := e.enqueue("content", nil, rcpt("a", now), rcpt("later", now.Add(time.Hour)))
	see := func(when string, want ...string) {
		e.t.Helper()
		x, err := q.Get(e.ctx, id)
		e.must(err)
		var got []string
		for _, r := range x.Recipients {
			got = append(got, r.Address.Local+":"+r.Claimed)
		}
		if !slices.Equal(got, want) {
			e.t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	take := func(owner string, lease time.Duration) store.Claim {
		e.t.Helper()
		list, err := q.Claim(e.ctx, owner, false, 1, lease)
		e.must(err)
		if len(list) != 1 {
			e.t.Fatalf("%d claims", len(list))
		}
		return list[0]
	}
	see("before", "a:", "later:")
	c := take("node/remote", time.Hour)
	see("claimed", "a:node/remote", "later:")
	_, err := q.Hold(e.ctx, store.QueueFilter{ID: id})
	e.must(err)
	see("held, the attempt goes on", "a:node/remote", "later:")
	_, err = q.Release(e.ctx, store.QueueFilter{ID: id})
	e.must(err)
	e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, NextTry: now}}, nil))
	see("deferred", "a:", "later:")
	take("node/remote", e.lease())
	e.pass(e.lease() + time.Second)
	see("the lease has ended", "a:", "later:")
	take("other/remote", 30*time.Minute)
	see("claimed by another", "a:other/remote", "later:")
	_, err = q.Abandon(e.ctx, "other/remote")
	e.must(err)
	see("abandoned", "a:", "later:")
}

func claimTogether(e *env) {
	now := time.Now()
	id := e.enqueue("content", nil, rcpt("a", now), rcpt("later", now.Add(time.Hour)), rcpt("b", now.Add(-time.Hour)))
	c := e.one("me")
	if c.Message.ID != id || len(c.Message.Recipients) != 2 || !near(c.Until, now.Add(e.lease())) || c.Message.Sender != address("sender") ||
		string(c.Message.Meta) != "queue meta" || string(c.Message.Head) != "Received: queue\r\n" {
		e.t.Errorf("claim %+v", c)
	}
	b, err := c.BodyOpener(e.ctx)
	e.must(err)
	if text := e.drain(b); text != "Received: queue\r\ncontent" {
		e.t.Errorf("body %q", text)
	}
	if again := e.claim("you", false, 10); len(again) != 0 {
		e.t.Errorf("claimed twice: %+v", again)
	}
	e.must(e.s.Queue().Finish(e.ctx, c, done(c), nil))
	if got, err := e.s.Queue().Get(e.ctx, id); err != nil || len(got.Recipients) != 1 || got.Recipients[0].Address != elsewhere("later") {
		e.t.Errorf("left %+v, %v", got, err)
	}
	// A limit counts messages and takes those due longest.
	var ids []ident.ID
	for i := range 5 {
		at := now.Add(time.Duration(i-10) * time.Minute)
		ids = append(ids, e.enqueue("x", nil, rcpt("a", at), rcpt("b", at)))
	}
	for _, want := range [][]ident.ID{ids[:1], ids[1:2], ids[2:]} {
		limit := 1
		if len(want) > 1 {
			limit = 10
		}
		var got []ident.ID
		for _, c := range e.claim("me", false, limit) {
			got = append(got, c.Message.ID)
			if len(c.Message.Recipients) != 2 {
				e.t.Errorf("%d recipients of %s are claimed", len(c.Message.Recipients), c.Message.ID)
			}
		}
		if !slices.Equal(got, want) {
			e.t.Errorf("claimed %v, want %v", got, want)
		}
	}
}

func claimKinds(e *env) {
	a, now := e.account(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now), store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: now})
	here, there := e.claim("me", true, 10), e.claim("me", false, 10)
	if len(here) != 1 || len(there) != 1 || here[0].Message.ID != id || there[0].Message.ID != id ||
		len(here[0].Message.Recipients) != 1 || here[0].Message.Recipients[0].Local != a.ID() ||
		len(there[0].Message.Recipients) != 1 || there[0].Message.Recipients[0].Local != 0 {
		e.t.Fatalf("local %+v, elsewhere %+v", here, there)
	}
	e.must(e.s.Queue().Finish(e.ctx, here[0], done(here[0]), nil))
	e.must(e.s.Queue().Finish(e.ctx, there[0], done(there[0]), nil))
	_, err := e.s.Queue().Get(e.ctx, id)
	e.wants(err, store.ErrNotFound, "a message without recipients")
}

func claimLease(e *env) {
	e.enqueue("x", nil)
	first := e.one("me")
	if at, found, err := e.s.Queue().NextDue(e.ctx, false); err != nil || !found || !near(at, first.Until) {
		e.t.Errorf("a claimed recipient is due at %v %v (%v), the lease ends at %v", at, found, err, first.Until)
	}
	e.pass(e.lease() / 2)
	if list := e.claim("you", false, 10); len(list) != 0 {
		e.t.Errorf("claimed during another's lease: %+v", list)
	}
	e.pass(e.lease())
	second := e.one("you")
	if second.Fence == first.Fence {
		e.t.Error("the fence is the same")
	}
	e.must(e.s.Queue().Finish(e.ctx, second, done(second), nil))
}

func claimLost(e *env) {
	q := e.s.Queue()
	id := e.enqueue("x", nil)
	first := e.one("me")
	e.pass(2 * e.lease())
	second := e.one("you")
	for range 2 {
		e.wants(q.Finish(e.ctx, first, done(first), nil), store.ErrConflict, "finish of a lost claim")
		e.wants(q.Finish(e.ctx, first, []store.Outcome{{Recipient: first.Message.Recipients[0].ID, NextTry: time.Now(), LastError: "lost"}}, nil),
			store.ErrConflict, "deferral of a lost claim")
	}
	got, err := q.Get(e.ctx, id)
	e.must(err)
	if r := got.Recipients[0]; r.LastError != "" || r.Attempts != 0 {
		e.t.Errorf("a lost claim left %+v", r)
	}
	e.must(q.Finish(e.ctx, second, done(second), nil))
	e.wants(q.Finish(e.ctx, first, done(first), nil), store.ErrConflict, "finish of a lost claim after the other's")
}

func claimAbandoned(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now), rcpt("b", now))
	mine := e.one("me")
	e.enqueue("y", nil)
	yours := e.one("you")
	for _, want := range []int{2, 0} {
		n, err := q.Abandon(e.ctx, "me")
		if err != nil || n != want {
			e.t.Fatalf("abandoned %d, %v; want %d", n, err, want)
		}
	}
	e.wants(q.Finish(e.ctx, mine, done(mine), nil), store.ErrConflict, "finish of an abandoned claim")
	again := e.one("other")
	if again.Message.ID != id || len(again.Message.Recipients) != 2 || again.Fence == mine.Fence || again.Message.Recipients[0].Attempts != 0 {
		e.t.Errorf("claimed %+v, before %+v", again, mine)
	}
	e.wants(q.Finish(e.ctx, mine, done(mine), nil), store.ErrConflict, "finish of an abandoned claim that another has")
	e.must(q.Finish(e.ctx, again, done(again), nil))
	e.must(q.Finish(e.ctx, yours, done(yours), nil))
}

func finishOnce(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now), rcpt("b", now))
	c := e.one("me")
	outcomes := done(c)
	e.must(q.Finish(e.ctx, c, outcomes[:1], nil))
	e.wants(q.Finish(e.ctx, c, outcomes[:1], nil), store.ErrConflict, "finish one again")
	e.wants(q.Finish(e.ctx, c, outcomes, nil), store.ErrConflict, "finish both, one of them again")
	if got, err := q.Get(e.ctx, id); err != nil || len(got.Recipients) != 1 {
		e.t.Fatalf("outcomes were stored in part: %+v, %v", got, err)
	}
	// Recipients of other messages are none of this claim's business.
	other := e.enqueue("y", nil)
	y := e.one("me")
	e.wants(q.Finish(e.ctx, c, done(y), nil), store.ErrConflict, "finish another message's recipient")
	if _, err := q.Get(e.ctx, other); err != nil {
		e.t.Errorf("another message: %v", err)
	}
	e.must(q.Finish(e.ctx, c, outcomes[1:], nil))
	_, err := q.Get(e.ctx, id)
	e.wants(err, store.ErrNotFound, "a message whose recipients are all done")
}

func finishDefers(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil)
	for attempts := 1; attempts <= 3; attempts++ {
		c := e.one("me")
		next := time.Now().Add(e.lease() * 3)
		e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, NextTry: next, LastError: fmt.Sprint("error ", attempts)}}, nil))
		got, err := q.Get(e.ctx, id)
		e.must(err)
		if r := got.Recipients[0]; r.Attempts != attempts || r.LastError != fmt.Sprint("error ", attempts) || !near(r.NextTry, next) || r.State != store.Queued {
			e.t.Errorf("deferred: %+v", r)
		}
		e.pass(e.lease() * 2) // the old lease does not count any more
		if list := e.claim("me", false, 10); len(list) != 0 {
			e.t.Fatalf("claimed before the next try: %+v", list)
		}
		e.pass(e.lease() + e.lease()/10)
	}
	if c := e.one("me"); c.Message.Recipients[0].Attempts != 3 || c.Message.Recipients[0].LastError != "error 3" || !near(c.Message.Accepted, now) {
		e.t.Errorf("claim %+v", c)
	}
}

func finishHolds(e *env) {
	q := e.s.Queue()
	id := e.enqueue("x", nil)
	c := e.one("me")
	e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, State: store.Held, NextTry: time.Now(), LastError: "look at this"}}, nil))
	if list := e.claim("me", false, 10); len(list) != 0 {
		e.t.Errorf("a held recipient is claimed: %+v", list)
	}
	if got, err := q.Get(e.ctx, id); err != nil || got.Recipients[0].State != store.Held || got.Recipients[0].LastError != "look at this" {
		e.t.Errorf("held: %+v, %v", got, err)
	}
	// A hold during an attempt holds what the attempt defers.
	_, err := q.Release(e.ctx, store.QueueFilter{ID: id})
	e.must(err)
	c = e.one("me")
	_, err = q.Hold(e.ctx, store.QueueFilter{ID: id})
	e.must(err)
	e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, NextTry: time.Now()}}, nil))
	if list := e.claim("me", false, 10); len(list) != 0 {
		e.t.Errorf("a recipient held during its attempt is claimed: %+v", list)
	}
}

func finishFiles(e *env) {
	q, a := e.s.Queue(), e.account()
	for i, n := range []int{10, 100_000} {
		body := string(fill(n, 2))
		local := func(name string) store.QueueRecipient {
			return store.QueueRecipient{Address: address(name), Local: a.ID(), NextTry: time.Now()}
		}
		id := e.enqueue(body, nil, local("one"), local("two"))
		c := e.claim("me", true, 10)[0]
		outcomes := done(c)
		for j := range outcomes {
			outcomes[j].File = &store.Filing{Role: store.RoleInbox, Head: fmt.Appendf(nil, "For: %d\r\n", j), Meta: []byte("filed"),
				Keywords: []string{"$queued"}, Internal: time.UnixMicro(99)}
		}
		e.must(q.Finish(e.ctx, c, outcomes, nil))
		e.wants(q.Finish(e.ctx, c, outcomes, nil), store.ErrConflict, "filing again")
		x := e.index(a, e.box(a, "INBOX").ID)
		if len(x.Entries) != 2*(i+1) {
			e.t.Fatalf("%d messages are filed", len(x.Entries))
		}
		for j, m := range x.Entries[2*i:] {
			// The head of the queue was for the queue.
			if text := e.octets(a, m.Message); text != fmt.Sprintf("For: %d\r\n", j)+body {
				e.t.Errorf("filed %d octets, want %d more than %d", len(text), 8, n)
			}
			if m.Internal != 99 || m.Flags != 1<<store.FirstKeyword {
				e.t.Errorf("filed as %+v", m)
			}
		}
		_, err := q.Get(e.ctx, id)
		e.wants(err, store.ErrNotFound, "a filed message in the queue")
		e.verify(a)
	}
}

func finishFileFails(e *env) {
	q, a := e.s.Queue(), e.accountOf(store.AccountRow{QuotaBytes: 10})
	now := time.Now()
	id := e.enqueue("0123456789", nil, store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: now},
		store.QueueRecipient{Address: address("m"), Local: a.ID(), NextTry: now})
	c := e.claim("me", true, 10)[0]
	before := e.state(a)
	try := func(want error, f store.Filing, outcomes []store.Outcome) {
		e.t.Helper()
		for i := range outcomes {
			outcomes[i].File = &f
		}
		e.wants(q.Finish(e.ctx, c, outcomes, nil), want, "filing %+v", f)
		e.unchanged(a, before)
		if got, err := q.Get(e.ctx, id); err != nil || len(got.Recipients) != 2 {
			e.t.Fatalf("after a filing that failed: %+v, %v", got, err)
		}
	}
	try(store.ErrNotFound, into(1_000_000), done(c)[:1])
	try(store.ErrOverQuota, inbox(), done(c))
	stranger := e.account()
	try(store.ErrNotFound, into(e.box(stranger, "INBOX").ID), done(c)[:1])
	ok := done(c)
	file := inbox()
	ok[0].File = &file
	e.must(q.Finish(e.ctx, c, ok, nil))
	e.verify(a)
}

func removedMeanwhile(e *env) {
	q, a := e.s.Queue(), e.account()
	id := e.enqueue("x", nil, store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: time.Now()})
	c := e.claim("me", true, 10)[0]
	_, err := q.Remove(e.ctx, store.QueueFilter{ID: id})
	e.must(err)
	file := inbox()
	outcomes := done(c)
	outcomes[0].File = &file
	e.wants(q.Finish(e.ctx, c, outcomes, nil), store.ErrConflict, "finish of a removed message")
	if u, err := a.Usage(e.ctx); err != nil || u.Messages != 0 {
		e.t.Errorf("a removed message was filed: %+v, %v", u, err)
	}
	if _, err := c.BodyOpener(e.ctx); err == nil {
		e.t.Error("the body of a removed message opens")
	}
}

func claimDisjoint(e *env) {
	const owners = 8
	n := e.o.size(40, 150, 2000)
	for range n {
		e.enqueue("x", nil, rcpt("a", time.Now()), rcpt("b", time.Now()))
	}
	var mu sync.Mutex
	taken := map[int64]string{}
	e.must(together(owners, func(i int) error {
		owner := fmt.Sprint("owner ", i)
		for {
			list, err := e.s.Queue().Claim(e.ctx, owner, false, 7, time.Hour)
			if err != nil {
				return err
			}
			mu.Lock()
			for _, c := range list {
				for _, r := range c.Message.Recipients {
					if other, twice := taken[r.ID]; twice {
						err = fmt.Errorf("recipient %d is claimed by %s and %s", r.ID, other, owner)
					}
					taken[r.ID] = owner
				}
			}
			enough := len(taken) == 2*n
			mu.Unlock()
			if err != nil || enough {
				return err
			}
		}
	}))
	if list := e.claim("late", false, 10); len(list) != 0 {
		e.t.Errorf("still due: %+v", list)
	}
}

func fileOnceTogether(e *env) {
	a := e.account()
	n := e.o.size(20, 80, 2000)
	for i := range n {
		e.enqueue(fmt.Sprint("message ", i), nil, store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: time.Now()})
	}
	e.must(together(8, func(i int) error {
		for {
			left, _, err := e.s.Queue().Count(e.ctx)
			if err != nil || left == 0 {
				return err
			}
			list, err := e.s.Queue().Claim(e.ctx, fmt.Sprint("worker ", i), true, 5, time.Hour)
			if err != nil {
				return err
			}
			for _, c := range list {
				file := inbox()
				err := e.s.Queue().Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, Done: true, File: &file}}, nil)
				if err != nil {
					return err
				}
			}
		}
	}))
	seen := map[string]bool{}
	for _, m := range e.index(a, e.box(a, "INBOX").ID).Entries {
		text := e.octets(a, m.Message)
		if seen[text] {
			e.t.Errorf("%q was filed twice", text)
		}
		seen[text] = true
	}
	if len(seen) != n {
		e.t.Errorf("%d of %d messages were filed", len(seen), n)
	}
	e.verify(a)
}
