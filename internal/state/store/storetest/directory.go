package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var directoryTests = []test{
	{name: "DomainsComeBackWhole", run: domains},
	{name: "ADomainInUseStays", run: domainInUse},
	{name: "AccountsComeBackWhole", run: accountsWhole},
	{name: "AnAddressBelongsToOne", run: addressesUnique},
	{name: "SetAccountReplaces", run: setAccount},
	{name: "SetAccountConflicts", run: setAccountConflicts},
	{name: "RemovedAddressesAreFree", run: addressesFree},
	{name: "AdministratorsOldestFirst", run: administrators},
	{name: "AccountsAreListedInPages", run: listAccounts},
	{name: "EveryChangeRaisesTheVersion", run: directoryVersion},
	{name: "DomainsAndAliasesOfTwoWriters", run: directoryConflicts},
	{name: "ContestedAddressesGoToOne", run: addressesTogether},
}

func domains(e *env) {
	d := e.s.Directory()
	at := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	rows := []store.DomainRow{
		{Name: "a.test", CatchAll: mail.Address{Local: "all", Domain: "b.test"}, Separator: "-", Forwarding: store.No, Created: at},
		{Name: "b.test", Disabled: true, Forwarding: store.Yes, Created: at},
	}
	e.must(d.PutDomain(e.ctx, store.AnyVersion, rows[1]))
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "a.test", Separator: "+", Disabled: true}))
	e.must(d.PutDomain(e.ctx, store.AnyVersion, rows[0]))
	got, err := d.Domains(e.ctx)
	if err != nil || !reflect.DeepEqual(got, rows) {
		e.t.Errorf("domains %+v %v, want %+v", got, err, rows)
	}
	one, err := d.Domain(e.ctx, "b.test")
	if err != nil || !reflect.DeepEqual(one, rows[1]) {
		e.t.Errorf("domain %+v, %v", one, err)
	}
	_, err = d.Domain(e.ctx, "c.test")
	e.wants(err, store.ErrNotFound, "unknown domain")
	e.wants(d.RemoveDomain(e.ctx, "c.test"), store.ErrNotFound, "remove an unknown domain")
	e.must(d.RemoveDomain(e.ctx, "b.test"))
	_, err = d.Domain(e.ctx, "b.test")
	e.wants(err, store.ErrNotFound, "removed domain")
}

func domainInUse(e *env) {
	d, a := e.s.Directory(), e.account()
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: "alias.test"}))
	alias := mail.Address{Local: "info", Domain: "alias.test"}
	e.must(d.PutAlias(e.ctx, store.AnyVersion, store.AliasRow{Address: alias, Targets: []mail.Address{elsewhere("x")}}))
	e.wants(d.RemoveDomain(e.ctx, domain), store.ErrInvalid, "remove the domain of an account")
	e.wants(d.RemoveDomain(e.ctx, "alias.test"), store.ErrInvalid, "remove the domain of an alias")
	e.must(d.RemoveAlias(e.ctx, alias))
	e.must(d.RemoveDomain(e.ctx, "alias.test"))
	e.must(d.RemoveAccount(e.ctx, a.ID()))
	e.must(d.RemoveDomain(e.ctx, domain))
}

// person is a row with every field set.
func person(locals ...string) store.AccountRow {
	row := store.AccountRow{FullName: "Jörg 'Möller'", Password: "$argon2id$x", Scram256: "s256", Scram1: "s1", Admin: true, Disabled: true,
		QuotaBytes: 1 << 40, QuotaMessages: 12, Forward: []mail.Address{elsewhere("a b"), address("zoë")}, ForwardOnly: true, Forwarding: store.Yes, Created: time.Date(2021, 2, 3, 4, 5, 6, 7000, time.UTC)}
	for _, local := range locals {
		row.Addresses = append(row.Addresses, address(local))
	}
	return row
}

