package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

var acceptTests = []test{
	{name: "FilingsAndQueueRowsShareACommit", run: filingsAndQueueRows},
	{name: "RepeatedKeyReturnsTheSameFiled", run: repeatedKey},
	{name: "RepeatSucceedsEvenWhereAFirstCallWouldNot", run: repeatedKeyLater},
	{name: "OneAccountGetsSeveralFilings", run: severalFilings},
	{name: "OverQuotaChangesNothing", run: overQuota},
	{name: "QuotaCountsEveryFiling", run: quotaOfFilings},
	{name: "RolesFindTheirMailbox", run: roleTargets},
	{name: "UnknownTargetsChangeNothing", run: unknownTargets},
	{name: "TooManyKeywordsChangeNothing", run: keywordsOfFilings},
	{name: "ContradictionsAreInvalid", run: contradictions},
	{name: "OnlySystemFlagsAndNamedKeywordsAreSet", run: filedFlags},
}

// queueMessage is a message for one recipient elsewhere.
func queueMessage(key ident.ID) *store.QueueMessage {
	now := time.Now()
	return &store.QueueMessage{
		ID: key, Sender: address("sender"), Head: []byte("Received: queue\r\n"), Meta: []byte("queue meta"), Size: 7,
		Accepted: now, Expires: now.Add(5 * 24 * time.Hour),
		Recipients: []store.QueueRecipient{{Address: elsewhere("bob"), NextTry: now}},
	}
}

func filingsAndQueueRows(e *env) {
	a := e.account()
	before := e.box(a, "INBOX")
	m := e.acceptance(a, []byte("content"), store.Filing{Role: store.RoleInbox, Head: []byte("Head: 1\r\n"), Meta: []byte("meta"),
		Flags: store.FlagFlagged, Keywords: []string{"$Important"}, Internal: time.UnixMicro(1_700_000_000_123_456)})
	m.Queue = queueMessage(m.Key)
	got, err := e.accept(m)
	e.must(err)
	if got.Repeated || len(got.Filed) != 1 {
		e.t.Fatalf("accepted: %+v", got)
	}
	f, x := got.Filed[0], e.index(a, before.ID)
	if f.Mailbox != before.ID || f.UIDValidity != before.UIDValidity || f.UID != before.UIDNext || f.ModSeq <= before.HighestModSeq {
		e.t.Errorf("filed as %+v into %+v", f, before)
	}
	want := store.Entry{UID: f.UID, ModSeq: f.ModSeq, Flags: store.FlagFlagged | 1<<store.FirstKeyword, Size: 16,
		Internal: 1_700_000_000_123_456, Message: f.Message}
	if len(x.Entries) != 1 || x.Entries[0] != want || !slices.Equal(x.Mailbox.Keywords, []string{"$Important"}) {
		e.t.Errorf("index %+v, want %+v", x, want)
	}
	if text := e.octets(a, f.Message); text != "Head: 1\r\ncontent" {
		e.t.Errorf("filed %q", text)
	}
	entry, err := e.s.Queue().Get(e.ctx, m.Key)
	e.must(err)
	if len(entry.Recipients) != 1 || entry.Recipients[0].Address != elsewhere("bob") {
		e.t.Errorf("queued %+v", entry)
	}
	b, err := e.s.Queue().OpenBody(e.ctx, m.Key)
	e.must(err)
	if text := e.drain(b); text != "Received: queue\r\ncontent" {
		e.t.Errorf("queued %q", text)
	}
	e.verify(a)
}

func repeatedKey(e *env) {
	a := e.account()
	m := e.acceptance(a, []byte("once"), inbox(), store.Filing{Role: store.RoleArchive})
	m.Queue = queueMessage(m.Key)
	first, err := e.accept(m)
	e.must(err)
	before := e.state(a)
	for range 3 {
		got, err := e.accept(e.again(m, []byte("once")))
		e.must(err)
		if !got.Repeated || !slices.Equal(got.Filed, first.Filed) {
			e.t.Fatalf("repeated: %+v, first %+v", got, first)
		}
		e.unchanged(a, before)
	}
	if u, err := a.Usage(e.ctx); err != nil || u.Messages != 2 {
		e.t.Errorf("usage after repeats %+v, %v", u, err)
	}
	if messages, recipients, err := e.s.Queue().Count(e.ctx); err != nil || messages != 1 || recipients != 1 {
		e.t.Errorf("queue holds %d/%d, %v", messages, recipients, err)
	}
	if text := e.octets(a, first.Filed[0].Message); text != "once" {
		e.t.Errorf("body is %q after repeats", text)
	}
	e.verify(a)
}

