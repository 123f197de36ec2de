package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"posthorn/internal/state/store"
)

var isolationTests = []test{
	{name: "ForeignIDsReachNothing", run: foreignIDs},
	{name: "EveryMethodIsTried", run: everyMethodTried},
	{name: "RemovedAccountsAreOutOfReach", run: removedAccount},
	{name: "AccountsWriteTogetherWithoutMixing", run: accountsTogether},
}

// attempt is one method of an account called with ids that may be another's.
// It returns what it could see.
type attempt struct {
	method string
	try    func(e *env, a store.Account, box store.MailboxID, m store.MessageID) (seen string, err error)
}

// attempts has every method of store.Account that takes an id
// (reliability.md row 36).
var attempts = []attempt{
	{"Mailbox", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		b, err := a.Mailbox(e.ctx, box)
		return b.Name, err
	}},
	{"RenameMailbox", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		return "", a.RenameMailbox(e.ctx, box, "Stolen")
	}},
	{"DeleteMailbox", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		return "", a.DeleteMailbox(e.ctx, box)
	}},
	{"Index", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		x, err := a.Index(e.ctx, box)
		return x.Mailbox.Name + fmt.Sprint(x.Entries), err
	}},
	{"ChangesSince", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		c, err := a.ChangesSince(e.ctx, box, store.Cursor{UIDNext: 1, ModSeq: 1})
		if err == nil && c.Gone && len(c.Arrived)+len(c.Changed)+len(c.Expunged)+len(c.Keywords) == 0 {
			return "", store.ErrNotFound // as good
		}
		return fmt.Sprint(c), err
	}},
	{"ExpungedSince", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		uids, _, err := a.ExpungedSince(e.ctx, box, 1)
		return fmt.Sprint(uids), err
	}},
	{"TakeRecent", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		uid, err := a.TakeRecent(e.ctx, box)
		return fmt.Sprint(uid), err
	}},
	{"Append", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		it := e.item("intruder")
		defer it.Body.Discard()
		filed, err := a.Append(e.ctx, box, []store.AppendItem{it})
		return fmt.Sprint(filed), err
	}},
	{"SetFlags", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		r, err := a.SetFlags(e.ctx, box, store.FlagUpdate{UIDs: all(), Op: store.FlagsReplace, Flags: store.FlagDeleted, Keywords: []string{"$x"}})
		return fmt.Sprint(r), err
	}},
	{"Copy", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		own := e.box(a, "INBOX").ID
		r, err := a.Copy(e.ctx, box, all(), own)
		if errors.Is(err, store.ErrNotFound) {
			r, err = a.Copy(e.ctx, own, all(), box)
		}
		return fmt.Sprint(r), err
	}},
	{"Move", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		own := e.box(a, "INBOX").ID
		r, err := a.Move(e.ctx, box, all(), own)
		if errors.Is(err, store.ErrNotFound) {
			r, err = a.Move(e.ctx, own, all(), box)
		}
		return fmt.Sprint(r), err
	}},
	{"Retire", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		r, err := a.Retire(e.ctx, box, all(), time.Now())
		return fmt.Sprint(r), err
	}},
	{"SaveDates", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		list, err := a.SaveDates(e.ctx, box, all())
		return fmt.Sprint(list), err
	}},
	{"Expunge", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		gone, _, err := a.Expunge(e.ctx, box, all(), false)
		return fmt.Sprint(gone), err
	}},
	{"Metas", func(e *env, a store.Account, _ store.MailboxID, m store.MessageID) (string, error) {
		seen := ""
		err := a.Metas(e.ctx, []store.MessageID{m}, func(_ store.MessageID, meta []byte) error { seen += string(meta); return nil })
		if err == nil && seen == "" {
			return "", store.ErrNotFound // missing messages are left out
		}
		return seen, err
	}},
	{"OpenBodies", func(e *env, a store.Account, _ store.MailboxID, m store.MessageID) (string, error) {
		bodies, err := a.OpenBodies(e.ctx, []store.MessageID{m})
		if err != nil || bodies[0] == nil {
			return "", store.ErrNotFound // missing messages are nil
		}
		return e.drain(bodies[0]), nil
	}},
	{"MetasIn", func(e *env, a store.Account, box store.MailboxID, _ store.MessageID) (string, error) {
		seen := ""
		err := a.MetasIn(e.ctx, box, all()[0], func(_ store.UID, _ store.MessageID, meta []byte) error { seen += string(meta); return nil })
		if err == nil && seen == "" {
			return "", store.ErrNotFound
		}
		return seen, err
	}},
	{"OpenBody", func(e *env, a store.Account, _ store.MailboxID, m store.MessageID) (string, error) {
		b, err := a.OpenBody(e.ctx, m)
		if err != nil {
			return "", err
		}
		return e.drain(b), nil
	}},
}

// harmless methods take no ids: they speak of the account of the handle only.
var harmless = map[string]bool{
	"ID": true, "Mailboxes": true, "FindMailbox": true, "CreateMailbox": true, "SetSubscribed": true, "Subscriptions": true, "Usage": true, "Uneven": true,
}

