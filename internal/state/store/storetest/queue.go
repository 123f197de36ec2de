package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var queueTests = []test{
	{name: "AnEnvelopeComesBackWhole", run: envelopeWhole},
	{name: "ListFilters", run: listFilters},
	{name: "ListPages", run: listPages},
	{name: "HoldAndRelease", run: holdRelease},
	{name: "RetryMakesDue", run: retryDue},
	{name: "RedirectChangesTheAddress", run: redirect},
	{name: "RemoveTakesMessageAndBody", run: removeQueued},
	{name: "UnknownMessagesAreNotFound", run: queueUnknown},
	{name: "NextDueIsTheEarliest", run: nextDue},
	{name: "WakeTellsOfNewRows", run: queueWake},
	{name: "HostileTextIsStored", run: hostileText},
	{name: "OneRecipientOfAMessageIsActedOn", run: actOnOne},
	{name: "ManyMessagesAreActedOn", run: actOnMany},
	{name: "RetryAsksForAnAttempt", run: retryAsks},
}

// elsewhere is an address that is not local.
func elsewhere(local string) mail.Address {
	return mail.Address{Local: local, Domain: "remote.test"}
}

// rcpt is a recipient elsewhere that is due at a time.
func rcpt(local string, at time.Time) store.QueueRecipient {
	return store.QueueRecipient{Address: elsewhere(local), NextTry: at}
}

// enqueue accepts a message for the queue alone.
func (e *env) enqueue(body string, change func(m *store.QueueMessage), recipients ...store.QueueRecipient) ident.ID {
	e.t.Helper()
	a := e.acceptance(nil, []byte(body))
	a.Queue = queueMessage(a.Key)
	a.Queue.Size = int64(len(body))
	if len(recipients) > 0 {
		a.Queue.Recipients = recipients
	}
	if change != nil {
		change(a.Queue)
	}
	_, err := e.accept(a)
	e.must(err)
	return a.Key
}

// fileByQueue brings a message to an account's INBOX through the queue.
func (e *env) fileByQueue(a store.Account) {
	e.t.Helper()
	e.enqueue("by queue", nil, store.QueueRecipient{Address: address("local"), Local: a.ID(), NextTry: time.Now()})
	for _, c := range e.claim("filer", true, 10) {
		f := inbox()
		e.must(e.s.Queue().Finish(e.ctx, c, []store.Outcome{{Recipient: c.Message.Recipients[0].ID, Done: true, File: &f}}, nil))
	}
}

