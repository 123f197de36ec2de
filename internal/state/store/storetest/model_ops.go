package storetest

import (
	"path"
	"slices"
	"time"

	"posthorn/internal/state/store"
)

// filings draws what becomes of a message, and its mailboxes in the model.
func (m *machine) filings(a *modelAccount) (list []store.Filing, boxes []*modelBox) {
	for i := range m.int("filings", 1, 3) {
		f := store.Filing{Flags: m.systemFlags(), Keywords: m.keywords(), Meta: []byte{byte(i)}, Internal: m.internal()}
		if m.int("head", 0, 1) == 1 {
			f.Head = []byte("Head: x\r\n")
		}
		b := a.withRole(store.RoleInbox)
		if m.int("target", 0, 2) == 0 {
			f.Role = store.RoleInbox
		} else {
			b = m.box(a)
			f.Mailbox = b.id
		}
		list, boxes = append(list, f), append(boxes, b)
	}
	return list, boxes
}

func (m *machine) accept() {
	a, body := m.account(), m.content()
	filings, boxes := m.filings(a)
	var size int64
	for _, f := range filings {
		size += int64(len(f.Head) + len(body))
	}
	r := remembered{store.Acceptance{Key: m.key(), Time: time.Now(), Account: a.handle.ID(), Filings: filings}, body, nil}
	got, err := m.e.accept(m.e.again(&r.m, body))
	if !m.agree(err, a.fits(size, int64(len(filings))), "accept %d octets", size) {
		return
	}
	if got.Repeated || len(got.Filed) != len(filings) {
		m.e.t.Fatalf("accepted %+v", got)
	}
	for i, f := range filings {
		m.filed(boxes[i], got.Filed[i], f, append(slices.Clone(f.Head), body...))
	}
	r.filed = got.Filed
	m.accepted = append(m.accepted, r)
}

// filed puts into the model what the store says it filed.
func (m *machine) filed(b *modelBox, got store.Filed, f store.Filing, text []byte) {
	m.e.t.Helper()
	uid := b.file(modelMessage{flags: flagSet(f.Flags, f.Keywords), internal: f.Internal.UnixMicro(), body: string(text), id: got.Message})
	if got.Mailbox != b.id || got.UIDValidity != b.validity || got.UID != uid || got.ModSeq <= b.modSeq {
		m.e.t.Fatalf("filed %+v, the model has UID %d in %+v", got, uid, b)
	}
}

func (m *machine) repeat() {
	if len(m.accepted) == 0 {
		m.rt.Skip("nothing was accepted")
	}
	r := m.accepted[m.int("which", 0, len(m.accepted)-1)]
	got, err := m.e.accept(m.e.again(&r.m, r.body))
	m.e.must(err)
	if !got.Repeated || !slices.Equal(got.Filed, r.filed) {
		m.e.t.Fatalf("repeated %+v, was %+v", got, r.filed)
	}
}

func (m *machine) append() {
	a := m.account()
	b := m.box(a)
	var items []store.AppendItem
	var bodies [][]byte
	var size int64
	for range m.int("items", 1, 3) {
		body := m.content()
		d, err := m.e.draft(body)
		m.e.must(err)
		defer d.Discard()
		items = append(items, store.AppendItem{Body: d, Flags: m.systemFlags(), Keywords: m.keywords(), Internal: m.internal()})
		bodies = append(bodies, body)
		size += int64(len(body))
	}
	filed, err := a.handle.Append(m.e.ctx, b.id, items)
	if !m.agree(err, a.fits(size, int64(len(items))), "append %d octets", size) {
		return
	}
	for i, it := range items {
		m.filed(b, filed[i], store.Filing{Flags: it.Flags, Keywords: it.Keywords, Internal: it.Internal}, bodies[i])
	}
}

// queue files a message by way of the queue; over quota it stays claimed.
func (m *machine) queue() {
	e, a, body := m.e, m.account(), m.content()
	b := m.box(a)
	f := store.Filing{Mailbox: b.id, Head: []byte("Queued: x\r\n"), Flags: m.systemFlags(), Keywords: m.keywords(), Internal: m.internal()}
	id := e.enqueue(string(body), nil, store.QueueRecipient{Address: address("l"), Local: a.handle.ID(), NextTry: time.Now()})
	claims := e.claim("model", true, 10)
	if len(claims) != 1 || claims[0].Message.ID != id {
		e.t.Fatalf("claimed %+v, want %s", claims, id)
	}
	outcomes := done(claims[0])
	outcomes[0].File = &f
	want := a.fits(int64(len(f.Head)+len(body)), 1)
	if !m.agree(e.s.Queue().Finish(e.ctx, claims[0], outcomes, nil), want, "finish") {
		_, err := e.s.Queue().Remove(e.ctx, store.QueueFilter{ID: id})
		e.must(err)
		return
	}
	// Finish does not say where the message went; the index does.
	x := e.index(a.handle, b.id)
	if len(x.Entries) == 0 {
		e.t.Fatalf("%s is empty after a filing", b.name)
	}
	last := x.Entries[len(x.Entries)-1]
	m.filed(b, store.Filed{Mailbox: b.id, UIDValidity: b.validity, UID: last.UID, ModSeq: last.ModSeq, Message: last.Message}, f,
		append(slices.Clone(f.Head), body...))
}

