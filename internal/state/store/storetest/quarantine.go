package storetest

import (
	"errors"
	"reflect"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

var quarantineTests = []test{
	{name: "ReasonsComeBack", run: reasonsComeBack},
	{name: "QuarantineIsNotPartOfTheQueue", run: quarantineApart},
	{name: "WhatIsDoneToTheQueueLeavesQuarantineAlone", run: quarantineLeftAlone},
	{name: "ReleaseDeliversOnce", run: quarantineReleased},
	{name: "RemoveTakesMessageAndBody", run: quarantineRemoved},
	{name: "ListPages", run: quarantinePages},
	{name: "OutlastsARestart", run: quarantineRestart},
	{name: "IsCountedByItself", run: quarantineCounted},
}

// quarantine accepts a message for two recipients that is held back.
func (e *env) quarantine(reason string, accepted time.Time) ident.ID {
	return e.enqueue("content", func(m *store.QueueMessage) {
		m.Quarantine, m.Junk, m.Sift, m.Accepted, m.Expires = reason, "looks like it", true, accepted, accepted.Add(48*time.Hour)
		for i := range m.Recipients {
			m.Recipients[i].State = store.Quarantined
		}
	}, rcpt("a", accepted), rcpt("b", accepted))
}

// inQuarantine selects what is.
func inQuarantine() store.QueueFilter {
	state := store.Quarantined
	return store.QueueFilter{State: &state}
}

func (e *env) quarantined() []store.QueueEntry {
	e.t.Helper()
	list, err := e.s.Queue().List(e.ctx, inQuarantine())
	e.must(err)
	return list
}

func reasonsComeBack(e *env) {
	id := e.enqueue("x", func(m *store.QueueMessage) { m.Junk, m.Sift = "the policy of remote.test", true }, rcpt("a", time.Now()))
	for _, c := range e.claim("n", false, 10) {
		if c.Message.ID != id || c.Message.Junk != "the policy of remote.test" || !c.Message.Sift || c.Message.Quarantine != "" {
			e.t.Errorf("%+v", c.Message)
		}
	}
	e.quarantine("a virus, maybe", time.Now())
	if list := e.quarantined(); len(list) != 1 || list[0].Quarantine != "a virus, maybe" || list[0].Junk != "looks like it" || !list[0].Sift ||
		len(list[0].Recipients) != 2 || list[0].Recipients[1].State.String() != "quarantined" {
		e.t.Errorf("%+v", list)
	}
}

func quarantineApart(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.quarantine("x", now)
	if got := e.claim("n", false, 10); len(got) != 0 {
		e.t.Errorf("claimed %+v", got)
	}
	if _, ok, err := q.NextDue(e.ctx, false); ok || err != nil {
		e.t.Errorf("something is due: %v", err)
	}
	if m, r, err := q.Count(e.ctx); m != 0 || r != 0 || err != nil {
		e.t.Errorf("counted %d and %d, %v", m, r, err)
	}
	if list, err := q.List(e.ctx, store.QueueFilter{}); len(list) != 0 || err != nil {
		e.t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := q.Get(e.ctx, id); !errors.Is(err, store.ErrNotFound) {
		e.t.Errorf("got by its id: %v", err)
	}
	if d, err := q.Depth(e.ctx); err != nil || !reflect.DeepEqual(d, []store.QueueDepth{{State: store.Quarantined, Recipients: 2}}) {
		e.t.Errorf("depth %+v, %v", d, err)
	}
	e.enqueue("y", nil, rcpt("c", now))
	if m, r, err := q.Count(e.ctx); m != 1 || r != 1 || err != nil {
		e.t.Errorf("counted %d and %d, %v", m, r, err)
	}
	if b, err := q.OpenBody(e.ctx, id); err != nil {
		e.t.Error(err)
	} else {
		e.must(b.Close())
	}
}

func quarantineLeftAlone(e *env) {
	q := e.s.Queue()
	id := e.quarantine("x", time.Now())
	for name, do := range map[string]func(store.QueueFilter) (int, error){
		"hold":     func(f store.QueueFilter) (int, error) { return q.Hold(e.ctx, f) },
		"release":  func(f store.QueueFilter) (int, error) { return q.Release(e.ctx, f) },
		"retry":    func(f store.QueueFilter) (int, error) { return q.Retry(e.ctx, f) },
		"remove":   func(f store.QueueFilter) (int, error) { return q.Remove(e.ctx, f) },
		"redirect": func(f store.QueueFilter) (int, error) { return q.Redirect(e.ctx, f, elsewhere("z")) },
	} {
		for _, f := range []store.QueueFilter{{ID: id}, {Recipient: "remote.test"}} {
			if n, err := do(f); n != 0 || !errors.Is(err, store.ErrNotFound) {
				e.t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		if name == "release" || name == "remove" {
			continue
		}
		if n, err := do(inQuarantine()); n != 0 || !errors.Is(err, store.ErrInvalid) {
			e.t.Errorf("%s of quarantine: %d, %v", name, n, err)
		}
	}
	if list := e.quarantined(); len(list) != 1 || len(list[0].Recipients) != 2 || list[0].Recipients[0].Address != elsewhere("a") {
		e.t.Errorf("%+v", list)
	}
}

func quarantineReleased(e *env) {
	q, now := e.s.Queue(), time.Now()
	e.quarantine("x", now.Add(-240*time.Hour))
	other := e.quarantine("y", now)
	f := inQuarantine()
	f.ID = e.quarantined()[0].ID
	f.Recipient = elsewhere("a").Key() // the judgement is about the message
	if n, err := q.Release(e.ctx, f); n != 2 || err != nil {
		e.t.Fatalf("released %d, %v", n, err)
	}
	if n, err := q.Release(e.ctx, f); n != 0 || !errors.Is(err, store.ErrNotFound) {
		e.t.Errorf("released %d again, %v", n, err)
	}
	claims := e.claim("n", false, 10)
	if len(claims) != 1 || len(claims[0].Message.Recipients) != 2 {
		e.t.Fatalf("claimed %+v", claims)
	}
	m := claims[0].Message
	if m.Quarantine != "" || m.Junk != "" || m.Sift || !near(m.Expires, now.Add(48*time.Hour)) || !near(m.Accepted, now.Add(-240*time.Hour)) {
		e.t.Errorf("%+v, now %v", m, now)
	}
	if list := e.quarantined(); len(list) != 1 || list[0].ID != other {
		e.t.Errorf("%+v", list)
	}
}

func quarantineRemoved(e *env) {
	q := e.s.Queue()
	id := e.quarantine("x", time.Now())
	f := inQuarantine()
	f.ID = id
	if n, err := q.Remove(e.ctx, f); n != 2 || err != nil {
		e.t.Errorf("removed %d, %v", n, err)
	}
	if _, err := q.OpenBody(e.ctx, id); !errors.Is(err, store.ErrNotFound) {
		e.t.Errorf("the body is there: %v", err)
	}
}

func quarantinePages(e *env) {
	want := map[ident.ID]bool{}
	for range 5 {
		want[e.quarantine("x", time.Now())] = true
		e.enqueue("y", nil, rcpt("c", time.Now()))
	}
	f := inQuarantine()
	f.Limit = 2
	for pages := 0; ; pages++ {
		list, err := e.s.Queue().List(e.ctx, f)
		e.must(err)
		for _, m := range list {
			delete(want, m.ID)
			f.After = m.ID
		}
		if len(list) < f.Limit {
			if pages != 2 || len(want) != 0 {
				e.t.Errorf("%d pages, %d missing", pages, len(want))
			}
			return
		}
	}
}

func quarantineRestart(e *env) {
	id := e.quarantine("x", time.Now())
	if !e.reopen() {
		e.t.Skip("this engine cannot be restarted here")
	}
	if list := e.quarantined(); len(list) != 1 || list[0].ID != id || list[0].Quarantine != "x" {
		e.t.Errorf("%+v", list)
	}
}

func quarantineCounted(e *env) {
	q, now := e.s.Queue(), time.Now()
	is := func(messages int64) {
		e.t.Helper()
		size := int64(0)
		for _, m := range e.quarantined() {
			size += m.Size
		}
		if n, octets, err := q.Quarantine(e.ctx); err != nil || n != messages || octets != size || (size == 0) != (n == 0) {
			e.t.Errorf("%d messages of %d octets, %v; want %d of %d", n, octets, err, messages, size)
		}
	}
	is(0)
	e.enqueue("y", nil, rcpt("c", now))
	is(0)
	var ids []ident.ID
	for range 3 {
		ids = append(ids, e.quarantine("x", now)) // two recipients each
	}
	is(3)
	f := inQuarantine()
	f.ID = ids[0]
	_, err := q.Release(e.ctx, f)
	e.must(err)
	is(2)
	f.ID = ids[1]
	_, err = q.Remove(e.ctx, f)
	e.must(err)
	is(1)
}