func envelopeWhole(e *env) {
	a := e.account()
	now := time.Now().Truncate(time.Microsecond)
	id := e.enqueue("content", func(m *store.QueueMessage) {
		*m = store.QueueMessage{
			ID: m.ID, Sender: mail.Address{Local: "sén.der", Domain: "remote.test"}, Account: a.ID(), Client: "[192.0.2.1]",
			Head: []byte("Received: x\r\n"), Meta: []byte{0, 1, 255}, Size: 7, Accepted: now, Expires: now.Add(48 * time.Hour),
			Return: "HDRS", EnvelopeID: "QQ=314 +é", SMTPUTF8: true, EightBit: true, Binary: true, RequireTLS: true,
			Recipients: []store.QueueRecipient{
				{Address: mail.Address{Local: "b ob", Domain: "remote.test"}, Original: "rfc822;bob@example.test", Notify: store.NotifySuccess | store.NotifyDelay,
					NextTry: now.Add(time.Hour), Attempts: 3, LastError: "451 later", State: store.Held},
				{Address: address("here"), Local: a.ID(), NextTry: now},
				{Address: mail.Address{Local: "postmaster"}, NextTry: now.Add(time.Minute)},
			},
		}
	})
	got, err := e.s.Queue().Get(e.ctx, id)
	e.must(err)
	if !near(got.Due, now) || !near(got.Accepted, now) || !near(got.Expires, now.Add(48*time.Hour)) {
		e.t.Errorf("times %v %v %v, now %v", got.Due, got.Accepted, got.Expires, now)
	}
	m := got.QueueMessage
	recipients := m.Recipients
	m.Recipients, m.Accepted, m.Expires, m.Head = nil, time.Time{}, time.Time{}, nil // the head is part of the body now
	want := store.QueueMessage{ID: id, Sender: mail.Address{Local: "sén.der", Domain: "remote.test"}, Account: a.ID(), Client: "[192.0.2.1]",
		Meta: []byte{0, 1, 255}, Size: 7, Return: "HDRS", EnvelopeID: "QQ=314 +é", SMTPUTF8: true, EightBit: true, Binary: true, RequireTLS: true}
	if !reflect.DeepEqual(m, want) {
		e.t.Errorf("message %+v, want %+v", m, want)
	}
	if len(recipients) != 3 || recipients[0].ID == recipients[1].ID || recipients[0].ID == 0 {
		e.t.Fatalf("recipients %+v", recipients)
	}
	r := recipients[0]
	if r.Address.Local != "b ob" || r.Original != "rfc822;bob@example.test" || r.Notify != store.NotifySuccess|store.NotifyDelay ||
		!near(r.NextTry, now.Add(time.Hour)) || r.Attempts != 3 || r.LastError != "451 later" || r.State != store.Held || r.Local != 0 {
		e.t.Errorf("recipient %+v", r)
	}
	if r := recipients[1]; r.Local != a.ID() || r.State != store.Queued || !near(r.NextTry, now) {
		e.t.Errorf("local recipient %+v", r)
	}
	if r := recipients[2]; r.Address != (mail.Address{Local: "postmaster"}) {
		e.t.Errorf("recipient without domain %+v", r)
	}
	null := e.enqueue("bounce", func(m *store.QueueMessage) { m.Sender = mail.Address{} })
	if got, err := e.s.Queue().Get(e.ctx, null); err != nil || !got.Sender.IsNull() {
		e.t.Errorf("null reverse-path is %+v, %v", got.Sender, err)
	}
	b, err := e.s.Queue().OpenBody(e.ctx, id)
	e.must(err)
	if text := e.drain(b); text != "Received: x\r\ncontent" {
		e.t.Errorf("body %q", text)
	}
}

// near allows for clocks that are kept apart (see store.Queue).
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 2*time.Second }

// list returns ids in the order listed.
func (e *env) list(f store.QueueFilter) []ident.ID {
	e.t.Helper()
	entries, err := e.s.Queue().List(e.ctx, f)
	e.must(err)
	var ids []ident.ID
	for _, x := range entries {
		ids = append(ids, x.ID)
	}
	return ids
}

func listFilters(e *env) {
	now := time.Now()
	one := e.enqueue("1", func(m *store.QueueMessage) { m.Sender = elsewhere("Ann") }, rcpt("x", now), store.QueueRecipient{Address: address("Yves"), NextTry: now.Add(time.Hour)})
	two := e.enqueue("2", func(m *store.QueueMessage) { m.Sender = address("bert") }, rcpt("x", now.Add(time.Minute)))
	three := e.enqueue("3", func(m *store.QueueMessage) { m.Sender = mail.Address{} },
		store.QueueRecipient{Address: elsewhere("z"), NextTry: now, State: store.Held}, rcpt("x2", now))
	held, queued := store.Held, store.Queued
	for _, c := range []struct {
		filter store.QueueFilter
		want   []ident.ID
	}{
		{store.QueueFilter{}, []ident.ID{one, two, three}},
		{store.QueueFilter{ID: two}, []ident.ID{two}},
		{store.QueueFilter{ID: e.ids.New()}, nil},
		{store.QueueFilter{Sender: "ann@remote.test"}, []ident.ID{one}},
		{store.QueueFilter{Sender: domain}, []ident.ID{two}},
		{store.QueueFilter{Recipient: "x@remote.test"}, []ident.ID{one, two}},
		{store.QueueFilter{Recipient: "remote.test"}, []ident.ID{one, two, three}},
		{store.QueueFilter{Recipient: "yves@" + domain}, []ident.ID{one}},
		{store.QueueFilter{Recipient: "nobody@" + domain}, nil},
		{store.QueueFilter{State: &held}, []ident.ID{three}},
		{store.QueueFilter{State: &queued}, []ident.ID{one, two, three}},
		{store.QueueFilter{Sender: domain, Recipient: "remote.test", State: &queued}, []ident.ID{two}},
		{store.QueueFilter{Sender: domain, State: &held}, nil},
		{store.QueueFilter{ID: one, Sender: domain}, nil},
	} {
		if got := e.list(c.filter); !slices.Equal(got, c.want) {
			e.t.Errorf("filter %+v finds %v, want %v", c.filter, got, c.want)
		}
	}
	entries, err := e.s.Queue().List(e.ctx, store.QueueFilter{Recipient: domain})
	if err != nil || len(entries) != 1 || len(entries[0].Recipients) != 1 || !near(entries[0].Due, now.Add(time.Hour)) {
		e.t.Errorf("only matching recipients: %+v, %v", entries, err)
	}
	if messages, recipients, err := e.s.Queue().Count(e.ctx); err != nil || messages != 3 || recipients != 5 {
		e.t.Errorf("count %d/%d, %v", messages, recipients, err)
	}
}