func (m *machine) flags() {
	a := m.account()
	b := m.box(a)
	u := store.FlagUpdate{UIDs: m.uids(b), Op: store.FlagOp(m.int("op", 0, 2)), Flags: m.systemFlags(), Keywords: m.keywords()}
	if len(b.messages) > 0 && m.int("conditional", 0, 2) == 0 {
		u.HasUnchangedSince = true
		u.UnchangedSince = b.messages[m.int("since", 0, len(b.messages)-1)].modSeq
	}
	got, err := a.handle.SetFlags(m.e.ctx, b.id, u)
	m.e.must(err)
	changed, modified := b.update(u)
	if !slices.Equal(uidsOf(got.Changed), changed) || !slices.Equal(got.Modified, modified) {
		m.e.t.Fatalf("%+v changed %v, modified %v; the model says %v, %v", u, uidsOf(got.Changed), got.Modified, changed, modified)
	}
}

func (m *machine) copy() { m.transfer(false) }
func (m *machine) move() { m.transfer(true) }

func (m *machine) transfer(move bool) {
	a := m.account()
	from, to := m.box(a), m.box(a)
	uids, do := m.uids(from), a.handle.Copy
	if move {
		do = a.handle.Move
	}
	got, err := do(m.e.ctx, from.id, uids, to.id)
	old, new, want := a.transfer(from, uids, to, move)
	if !m.agree(err, want, "transfer of %v, move %v", uids, move) {
		return
	}
	if !slices.Equal(got.From, old) || !slices.Equal(got.To, new) {
		m.e.t.Fatalf("transfer of %v, move %v: %+v, the model says %v to %v", uids, move, got, old, new)
	}
}

func (m *machine) expunge() {
	a := m.account()
	b := m.box(a)
	uids, onlyDeleted := m.uids(b), m.int("onlyDeleted", 0, 1) == 1
	got, _, err := a.handle.Expunge(m.e.ctx, b.id, uids, onlyDeleted)
	m.e.must(err)
	positions := slices.DeleteFunc(b.pick(uids), func(i int) bool { return onlyDeleted && !b.messages[i].flags[`\Deleted`] })
	var want []store.UID
	for _, gone := range b.take(positions) {
		want = append(want, gone.uid)
	}
	if !slices.Equal(got, want) {
		m.e.t.Fatalf("expunged %v, the model says %v", got, want)
	}
}

func (m *machine) create() {
	a, name := m.account(), m.name()
	var want error
	if a.named(name) != nil {
		want = store.ErrExists
	}
	parents := a.missingParents(name)
	b, err := a.handle.CreateMailbox(m.e.ctx, name, store.RoleNone)
	if m.agree(err, want, "create %s", name) {
		m.adoptNamed(a, parents)
		m.adopt(a, b)
		if missing := a.missingParents(name); len(missing) > 0 {
			m.e.t.Fatalf("create %s did not make %q", name, missing)
		}
	}
}

func (m *machine) rename() {
	a, name := m.account(), m.name()
	b := m.box(a)
	err := a.handle.RenameMailbox(m.e.ctx, b.id, name)
	inbox := b.name == "INBOX"
	made, want := a.rename(b, name)
	if !m.agree(err, want, "rename %s to %s", b.name, name) {
		return
	}
	m.adoptNamed(a, made)
	// Above a parent that is there it may make more or not.
	if parent := path.Dir(name); parent != "." && a.named(parent) == nil {
		m.e.t.Fatalf("rename to %s did not make %s", name, parent)
	}
	if inbox {
		_, _, err := a.transfer(b, all(), a.named(name), true)
		m.e.must(err)
	}
}

func (m *machine) remove() {
	a := m.account()
	b := m.box(a)
	var want error
	if b.name == "INBOX" {
		want = store.ErrInvalid
	}
	if m.agree(a.handle.DeleteMailbox(m.e.ctx, b.id), want, "delete %s", b.name) {
		a.boxes = slices.DeleteFunc(a.boxes, func(c *modelBox) bool { return c == b })
	}
}

func (m *machine) subscribe() {
	a, name, on := m.account(), m.name(), m.int("on", 0, 1) == 1
	m.e.must(a.handle.SetSubscribed(m.e.ctx, name, on))
	if on {
		a.subscribed[name] = true
	} else {
		delete(a.subscribed, name)
	}
}

// quota sets limits near what is stored.
func (m *machine) quota() {
	a := m.account()
	a.limitBytes, a.limitMessages = 0, 0
	bytes, messages := a.usage()
	if m.int("limited", 0, 2) == 0 {
		a.limitBytes = max(1, bytes+int64(m.int("bytes", -10, 100)))
	}
	if m.int("limited", 0, 2) == 0 {
		a.limitMessages = max(1, messages+int64(m.int("messages", -1, 3)))
	}
	m.e.limit(a.handle, a.limitBytes, a.limitMessages)
}

// look lets the one who has not looked at an account for a while catch up.
func (m *machine) look() {
	a := m.account()
	for _, b := range a.boxes {
		b.old = mirrorOf(m.e.index(a.handle, b.id))
	}
}

// read reads a message whole.
func (m *machine) read() {
	a := m.account()
	b := m.box(a)
	if len(b.messages) == 0 {
		m.rt.Skip("the mailbox is empty")
	}
	want := b.messages[m.int("message", 0, len(b.messages)-1)]
	if err := m.e.compare(a.handle, want.id, []byte(want.body)); err != nil {
		m.e.t.Fatal(err)
	}
}

func (m *machine) recent() {
	a := m.account()
	b := m.box(a)
	got, err := a.handle.TakeRecent(m.e.ctx, b.id)
	m.e.must(err)
	if got != b.recent {
		m.e.t.Fatalf("recent from %d on, the model says %d", got, b.recent)
	}
	b.recent = b.next
}

func (m *machine) restart() {
	if m.int("really", 0, 3) != 0 || !m.e.reopen() {
		m.rt.Skip("no restart")
	}
	for _, a := range m.accounts {
		a.handle = m.e.s.Account(a.handle.ID())
	}
}
