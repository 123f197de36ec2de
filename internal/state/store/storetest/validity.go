package storetest

import (
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var validityTests = []test{
	{name: "NeverComesBackToAMailboxName", run: validityOfNames},
	{name: "NeverComesBackToAnAddress", run: validityOfAddresses},
	{name: "IsNobodyElses", run: validityTogether},
}

// validities are all that were seen, of any account.
type validities map[uint32]string

// note ends the test if the mailbox's UIDVALIDITY was there before.
func (v validities) note(e *env, b store.Mailbox) {
	e.t.Helper()
	if other, had := v[b.UIDValidity]; had || b.UIDValidity == 0 {
		e.t.Fatalf("UIDVALIDITY %d of %s was that of %s", b.UIDValidity, b.Name, other)
	}
	v[b.UIDValidity] = fmt.Sprintf("mailbox %d, %s", b.ID, b.Name)
}

// noteAll notes the mailboxes of a new account.
func (v validities) noteAll(e *env, a store.Account) {
	e.t.Helper()
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	for _, b := range list {
		v.note(e, b)
	}
}

func validityOfNames(e *env) {
	a, had := e.account(), validities{}
	had.noteAll(e, a)
	ids := map[store.MailboxID]bool{}
	for i := range 20 {
		b := e.create(a, "Again")
		had.note(e, b)
		if ids[b.ID] {
			e.t.Fatalf("mailbox id %d was there before", b.ID)
		}
		ids[b.ID] = true
		f := e.file(a, "x", into(b.ID))
		if f.UID != 1 || f.UIDValidity != b.UIDValidity {
			e.t.Fatalf("filed %+v into %+v", f, b)
		}
		if i%2 == 0 {
			e.must(a.RenameMailbox(e.ctx, b.ID, "Elsewhere"))
		}
		e.must(a.DeleteMailbox(e.ctx, b.ID))
	}
	e.must(a.RenameMailbox(e.ctx, e.box(a, "INBOX").ID, "Again"))
	had.note(e, e.box(a, "Again"))
	e.verify(a)
}

// A client knows a mailbox by the address and the name, whoever has the
// address.
func validityOfAddresses(e *env) {
	had, d := validities{}, e.s.Directory()
	row := store.AccountRow{Addresses: []mail.Address{address("wanted")}}
	for range 5 {
		a := e.accountOf(row)
		had.noteAll(e, a)
		had.note(e, e.create(a, "Work"))
		e.must(d.RemoveAccount(e.ctx, a.ID()))
	}
	last := e.accountOf(row)
	had.noteAll(e, last)
	e.must(e.change(last.ID(), func(a *store.AccountRow) { a.Addresses = []mail.Address{address("other")} }))
	had.noteAll(e, e.accountOf(row))
}

func validityTogether(e *env) {
	accounts := make([]store.Account, 4)
	for i := range accounts {
		accounts[i] = e.account()
	}
	each := e.o.size(3, 10, 100)
	e.must(together(len(accounts)*2, func(i int) error {
		for n := range each {
			if _, err := accounts[i/2].CreateMailbox(e.ctx, fmt.Sprint("Box ", i, n), store.RoleNone); err != nil {
				return err
			}
		}
		return nil
	}))
	had := validities{}
	for _, a := range accounts {
		had.noteAll(e, a)
	}
}