func listPages(e *env) {
	var ids []ident.ID
	for range 120 {
		ids = append(ids, e.enqueue("x", nil))
	}
	var got []ident.ID
	for after := (ident.ID{}); ; {
		page := e.list(store.QueueFilter{After: after, Limit: 33})
		got = append(got, page...)
		if len(page) < 33 {
			break
		}
		after = page[32]
	}
	if !slices.Equal(got, ids) {
		e.t.Errorf("%d ids in pages, want %d", len(got), len(ids))
	}
	if n := len(e.list(store.QueueFilter{})); n != 100 {
		e.t.Errorf("without limit %d entries", n)
	}
}

func holdRelease(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now), rcpt("b", now.Add(time.Hour)))
	for range 2 {
		n, err := q.Hold(e.ctx, store.QueueFilter{ID: id})
		if err != nil || n != 2 {
			e.t.Fatalf("held %d, %v", n, err)
		}
	}
	if c := e.claim("me", false, 10); len(c) != 0 {
		e.t.Errorf("held recipients are claimed: %+v", c)
	}
	if at, found, err := q.NextDue(e.ctx, false); err != nil || found {
		e.t.Errorf("held recipients are due at %v, %v", at, err)
	}
	n, err := q.Release(e.ctx, store.QueueFilter{ID: id})
	if err != nil || n != 2 {
		e.t.Fatalf("released %d, %v", n, err)
	}
	claims := e.claim("me", false, 10)
	if len(claims) != 1 || len(claims[0].Message.Recipients) != 1 || claims[0].Message.Recipients[0].Address != elsewhere("a") {
		e.t.Errorf("after the release %+v is due", claims)
	}
}

func retryDue(e *env) {
	q, now := e.s.Queue(), time.Now()
	id := e.enqueue("x", nil, rcpt("a", now.Add(time.Hour)), rcpt("b", now.Add(24*time.Hour)))
	if c := e.claim("me", false, 10); len(c) != 0 {
		e.t.Fatalf("claimed before its time: %+v", c)
	}
	n, err := q.Retry(e.ctx, store.QueueFilter{ID: id})
	if err != nil || n != 2 {
		e.t.Fatalf("retried %d, %v", n, err)
	}
	if at, found, err := q.NextDue(e.ctx, false); err != nil || !found || !near(at, now) {
		e.t.Errorf("due at %v %v, %v", at, found, err)
	}
	if c := e.claim("me", false, 10); len(c) != 1 || len(c[0].Message.Recipients) != 2 {
		e.t.Errorf("after the retry %+v is due", c)
	}
}

func redirect(e *env) {
	q, a := e.s.Queue(), e.account()
	now := time.Now()
	id := e.enqueue("x", nil, rcpt("a", now.Add(time.Hour)), rcpt("b", now.Add(time.Hour)))
	n, err := q.Redirect(e.ctx, store.QueueFilter{ID: id}, elsewhere("new"))
	if err != nil || n != 2 {
		e.t.Fatalf("redirected %d, %v", n, err)
	}
	if got := e.list(store.QueueFilter{Recipient: "new@remote.test"}); !slices.Equal(got, []ident.ID{id}) {
		e.t.Errorf("found under the new address: %v", got)
	}
	if got := e.list(store.QueueFilter{Recipient: "a@remote.test"}); len(got) != 0 {
		e.t.Errorf("found under the old address: %v", got)
	}
	row, err := e.s.Directory().GetAccount(e.ctx, a.ID())
	e.must(err)
	_, err = q.Redirect(e.ctx, store.QueueFilter{ID: id}, row.Addresses[0])
	e.must(err)
	got, err := q.Get(e.ctx, id)
	e.must(err)
	for _, r := range got.Recipients {
		if r.Local != a.ID() || r.Address != row.Addresses[0] {
			e.t.Errorf("redirected to an account: %+v", r)
		}
	}
	_, err = q.Redirect(e.ctx, store.QueueFilter{ID: id}, mail.Address{})
	e.wants(err, store.ErrInvalid, "redirect to the null address")
}

