package storetest

import (
	"errors"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var administratorTests = []test{
	{name: "TheLastOneStays", run: lastAdministrator},
	{name: "TheDomainOfTheLastOneStaysOpen", run: lastDomain},
	{name: "TwoAtOnceCannotDemoteEachOther", run: administratorsTogether},
}

// waysOut are the changes by which an account stops being an administrator.
var waysOut = map[string]func(e *env, id store.AccountID) error{
	"demote": func(e *env, id store.AccountID) error {
		return e.change(id, func(a *store.AccountRow) { a.Admin = false })
	},
	"disable": func(e *env, id store.AccountID) error {
		return e.change(id, func(a *store.AccountRow) { a.Disabled = true })
	},
	"remove": func(e *env, id store.AccountID) error { return e.s.Directory().RemoveAccount(e.ctx, id) },
}

// change reads an account, changes it and writes it back.
func (e *env) change(id store.AccountID, f func(*store.AccountRow)) error {
	row, err := e.s.Directory().GetAccount(e.ctx, id)
	if err != nil {
		return err
	}
	f(&row)
	return e.s.Directory().SetAccount(e.ctx, row)
}

func lastAdministrator(e *env) {
	d := e.s.Directory()
	one := e.accountOf(store.AccountRow{Admin: true}).ID()
	e.accountOf(store.AccountRow{Admin: true, Disabled: true})
	other := e.account().ID()
	for how, out := range waysOut {
		e.wants(out(e, one), store.ErrLastAdministrator, "%s the last administrator", how)
	}
	e.must(e.change(one, func(a *store.AccountRow) { a.FullName = "Still one" }))
	e.must(d.RemoveAccount(e.ctx, other)) // nobody's loss
	two := e.accountOf(store.AccountRow{Admin: true}).ID()
	e.must(waysOut["demote"](e, one))
	e.wants(waysOut["disable"](e, two), store.ErrLastAdministrator, "disable the one who is left")
}

func lastDomain(e *env) {
	d := e.s.Directory()
	id := e.accountOf(store.AccountRow{Admin: true}).ID()
	disable := func(name string, yes bool) error {
		return d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: name, Separator: "+", Disabled: yes})
	}
	e.must(disable("other.test", true)) // nobody's loss
	away := mail.Address{Local: "boss", Domain: "other.test"}
	e.wants(disable(domain, true), store.ErrLastAdministrator, "disable the domain of the last administrator")
	e.wants(e.change(id, func(a *store.AccountRow) { a.Addresses = []mail.Address{away} }), store.ErrLastAdministrator, "move the last one into a disabled domain")
	e.must(e.change(id, func(a *store.AccountRow) { a.Addresses = append(a.Addresses, away) }))
	e.must(disable("other.test", false))
	e.must(disable(domain, true)) // by the other address there still is one
	e.wants(disable("other.test", true), store.ErrLastAdministrator, "disable the other domain, too")
	e.must(disable(domain, false))
}

func administratorsTogether(e *env) {
	for round := range e.o.size(3, 10, 100) {
		ids := make([]store.AccountID, 4)
		for i := range ids {
			ids[i] = e.accountOf(store.AccountRow{Admin: true}).ID()
		}
		all, err := e.s.Directory().Administrators(e.ctx)
		e.must(err)
		ways := []string{"demote", "disable", "remove"}
		e.must(together(len(all), func(i int) error {
			err := waysOut[ways[(i+round)%3]](e, all[i])
			if errors.Is(err, store.ErrLastAdministrator) {
				return nil
			}
			return err
		}))
		left, err := e.s.Directory().Administrators(e.ctx)
		if err != nil || len(left) != 1 {
			e.t.Fatal(fmt.Errorf("%d administrators left of %d (%w)", len(left), len(all), err))
		}
	}
}
