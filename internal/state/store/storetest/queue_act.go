package storetest

import (
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// recipients returns the forward-paths of a message that wait, with their states.
func (e *env) recipients(f store.QueueFilter) []string {
	e.t.Helper()
	entries, err := e.s.Queue().List(e.ctx, f)
	e.must(err)
	var list []string
	for _, m := range entries {
		for _, r := range m.Recipients {
			list = append(list, r.Address.String()+" "+r.State.String())
		}
	}
	return list
}

func actOnOne(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now.Add(time.Hour)), rcpt("b", now.Add(time.Hour)), rcpt("c", now.Add(time.Hour)))
	one := func(local string) store.QueueFilter {
		return store.QueueFilter{ID: id, Recipient: local + "@remote.test"}
	}
	all := store.QueueFilter{ID: id}
	step := func(what string, want []string, f func() (int, error)) {
		e.t.Helper()
		if n, err := f(); err != nil || n != 1 {
			e.t.Fatalf("%s: %d, %v", what, n, err)
		}
		if got := e.recipients(all); !slices.Equal(got, want) {
			e.t.Fatalf("%s: %q, want %q", what, got, want)
		}
	}
	step("hold", []string{"a@remote.test queued", "b@remote.test held", "c@remote.test queued"}, e.acts(one("B"))["Hold"])
	step("retry", []string{"a@remote.test queued", "b@remote.test held", "c@remote.test queued"}, e.acts(one("c"))["Retry"])
	if c := e.one("me"); len(c.Message.Recipients) != 1 || c.Message.Recipients[0].Address != elsewhere("c") {
		e.t.Errorf("retried one, claimed %+v", c.Message.Recipients)
	}
	step("release", []string{"a@remote.test queued", "b@remote.test queued", "c@remote.test queued"}, e.acts(one("b"))["Release"])
	step("redirect", []string{"x@remote.test queued", "b@remote.test queued", "c@remote.test queued"}, e.acts(one("a"))["Redirect"])
	step("remove", []string{"x@remote.test queued", "c@remote.test queued"}, e.acts(one("b"))["Remove"])
	_, err := q.Redirect(e.ctx, one("c"), elsewhere("y"))
	e.wants(err, store.ErrConflict, "redirect of the one being tried")
	for _, f := range []store.QueueFilter{one("x"), one("c")} {
		_, err := q.Remove(e.ctx, f)
		e.must(err)
	}
	_, err = q.Get(e.ctx, id)
	e.wants(err, store.ErrNotFound, "a message without recipients")
}

func actOnMany(e *env) {
	q, later := e.s.Queue(), time.Now().Add(time.Hour)
	n := e.o.size(520, 1100, 5000) // more than one transaction
	for range n {
		e.enqueue("x", func(m *store.QueueMessage) { m.Sender = elsewhere("many") }, rcpt("a", later),
			store.QueueRecipient{Address: mail.Address{Local: "b", Domain: "other.test"}, NextTry: later})
	}
	alone := e.enqueue("x", nil, rcpt("a", later))
	held, queued := store.Held, store.Queued
	count := func(f store.QueueFilter) int {
		e.t.Helper()
		total := 0
		for f.Limit = 1000; ; {
			page, err := q.List(e.ctx, f)
			e.must(err)
			for _, m := range page {
				total += len(m.Recipients)
				f.After = m.ID
			}
			if len(page) < f.Limit {
				return total
			}
		}
	}
	act := func(name string, f store.QueueFilter, want int) {
		e.t.Helper()
		if got, err := e.acts(f)[name](); err != nil || got != want {
			e.t.Fatalf("%s %+v: %d, %v; want %d", name, f, got, err, want)
		}
	}
	act("Hold", store.QueueFilter{Recipient: "other.test"}, n)
	if got := count(store.QueueFilter{State: &held}); got != n {
		e.t.Errorf("%d are held", got)
	}
	act("Release", store.QueueFilter{State: &held, Limit: 7}, 7)
	act("Release", store.QueueFilter{State: &held, Sender: "many@remote.test"}, n-7)
	act("Hold", store.QueueFilter{Sender: "many@remote.test", Recipient: "a@remote.test"}, n)
	act("Remove", store.QueueFilter{State: &held}, n)
	if got := count(store.QueueFilter{State: &queued}); got != n+1 {
		e.t.Errorf("%d are left", got)
	}
	act("Remove", store.QueueFilter{Recipient: "other.test"}, n)
	if got, err := q.List(e.ctx, store.QueueFilter{}); err != nil || len(got) != 1 || got[0].ID != alone {
		e.t.Errorf("left %+v, %v", got, err)
	}
}