func removeQueued(e *env) {
	q, a := e.s.Queue(), e.account()
	body := string(fill(50_000, 1))
	m := e.acceptance(a, []byte(body), inbox())
	m.Queue = queueMessage(m.Key)
	m.Queue.Recipients = append(m.Queue.Recipients, rcpt("second", time.Now()))
	got, err := e.accept(m)
	e.must(err)
	n, err := q.Remove(e.ctx, store.QueueFilter{ID: m.Key})
	if err != nil || n != 2 {
		e.t.Fatalf("removed %d, %v", n, err)
	}
	_, err = q.Get(e.ctx, m.Key)
	e.wants(err, store.ErrNotFound, "removed message")
	_, err = q.OpenBody(e.ctx, m.Key)
	e.wants(err, store.ErrNotFound, "body of a removed message")
	if text := e.octets(a, got.Filed[0].Message); text != body {
		e.t.Error("the filed copy lost its body")
	}
	if messages, recipients, err := q.Count(e.ctx); err != nil || messages+recipients != 0 {
		e.t.Errorf("count %d/%d, %v", messages, recipients, err)
	}
	// The other way round: the queue keeps what was expunged.
	m = e.acceptance(a, []byte(body), inbox())
	m.Queue = queueMessage(m.Key)
	got, err = e.accept(m)
	e.must(err)
	_, _, err = a.Expunge(e.ctx, got.Filed[0].Mailbox, all(), false)
	e.must(err)
	b, err := q.OpenBody(e.ctx, m.Key)
	e.must(err)
	if text := e.drain(b); text != string(m.Queue.Head)+body {
		e.t.Error("the queued copy lost its body")
	}
}

func queueUnknown(e *env) {
	q := e.s.Queue()
	_, err := q.Get(e.ctx, ident.ID{})
	e.wants(err, store.ErrNotFound, "Get of no id")
	_, err = q.Get(e.ctx, e.ids.New())
	e.wants(err, store.ErrNotFound, "Get")
	e.enqueue("stays", nil)
	for _, c := range []struct {
		filter store.QueueFilter
		want   error
	}{
		{store.QueueFilter{ID: e.ids.New()}, store.ErrNotFound},
		{store.QueueFilter{Recipient: "nobody.test"}, store.ErrNotFound},
		// What matches everything is a mistake.
		{store.QueueFilter{}, store.ErrInvalid},
		{store.QueueFilter{Limit: 10}, store.ErrInvalid},
	} {
		for name, f := range e.acts(c.filter) {
			n, err := f()
			e.wants(err, c.want, "%s of %+v", name, c.filter)
			if n != 0 {
				e.t.Errorf("%s of no message says %d", name, n)
			}
		}
	}
	if messages, _, err := q.Count(e.ctx); err != nil || messages != 1 {
		e.t.Errorf("%d messages left, %v", messages, err)
	}
}

// acts is everything an administrator may do to what a filter finds.
func (e *env) acts(f store.QueueFilter) map[string]func() (int, error) {
	q := e.s.Queue()
	return map[string]func() (int, error){
		"Hold":     func() (int, error) { return q.Hold(e.ctx, f) },
		"Release":  func() (int, error) { return q.Release(e.ctx, f) },
		"Retry":    func() (int, error) { return q.Retry(e.ctx, f) },
		"Remove":   func() (int, error) { return q.Remove(e.ctx, f) },
		"Redirect": func() (int, error) { return q.Redirect(e.ctx, f, elsewhere("x")) },
	}
}