func repeatedKeyLater(e *env) {
	a := e.account()
	box := e.create(a, "Lists")
	m := e.acceptance(a, []byte("once"), into(box.ID))
	first, err := e.accept(m)
	e.must(err)
	repeat := func(when string) {
		e.t.Helper()
		got, err := e.accept(e.again(m, []byte("once")))
		e.must(err)
		if !got.Repeated || !slices.Equal(got.Filed, first.Filed) {
			e.t.Fatalf("repeated %s: %+v, first %+v", when, got, first)
		}
	}
	e.limit(a, 1, 1)
	repeat("over quota")
	_, _, err = a.Expunge(e.ctx, box.ID, all(), false)
	e.must(err)
	repeat("after the message was expunged")
	e.must(a.DeleteMailbox(e.ctx, box.ID))
	repeat("after the mailbox was deleted")
	e.verify(a)
}

func severalFilings(e *env) {
	a := e.account()
	var filings []store.Filing
	for i, role := range []store.Role{store.RoleInbox, store.RoleArchive, store.RoleInbox, store.RoleJunk} {
		filings = append(filings, store.Filing{Role: role, Head: fmt.Appendf(nil, "Head: %d\r\n", i), Meta: fmt.Appendf(nil, "meta %d", i)})
	}
	for _, size := range []int{10, 100_000} {
		body := fill(size, 1)
		got, err := e.accept(e.acceptance(a, body, filings...))
		e.must(err)
		var ids []store.MessageID
		for i, f := range got.Filed {
			if text := e.octets(a, f.Message); text != string(filings[i].Head)+string(body) {
				e.t.Errorf("filing %d of %d octets reads differently", i, size)
			}
			ids = append(ids, f.Message)
		}
		if got.Filed[2].UID <= got.Filed[0].UID || got.Filed[2].Mailbox != got.Filed[0].Mailbox {
			e.t.Errorf("two filings into one mailbox: %+v", got.Filed)
		}
		i := 0
		e.must(a.Metas(e.ctx, ids, func(id store.MessageID, meta []byte) error {
			if id != ids[i] || string(meta) != fmt.Sprint("meta ", i) {
				e.t.Errorf("meta %d is %q of %d", i, meta, id)
			}
			i++
			return nil
		}))
		if i != len(filings) {
			e.t.Errorf("%d metas", i)
		}
	}
	e.verify(a)
}

func overQuota(e *env) {
	a := e.account()
	e.file(a, "12345", inbox())
	before := e.state(a)
	for _, limits := range [][2]int64{{9, 0}, {0, 1}, {9, 1}, {4, 0}} {
		e.limit(a, limits[0], limits[1])
		m := e.acceptance(a, []byte("12345"), inbox())
		m.Queue = queueMessage(m.Key)
		_, err := e.accept(m)
		e.wants(err, store.ErrOverQuota, "limits %v", limits)
		e.unchanged(a, before)
		if messages, _, err := e.s.Queue().Count(e.ctx); err != nil || messages != 0 {
			e.t.Errorf("a refused message is queued: %d, %v", messages, err)
		}
		e.limit(a, 10, 2)
		got, err := e.accept(e.again(m, []byte("12345")))
		e.must(err)
		if got.Repeated {
			e.t.Fatal("a refused key counts as accepted")
		}
		_, _, err = a.Expunge(e.ctx, got.Filed[0].Mailbox, only(got.Filed[0].UID), false)
		e.must(err)
		_, err = e.s.Queue().Remove(e.ctx, store.QueueFilter{ID: m.Key})
		e.must(err)
		before = e.state(a)
	}
}

func quotaOfFilings(e *env) {
	a := e.accountOf(store.AccountRow{QuotaBytes: 20, QuotaMessages: 5})
	head := []byte("123")
	two := func(body string) error {
		_, err := e.accept(e.acceptance(a, []byte(body), store.Filing{Role: store.RoleInbox, Head: head}, store.Filing{Role: store.RoleSent, Head: head}))
		return err
	}
	full := two("12345678")
	e.wants(full, store.ErrOverQuota, "22 octets into 20")
	over := new(store.OverQuota)
	if !errors.As(full, &over) || *over != (store.OverQuota{Account: a.ID(), Usage: store.Usage{LimitBytes: 20, LimitMessages: 5}, Bytes: 22, Messages: 2}) {
		e.t.Errorf("what does not fit: %v", full)
	}
	e.must(two("1234567"))
	u, err := a.Usage(e.ctx)
	if want := (store.Usage{Bytes: 20, Messages: 2, LimitBytes: 20, LimitMessages: 5}); err != nil || u != want {
		e.t.Errorf("usage %+v %v, want %+v", u, err, want)
	}
	e.verify(a)
}