// retryAsks: what an administrator wants tried says so until it was tried, and
// can be selected by where it goes.
func retryAsks(e *env) {
	q := e.s.Queue()
	e.enqueue("x", nil)
	other := e.enqueue("y", nil)
	for _, c := range e.claim("me", false, 10) {
		route, host := "remote.test", "mx.remote.test [192.0.2.7]"
		if c.Message.ID == other {
			route, host = "relay smart.test:25,[2001:db8::25]:587 (partners of other.test:25 here)", "Smart.test [192.0.2.25]"
		}
		e.must(q.Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, NextTry: time.Now().Add(24 * time.Hour), LastError: "451", Route: route, Host: host}}, nil))
	}
	for _, none := range []string{"relay smart.test:2", "relay smart.test:25 (", "smart.tes", "mart.test", "smart.test:2", "partners", "(partners)", "other.test:25", "192.0.2.2", "%", "_mart.test", "192.0.2.25:25"} {
		_, err := q.Retry(e.ctx, store.QueueFilter{Destination: none})
		e.wants(err, store.ErrNotFound, "retry of %q", none)
	}
	for _, way := range []string{"smart.test", "SMART.test:25", "relay smart.test:25", "2001:db8::25", "[2001:db8::25]", "[2001:DB8::25]:587", "192.0.2.25", "[192.0.2.25]", "smart.test [192.0.2.25]"} {
		if list, err := q.List(e.ctx, store.QueueFilter{Destination: way}); err != nil || len(list) != 1 || list[0].ID != other {
			e.t.Errorf("by way of %s: %+v, %v", way, list, err)
		}
	}
	if list, err := q.List(e.ctx, store.QueueFilter{Destination: "Remote.test"}); err != nil || len(list) != 1 || list[0].ID == other {
		e.t.Errorf("by the domain: %+v, %v", list, err)
	}
	if n, err := q.Hold(e.ctx, store.QueueFilter{Destination: "relay smart.test:25,[2001:db8::25]:587 (partners of other.test:25 here)"}); err != nil || n != 1 {
		e.t.Fatalf("held %d, %v", n, err)
	}
	if n, err := q.Release(e.ctx, store.QueueFilter{ID: other}); err != nil || n != 1 {
		e.t.Fatalf("released %d, %v", n, err)
	}
	if n, err := q.Retry(e.ctx, store.QueueFilter{Destination: "relay smart.test:25"}); err != nil || n != 1 {
		e.t.Fatalf("retried %d, %v", n, err)
	}
	c := e.one("me")
	if r := c.Message.Recipients[0]; c.Message.ID != other || !r.Asked || !strings.HasPrefix(r.Route, "relay smart.test:25,") {
		e.t.Errorf("claimed %s, %+v", c.Message.ID, r)
	}
	finish := func(o store.Outcome) {
		e.t.Helper()
		o.Recipient, o.NextTry = c.Message.Recipients[0].ID, time.Now()
		e.must(q.Finish(e.ctx, c, []store.Outcome{o}, nil))
		c = e.one("me")
	}
	finish(store.Outcome{Untried: true})
	if !c.Message.Recipients[0].Asked {
		e.t.Error("what was not tried is not asked for any more")
	}
	finish(store.Outcome{LastError: "451"})
	if c.Message.Recipients[0].Asked {
		e.t.Error("asked for again after the attempt")
	}
}