func accountsWhole(e *env) {
	d := e.s.Directory()
	want := person("Zoë.Smith", "a b", "smith")
	a := e.accountOf(want)
	got, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	want.ID, want.Version = a.ID(), got.Version
	if !reflect.DeepEqual(got, want) {
		e.t.Errorf("account %+v, want %+v", got, want)
	}
	for _, local := range []string{"zoë.smith", "ZOË.SMITH", "A B", "smith"} {
		o, err := d.Owner(e.ctx, address(local))
		if err != nil || o.Account != a.ID() || !o.Disabled || !o.Forwards || o.Alias != nil {
			e.t.Errorf("owner of %s is %+v, %v", local, o, err)
		}
	}
	_, err = d.Owner(e.ctx, address("nobody"))
	e.wants(err, store.ErrNotFound, "owner of no address")
	_, err = d.Owner(e.ctx, mail.Address{Local: "smith", Domain: "other.test"})
	e.wants(err, store.ErrNotFound, "owner in another domain")
	_, err = d.GetAccount(e.ctx, a.ID()+1)
	e.wants(err, store.ErrNotFound, "unknown account")
	_, err = d.AddAccount(e.ctx, store.AccountRow{})
	e.wants(err, store.ErrInvalid, "account without address")
}

func addressesUnique(e *env) {
	d := e.s.Directory()
	a := e.accountOf(person("taken", "second"))
	e.must(d.PutAlias(e.ctx, store.AnyVersion, store.AliasRow{Address: address("list"), Targets: []mail.Address{address("taken")}}))
	before, err := d.ListAccounts(e.ctx, "", "", 0)
	e.must(err)
	for _, locals := range [][]string{{"TAKEN"}, {"new", "second"}, {"List"}, {"twice", "TWICE"}} {
		_, err := d.AddAccount(e.ctx, person(locals...))
		e.wants(err, store.ErrExists, "account with %v", locals)
	}
	e.wants(d.PutAlias(e.ctx, store.AnyVersion, store.AliasRow{Address: address("Second")}), store.ErrExists, "alias with an account's address")
	b := e.account()
	row, err := d.GetAccount(e.ctx, b.ID())
	e.must(err)
	row.Addresses = append(row.Addresses, address("new"), address("taken"))
	e.wants(d.SetAccount(e.ctx, row), store.ErrExists, "set an address that is taken")
	e.must(d.RemoveAccount(e.ctx, b.ID()))
	after, err := d.ListAccounts(e.ctx, "", "", 0)
	if err != nil || !reflect.DeepEqual(after, before) {
		e.t.Errorf("accounts %+v, %v; were %+v", after, err, before)
	}
	_, err = d.Owner(e.ctx, address("new"))
	e.wants(err, store.ErrNotFound, "address of an account that was refused")
	e.verify(a)
}

func setAccount(e *env) {
	d := e.s.Directory()
	a := e.accountOf(person("old", "kept"))
	f := e.file(a, "x", inbox())
	row, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	row.Addresses = []mail.Address{address("kept"), address("new")}
	row.FullName, row.Admin, row.Disabled, row.Password, row.QuotaMessages = "New", false, false, "", 1
	row.Forward, row.ForwardOnly, row.Forwarding = nil, false, store.No
	e.must(d.SetAccount(e.ctx, row))
	got, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	if got.Version == row.Version {
		e.t.Error("the version stayed")
	}
	row.Version = got.Version
	if !reflect.DeepEqual(got, row) {
		e.t.Errorf("account %+v, want %+v", got, row)
	}
	_, err = d.Owner(e.ctx, address("old"))
	e.wants(err, store.ErrNotFound, "owner of an address that was taken away")
	if o, err := d.Owner(e.ctx, address("new")); err != nil || o.Account != a.ID() || o.Disabled || o.Forwards {
		e.t.Errorf("owner of the new address: %+v, %v", o, err)
	}
	_, err = e.accept(e.acceptance(a, []byte("x"), inbox()))
	e.wants(err, store.ErrOverQuota, "the new quota counts at once")
	if text := e.octets(a, f.Message); text != "x" {
		e.t.Errorf("mail reads %q", text)
	}
	row.Addresses = nil
	e.wants(d.SetAccount(e.ctx, row), store.ErrInvalid, "account without address")
	e.verify(a)
}