func roleTargets(e *env) {
	a := e.account()
	for role := store.RoleInbox; role.Name() != ""; role++ {
		f := e.file(a, "x", store.Filing{Role: role})
		b, err := a.Mailbox(e.ctx, f.Mailbox)
		e.must(err)
		if b.Role != role || b.Name != role.Name() || b.Messages != 1 {
			e.t.Errorf("a filing for role %d went to %+v", role, b)
		}
	}
	junk := e.box(a, "Junk")
	e.must(a.RenameMailbox(e.ctx, junk.ID, "Rubbish/Mail"))
	if f := e.file(a, "x", store.Filing{Role: store.RoleJunk}); f.Mailbox != junk.ID {
		e.t.Errorf("after renaming Junk went to %d", f.Mailbox)
	}
	sent, err := a.CreateMailbox(e.ctx, "Posted", store.RoleSent)
	e.must(err)
	if f := e.file(a, "x", store.Filing{Role: store.RoleSent}); f.Mailbox != sent.ID {
		e.t.Errorf("the mailbox made for Sent was not used but %d", f.Mailbox)
	}
	if old := e.box(a, "Sent"); old.Role != store.RoleNone {
		e.t.Errorf("two mailboxes have the role: %+v", old)
	}
	_, err = a.CreateMailbox(e.ctx, "Other inbox", store.RoleInbox)
	e.wants(err, store.ErrInvalid, "INBOX keeps its role")
	e.verify(a)
}

func unknownTargets(e *env) {
	a, other := e.account(), e.account()
	before := e.state(a)
	foreign := e.box(other, "INBOX").ID
	nobody := e.s.Account(a.ID() + 1000)
	for _, c := range []struct {
		name    string
		account store.Account
		filing  store.Filing
	}{
		{"unknown account", nobody, inbox()},
		{"unknown mailbox", a, into(foreign + 1000)},
		{"mailbox of another account", a, into(foreign)},
	} {
		m := e.acceptance(c.account, []byte("x"), inbox(), c.filing)
		m.Queue = queueMessage(m.Key)
		_, err := e.accept(m)
		e.wants(err, store.ErrNotFound, "%s", c.name)
		e.unchanged(a, before)
		if _, err := e.s.Queue().Get(e.ctx, m.Key); err == nil {
			e.t.Errorf("%s: the message is queued", c.name)
		}
	}
	e.verify(other)
}

func keywordsOfFilings(e *env) {
	a := e.account()
	for i := range store.MaxKeywords - 1 {
		f := inbox()
		f.Keywords = []string{fmt.Sprint("k", i)}
		e.file(a, "x", f)
	}
	before := e.state(a)
	refuse := func(what string, filings ...store.Filing) {
		e.t.Helper()
		m := e.acceptance(a, []byte("x"), filings...)
		_, err := e.accept(m)
		e.wants(err, store.ErrLimit, "%s", what)
		e.unchanged(a, before)
		got, err := e.accept(e.again(m, []byte("x")))
		e.wants(err, store.ErrLimit, "%s, repeated as %+v", what, got)
	}
	one, two := inbox(), inbox()
	one.Keywords, two.Keywords = []string{"new1", "new2"}, []string{"new2"}
	refuse("two keywords where one fits", one)
	one.Keywords = []string{"new1"}
	refuse("two filings of one keyword each where one fits", one, two)
	two.Keywords = []string{"NEW1", "K0"}
	if _, err := e.accept(e.acceptance(a, []byte("x"), one, two)); err != nil {
		e.t.Errorf("the last keyword, in two spellings: %v", err)
	}
	e.verify(a)
}

func contradictions(e *env) {
	a := e.account()
	m := e.acceptance(a, []byte("x"), inbox())
	m.Key = ident.ID{}
	_, err := e.accept(m)
	e.wants(err, store.ErrInvalid, "no key")
	_, err = e.accept(e.acceptance(nil, []byte("x"), inbox()))
	e.wants(err, store.ErrInvalid, "filings without account")
	_, err = e.accept(e.acceptance(a, []byte("x")))
	e.wants(err, store.ErrInvalid, "nothing to do")
	e.create(a, "Ordinary")
	before := e.state(a)
	if got, err := e.accept(e.acceptance(a, []byte("x"), store.Filing{})); err == nil {
		e.t.Errorf("a filing without mailbox and role went to %+v", got.Filed)
	}
	e.unchanged(a, before)
}

func filedFlags(e *env) {
	a := e.account()
	f := inbox()
	f.Flags = store.Flags(1<<64 - 1)
	f.Keywords = []string{"$Forwarded", "$forwarded"}
	filed := e.file(a, "x", f)
	x := e.index(a, filed.Mailbox)
	if got, want := x.Entries[0].Flags, store.SystemFlags|1<<store.FirstKeyword; got != want {
		e.t.Errorf("flags %b, want %b", got, want)
	}
	e.verify(a)
}