// everyMethodTried fails when the contract gets a method this file does not know.
func everyMethodTried(e *env) {
	known := map[string]bool{}
	for _, at := range attempts {
		known[at.method] = true
	}
	contract := reflect.TypeFor[store.Account]()
	for i := range contract.NumMethod() {
		if name := contract.Method(i).Name; !known[name] && !harmless[name] {
			e.t.Errorf("nobody tries %s with foreign ids", name)
		}
	}
}

func foreignIDs(e *env) {
	owner, stranger := e.account(), e.account()
	box := e.create(owner, "Private").ID
	f := e.file(owner, "secret", store.Filing{Mailbox: box, Meta: []byte("secret meta"), Keywords: []string{"$secret"}})
	e.file(owner, string(fill(100_000, 1)), into(box))
	e.file(stranger, "own", inbox())
	before, own := e.state(owner), e.state(stranger)
	for _, at := range attempts {
		seen, err := at.try(e, stranger, box, f.Message)
		e.wants(err, store.ErrNotFound, "%s with another's ids (it saw %q)", at.method, seen)
		e.unchanged(owner, before)
		e.unchanged(stranger, own)
	}
	for _, filing := range []store.Filing{into(box), {Mailbox: box, Role: store.RoleInbox}} {
		_, err := e.accept(e.acceptance(stranger, []byte("x"), filing))
		e.wants(err, store.ErrNotFound, "accept into another's mailbox")
	}
	e.unchanged(owner, before)
	e.unchanged(stranger, own)
	if text := e.octets(owner, f.Message); text != "secret" {
		e.t.Errorf("the message reads %q", text)
	}
}

func removedAccount(e *env) {
	a, neighbour := e.account(), e.account()
	box := e.box(a, "INBOX").ID
	f := e.file(a, string(fill(20_000, 1)), inbox())
	kept := e.file(neighbour, "kept", inbox())
	before := e.state(neighbour)
	e.must(e.s.Directory().RemoveAccount(e.ctx, a.ID()))
	for _, at := range attempts {
		if at.method == "Copy" || at.method == "Move" {
			continue // they look the own INBOX up first
		}
		seen, err := at.try(e, a, box, f.Message)
		e.wants(err, store.ErrNotFound, "%s of a removed account (it saw %d octets)", at.method, len(seen))
	}
	_, err := a.Mailboxes(e.ctx)
	e.wants(err, store.ErrNotFound, "Mailboxes of a removed account")
	_, err = a.FindMailbox(e.ctx, "INBOX")
	e.wants(err, store.ErrNotFound, "FindMailbox of a removed account")
	_, err = a.CreateMailbox(e.ctx, "X", store.RoleNone)
	e.wants(err, store.ErrNotFound, "CreateMailbox of a removed account")
	_, err = a.Subscriptions(e.ctx)
	e.wants(err, store.ErrNotFound, "Subscriptions of a removed account")
	e.wants(a.SetSubscribed(e.ctx, "X", true), store.ErrNotFound, "SetSubscribed of a removed account")
	_, err = a.Usage(e.ctx)
	e.wants(err, store.ErrNotFound, "Usage of a removed account")
	_, err = a.Uneven(e.ctx)
	e.wants(err, store.ErrNotFound, "Uneven of a removed account")
	_, err = e.accept(e.acceptance(a, []byte("x"), inbox()))
	e.wants(err, store.ErrNotFound, "accept for a removed account")
	e.unchanged(neighbour, before)
	if text := e.octets(neighbour, kept.Message); text != "kept" {
		e.t.Errorf("the neighbour's message reads %q", text)
	}
	if next := e.account(); next.ID() == a.ID() {
		e.t.Error("an account id came back")
	}
}

func accountsTogether(e *env) {
	accounts := make([]store.Account, 8)
	for i := range accounts {
		accounts[i] = e.account()
	}
	each := e.o.size(5, 15, 200)
	e.must(together(len(accounts)*2, func(i int) error {
		a := accounts[i/2]
		for n := range each {
			f := inbox()
			f.Internal = time.UnixMicro(int64(a.ID()))
			if _, err := e.deliver(e.ctx, a, fmt.Sprint("for ", a.ID()), f); err != nil {
				return err
			}
			if n%5 == 4 {
				box, err := a.FindMailbox(e.ctx, "INBOX")
				if err != nil {
					return err
				}
				if _, _, err := a.Expunge(e.ctx, box.ID, only(store.UID(n)), false); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	for _, a := range accounts {
		x := e.index(a, e.box(a, "INBOX").ID)
		for i, m := range x.Entries {
			if m.Internal != int64(a.ID()) {
				e.t.Errorf("account %d has a message for %d", a.ID(), m.Internal)
			}
			if i%7 == 0 {
				if text := e.octets(a, m.Message); text != fmt.Sprint("for ", a.ID()) {
					e.t.Errorf("account %d reads %q", a.ID(), text)
				}
			}
		}
		if x.Mailbox.UIDNext != store.UID(2*each+1) {
			e.t.Errorf("account %d has UIDNEXT %d after %d messages", a.ID(), x.Mailbox.UIDNext, 2*each)
		}
		e.verify(a)
	}
}