func setAccountConflicts(e *env) {
	d, a := e.s.Directory(), e.account()
	row, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	mine := row
	mine.FullName = "mine"
	e.must(d.SetAccount(e.ctx, mine))
	yours := row
	yours.FullName = "yours"
	e.wants(d.SetAccount(e.ctx, yours), store.ErrConflict, "set an old version")
	if got, err := d.GetAccount(e.ctx, a.ID()); err != nil || got.FullName != "mine" {
		e.t.Errorf("account %+v, %v", got, err)
	}
	row.ID += 1000
	e.wants(d.SetAccount(e.ctx, row), store.ErrNotFound, "set an unknown account")
	won := make([]bool, 8)
	current, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	e.must(together(len(won), func(i int) error {
		row := current
		row.FullName = fmt.Sprint("writer ", i)
		won[i] = d.SetAccount(e.ctx, row) == nil
		return nil
	}))
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		e.t.Errorf("%d of %d writers of one version won", n, len(won))
	}
}

func addressesFree(e *env) {
	d := e.s.Directory()
	a := e.accountOf(person("name", "other"))
	old := e.file(a, "of the first", inbox())
	e.must(d.RemoveAccount(e.ctx, a.ID()))
	e.wants(d.RemoveAccount(e.ctx, a.ID()), store.ErrNotFound, "remove again")
	b := e.accountOf(person("name"))
	if b.ID() == a.ID() {
		e.t.Fatal("an account id came back")
	}
	x := e.index(b, e.box(b, "INBOX").ID)
	if len(x.Entries) != 0 {
		e.t.Errorf("a new account has mail: %+v", x)
	}
	_, err := b.OpenBody(e.ctx, old.Message)
	e.wants(err, store.ErrNotFound, "mail of the former account")
	e.must(d.PutAlias(e.ctx, store.AnyVersion, store.AliasRow{Address: address("other"), Targets: []mail.Address{address("name")}}))
}

func administrators(e *env) {
	d := e.s.Directory()
	one := e.accountOf(store.AccountRow{Admin: true})
	e.account()
	two := e.accountOf(store.AccountRow{Admin: true})
	e.accountOf(store.AccountRow{Admin: true, Disabled: true})
	got, err := d.Administrators(e.ctx)
	if err != nil || !slices.Equal(got, []store.AccountID{one.ID(), two.ID()}) {
		e.t.Errorf("administrators %v, %v", got, err)
	}
}

func listAccounts(e *env) {
	d := e.s.Directory()
	var want []string
	for i := range 25 {
		row := person(fmt.Sprintf("User%02d", i), fmt.Sprintf("aaa%02d", i))
		if i%5 == 0 {
			row.Addresses[0].Domain = "other.test"
		} else {
			want = append(want, row.Addresses[0].Key())
		}
		e.accountOf(row)
	}
	var got []string
	for after := ""; ; {
		page, err := d.ListAccounts(e.ctx, domain, after, 7)
		e.must(err)
		for _, row := range page {
			if len(row.Addresses) != 2 || row.FullName == "" {
				e.t.Errorf("row %+v", row)
			}
			after = row.Addresses[0].String()
			got = append(got, row.Addresses[0].Key())
		}
		if len(page) < 7 {
			break
		}
	}
	if !slices.Equal(got, want) {
		e.t.Errorf("pages %v, want %v", got, want)
	}
	every, err := d.ListAccounts(e.ctx, "", "", 0)
	if err != nil || len(every) != 25 {
		e.t.Errorf("%d accounts in all domains, %v", len(every), err)
	}
	sorted := slices.IsSortedFunc(every, func(a, b store.AccountRow) int {
		if a.Addresses[0].Key() < b.Addresses[0].Key() {
			return -1
		}
		return 1
	})
	if !sorted {
		e.t.Error("accounts of all domains are out of order")
	}
}

