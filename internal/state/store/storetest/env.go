package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// env is what one test works with. Its helpers end the test when the store
// fails where it must not; they are for the test's own goroutine unless they
// say otherwise.
type env struct {
	t   rapid.TB // the test, or one run of a random test
	top *testing.T
	s   store.Store
	o   Options
	ctx context.Context
	ids *ident.Source
	n   int // accounts made
}

func newEnv(t *testing.T, s store.Store, o Options) *env {
	return &env{t: t, top: t, s: s, o: o, ctx: t.Context(), ids: ident.NewSource()}
}

const domain = "example.test"

// must ends the test on an error.
func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// wants ends the test unless err is the error wanted.
func (e *env) wants(err, want error, what string, args ...any) {
	e.t.Helper()
	if !errors.Is(err, want) {
		e.t.Fatalf("%s: error is %v, want %v", fmt.Sprintf(what, args...), err, want)
	}
}

// account makes an account without limits.
func (e *env) account() store.Account { return e.accountOf(store.AccountRow{}) }

// accountOf makes an account of the row; it gets an address if it has none.
func (e *env) accountOf(row store.AccountRow) store.Account {
	e.t.Helper()
	e.must(e.s.Directory().PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: domain, Separator: "+"}))
	if row.Addresses == nil {
		e.n++
		row.Addresses = []mail.Address{address(fmt.Sprintf("person%d", e.n))}
	}
	id, err := e.s.Directory().AddAccount(e.ctx, row)
	e.must(err)
	return e.s.Account(id)
}

func address(local string) mail.Address { return mail.Address{Local: local, Domain: domain} }

// limit sets the quota of an account.
func (e *env) limit(a store.Account, bytes, messages int64) {
	e.t.Helper()
	row, err := e.s.Directory().GetAccount(e.ctx, a.ID())
	e.must(err)
	row.QuotaBytes, row.QuotaMessages = bytes, messages
	e.must(e.s.Directory().SetAccount(e.ctx, row))
}

// fill returns n octets that differ from place to place, the same for the same seed.
func fill(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// draft returns a draft of the octets; any goroutine may ask.
func (e *env) draft(octets []byte) (store.Draft, error) {
	d, err := e.s.NewDraft(e.ctx, int64(len(octets)))
	if err != nil {
		return nil, err
	}
	for part := octets; len(part) > 0; {
		n := min(len(part), 50_000)
		if _, err := d.Write(part[:n]); err != nil {
			d.Discard()
			return nil, err
		}
		part = part[n:]
	}
	return d, nil
}

// acceptance returns a message for filings of the account.
func (e *env) acceptance(a store.Account, body []byte, filings ...store.Filing) *store.Acceptance {
	e.t.Helper()
	d, err := e.draft(body)
	e.must(err)
	m := &store.Acceptance{Key: e.ids.New(), Time: time.Now(), Body: d, Filings: filings}
	if a != nil {
		m.Account = a.ID()
	}
	return m
}

// accept accepts and gives the draft back.
func (e *env) accept(m *store.Acceptance) (store.Accepted, error) {
	defer m.Body.Discard()
	return e.s.Accept(e.ctx, m)
}

// again returns the acceptance with a fresh draft, as somebody repeats it.
func (e *env) again(m *store.Acceptance, body []byte) *store.Acceptance {
	e.t.Helper()
	d, err := e.draft(body)
	e.must(err)
	same := *m
	same.Body = d
	return &same
}

// file delivers one message.
func (e *env) file(a store.Account, body string, f store.Filing) store.Filed {
	e.t.Helper()
	got, err := e.accept(e.acceptance(a, []byte(body), f))
	e.must(err)
	if len(got.Filed) != 1 {
		e.t.Fatalf("one filing became %d", len(got.Filed))
	}
	return got.Filed[0]
}

// fileMany delivers n small messages into a mailbox, some in one commit.
func (e *env) fileMany(a store.Account, box store.MailboxID, n int) {
	e.t.Helper()
	for n > 0 {
		items := make([]store.AppendItem, min(n, 500))
		for i := range items {
			d, err := e.draft([]byte("m"))
			e.must(err)
			items[i] = store.AppendItem{Body: d, Internal: time.Now()}
		}
		_, err := a.Append(e.ctx, box, items)
		e.must(err)
		n -= len(items)
	}
}

// inbox is a filing into INBOX.
func inbox() store.Filing { return store.Filing{Role: store.RoleInbox, Internal: time.Now()} }

// into is a filing into a mailbox.
func into(id store.MailboxID) store.Filing { return store.Filing{Mailbox: id, Internal: time.Now()} }

// box finds a mailbox that must be there.
func (e *env) box(a store.Account, name string) store.Mailbox {
	e.t.Helper()
	b, err := a.FindMailbox(e.ctx, name)
	e.must(err)
	return b
}

// create makes an ordinary mailbox.
func (e *env) create(a store.Account, name string) store.Mailbox {
	e.t.Helper()
	b, err := a.CreateMailbox(e.ctx, name, store.RoleNone)
	e.must(err)
	return b
}

func (e *env) index(a store.Account, id store.MailboxID) store.Index {
	e.t.Helper()
	x, err := a.Index(e.ctx, id)
	e.must(err)
	return x
}

// octets reads a message whole.
func (e *env) octets(a store.Account, id store.MessageID) string {
	e.t.Helper()
	b, err := a.OpenBody(e.ctx, id)
	e.must(err)
	return e.drain(b)
}

// drain reads a body whole and closes it.
func (e *env) drain(b store.Body) string {
	e.t.Helper()
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	e.must(err)
	e.must(b.Close())
	return string(text)
}

// pass lets time go by.
func (e *env) pass(d time.Duration) { time.Sleep(d) }

// lease is a time that a test can wait for: long where time is virtual.
func (e *env) lease() time.Duration {
	if e.o.Bubble {
		return 5 * time.Minute
	}
	return 300 * time.Millisecond
}

// eventually waits until f holds.
func (e *env) eventually(what string, f func() bool) {
	e.t.Helper()
	for range 500 {
		if f() {
			return
		}
		e.pass(20 * time.Millisecond)
	}
	e.t.Fatalf("did not come about: %s", what)
}

// all is every UID of a mailbox.
func all() []store.UIDRange { return []store.UIDRange{{First: 1, Last: 1<<32 - 1}} }

// only is some UIDs.
func only(uids ...store.UID) []store.UIDRange {
	var list []store.UIDRange
	for _, uid := range uids {
		list = append(list, store.UIDRange{First: uid, Last: uid})
	}
	return list
}

func uidsOf(list []store.Entry) []store.UID {
	var uids []store.UID
	for _, x := range list {
		uids = append(uids, x.UID)
	}
	return uids
}