func nextDue(e *env) {
	q, now := e.s.Queue(), time.Now()
	due := func(local bool) time.Duration {
		e.t.Helper()
		at, found, err := q.NextDue(e.ctx, local)
		e.must(err)
		if !found {
			return -1
		}
		return at.Sub(now).Round(time.Minute)
	}
	if due(true) != -1 || due(false) != -1 {
		e.t.Error("an empty queue has something due")
	}
	a := e.account()
	e.enqueue("x", nil, rcpt("a", now.Add(3*time.Hour)), rcpt("b", now.Add(time.Hour)))
	second := e.enqueue("x", nil, store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: now.Add(2 * time.Hour)})
	if due(true) != 2*time.Hour || due(false) != time.Hour {
		e.t.Errorf("due local in %v, elsewhere in %v", due(true), due(false))
	}
	_, err := q.Remove(e.ctx, store.QueueFilter{ID: second})
	e.must(err)
	if due(true) != -1 {
		e.t.Errorf("a removed recipient is due in %v", due(true))
	}
}

func queueWake(e *env) {
	q, a := e.s.Queue(), e.account()
	later := time.Now().Add(time.Hour)
	local := store.QueueRecipient{Address: address("l"), Local: a.ID(), NextTry: later}
	woken := func(local bool) bool {
		select {
		case <-q.Wake(local):
			return true
		case <-time.After(e.lease() / 5):
			return false
		}
	}
	var far, near ident.ID
	for _, step := range []struct {
		what        string
		far, nearby bool
		do          func()
	}{
		{"a row elsewhere", true, false, func() { far = e.enqueue("x", nil, rcpt("a", later)) }},
		{"a local row", false, true, func() { near = e.enqueue("x", nil, local) }},
		{"rows of both kinds", true, true, func() { e.enqueue("x", nil, rcpt("a", later), local) }},
		{"a retry elsewhere", true, false, func() { _, err := q.Retry(e.ctx, store.QueueFilter{ID: far}); e.must(err) }},
		{"a local retry", false, true, func() { _, err := q.Retry(e.ctx, store.QueueFilter{ID: near}); e.must(err) }},
		{"a hold", false, false, func() { _, err := q.Hold(e.ctx, store.QueueFilter{ID: far}); e.must(err) }},
		{"a release", true, false, func() { _, err := q.Release(e.ctx, store.QueueFilter{ID: far}); e.must(err) }},
		{"a redirection to an account", false, true, func() { _, err := q.Redirect(e.ctx, store.QueueFilter{ID: far}, address("person1")); e.must(err) }},
	} {
		step.do()
		// A hint too many is none too few.
		if far, nearby := woken(false), woken(true); step.far && !far || step.nearby && !nearby {
			e.t.Errorf("%s wakes who delivers elsewhere: %v, here: %v", step.what, far, nearby)
		}
	}
}

// hostileText has octets that a database may refuse in text: hosts and clients
// choose them.
func hostileText(e *env) {
	const bad = "NUL \x00, not UTF-8 \xff\xfe, long "
	id := e.enqueue("x", func(m *store.QueueMessage) {
		m.EnvelopeID, m.Client = bad, bad
		m.Recipients[0].Original = "rfc822;" + bad
		m.Recipients[0].LastError = bad + strings.Repeat("x", 100_000)
	})
	claims := e.claim("me", false, 10)
	if len(claims) != 1 {
		e.t.Fatalf("claims %+v", claims)
	}
	err := e.s.Queue().Finish(e.ctx, claims[0], []store.Outcome{{Recipient: claims[0].Message.Recipients[0].ID, NextTry: time.Now().Add(time.Hour), LastError: bad}}, nil)
	e.must(err)
	got, err := e.s.Queue().Get(e.ctx, id)
	e.must(err)
	if len(got.Recipients) != 1 || !strings.HasPrefix(got.Recipients[0].LastError, "NUL ") {
		e.t.Errorf("recipients %+v", got.Recipients)
	}
	_, err = e.s.Queue().List(e.ctx, store.QueueFilter{Sender: bad, Recipient: fmt.Sprint(bad, "@", bad)})
	if err != nil {
		e.t.Errorf("list by hostile text: %v", err)
	}
}