func directoryVersion(e *env) {
	d := e.s.Directory()
	last, err := d.Version(e.ctx)
	e.must(err)
	var id store.AccountID
	raises := func(what string, f func() error) {
		e.t.Helper()
		select {
		case <-d.Changed():
		default:
		}
		e.must(f())
		v, err := d.Version(e.ctx)
		if err != nil || v <= last {
			e.t.Errorf("%s: version %d after %d, %v", what, v, last, err)
		}
		last = v
		select {
		case <-d.Changed():
		case <-time.After(time.Minute):
			e.t.Errorf("%s woke nobody", what)
		}
	}
	raises("PutDomain", func() error { return d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: domain}) })
	raises("AddAccount", func() (err error) { id, err = d.AddAccount(e.ctx, person("x")); return err })
	raises("SetAccount", func() error {
		row, err := d.GetAccount(e.ctx, id)
		e.must(err)
		return d.SetAccount(e.ctx, row)
	})
	raises("PutAlias", func() error { return d.PutAlias(e.ctx, store.AnyVersion, store.AliasRow{Address: address("y")}) })
	raises("RemoveAlias", func() error { return d.RemoveAlias(e.ctx, address("y")) })
	raises("RemoveAccount", func() error { return d.RemoveAccount(e.ctx, id) })
	raises("RemoveDomain", func() error { return d.RemoveDomain(e.ctx, domain) })
}

// What was made from an old version of the directory does not replace what
// came since.
func directoryConflicts(e *env) {
	d := e.s.Directory()
	e.must(d.PutDomain(e.ctx, store.AnyVersion, store.DomainRow{Name: domain}))
	base, err := d.Version(e.ctx)
	e.must(err)
	e.must(d.PutDomain(e.ctx, base, store.DomainRow{Name: domain, Separator: "-"}))
	e.wants(d.PutDomain(e.ctx, base, store.DomainRow{Name: domain, Disabled: true}), store.ErrConflict, "a domain made from an old version")
	e.must(d.PutAlias(e.ctx, base+1, groupRow("team", "one")))
	e.wants(d.PutAlias(e.ctx, base+1, groupRow("team", "two")), store.ErrConflict, "an alias made from an old version")
	dom, err := d.Domain(e.ctx, domain)
	if err != nil || dom.Separator != "-" || dom.Disabled {
		e.t.Errorf("the domain is %+v, %v", dom, err)
	}
	o, err := d.Owner(e.ctx, address("team"))
	if err != nil || !reflect.DeepEqual(o.Alias.Targets, []mail.Address{address("one")}) {
		e.t.Errorf("the group is %+v, %v", o.Alias, err)
	}
}

func addressesTogether(e *env) {
	d := e.s.Directory()
	e.account() // the domain
	for round := range e.o.size(3, 8, 100) {
		ids := make([]store.AccountID, 8)
		e.must(together(len(ids), func(i int) error {
			id, err := d.AddAccount(e.ctx, person(fmt.Sprint("own", round, "-", i), fmt.Sprint("contested", round)))
			if err == nil {
				ids[i] = id
			} else if !errors.Is(err, store.ErrExists) {
				return err
			}
			return nil
		}))
		o, err := d.Owner(e.ctx, address(fmt.Sprint("contested", round)))
		e.must(err)
		n := 0
		for _, id := range ids {
			if id == 0 {
				continue
			}
			n++
			if id != o.Account {
				e.t.Errorf("account %d was added, the address belongs to %d", id, o.Account)
			}
		}
		if n != 1 {
			e.t.Errorf("%d accounts were added with one address", n)
		}
	}
}
