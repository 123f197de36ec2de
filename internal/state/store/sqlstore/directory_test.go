package sqlstore

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

func TestDirectoryRowsComeBackAsTheyWerePut(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		d, ctx := s.Directory(), t.Context()
		made := time.UnixMicro(1_700_000_000_000_001).UTC()
		dom := store.DomainRow{Name: "ours.test", CatchAll: address(t, `"a b"@far.test`), Separator: "-", Disabled: true, Created: made}
		if err := d.PutDomain(ctx, store.AnyVersion, dom); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Domain(ctx, "ours.test"); err != nil || got != dom {
			t.Errorf("domain %+v, %v", got, err)
		}
		if _, err := d.Domain(ctx, "other.test"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown domain: %v", err)
		}
		other := store.AccountRow{Addresses: []mail.Address{address(t, "admin@ours.test")}, Admin: true, Created: made}
		if _, err := d.AddAccount(ctx, other); err != nil { // somebody must be administrator
			t.Fatal(err)
		}
		row := store.AccountRow{
			Addresses: []mail.Address{address(t, "Zoe@ours.test"), address(t, "a@ours.test")}, FullName: "Zoë", Password: "$h", Scram256: "s2", Scram1: "s1",
			Admin: true, QuotaBytes: 10, QuotaMessages: 20, Created: made,
		}
		id, err := d.AddAccount(ctx, row)
		if err != nil {
			t.Fatal(err)
		}
		row.ID, row.Version = id, 1
		if got, err := d.GetAccount(ctx, id); err != nil || !reflect.DeepEqual(got, row) {
			t.Errorf("account %+v, %v", got, err)
		}
		row.Addresses, row.Disabled = []mail.Address{address(t, "a@ours.test"), address(t, "b@ours.test")}, true
		if err := d.SetAccount(ctx, row); err != nil {
			t.Fatal(err)
		}
		row.Version = 2
		if got, err := d.GetAccount(ctx, id); err != nil || !reflect.DeepEqual(got, row) {
			t.Errorf("changed account %+v, %v", got, err)
		}
		if o, err := d.Owner(ctx, address(t, "B@ours.test")); err != nil || o.Account != id || !o.Disabled {
			t.Errorf("owner %+v, %v", o, err)
		}
		if _, err := d.Owner(ctx, address(t, "zoe@ours.test")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a given-up address leads to %v", err)
		}
		alias := store.AliasRow{Address: address(t, "Team@ours.test"), Targets: []mail.Address{address(t, "b@ours.test"), address(t, "x@far.test")}, Group: true, Title: "T", SendAs: true, Created: made}
		for range 2 { // insert, then replace
			if err := d.PutAlias(ctx, store.AnyVersion, alias); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := d.Owner(ctx, address(t, "team@ours.test")); err != nil || o.Account != 0 || !reflect.DeepEqual(*o.Alias, alias) {
			t.Errorf("alias %+v, %v", o, err)
		}
		if got, err := d.GroupsOf(ctx, address(t, "X@far.test")); err != nil || !reflect.DeepEqual(got, []store.AliasRow{alias}) {
			t.Errorf("groups of a target: %+v, %v", got, err)
		}
	})
}

func TestAddressesAreUniqueOverAccountsAndAliases(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		d, ctx := s.Directory(), t.Context()
		bob := addAccount(t, s, "bob")
		a := store.AliasRow{Address: address(t, "all@example.test"), Targets: []mail.Address{address(t, "bob@example.test")}}
		if err := d.PutAlias(ctx, store.AnyVersion, a); err != nil {
			t.Fatal(err)
		}
		before, err := d.Version(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{address(t, "new@example.test"), address(t, "ALL@example.test")}})
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("account on an alias: %v", err)
		}
		if _, err := d.Owner(ctx, address(t, "new@example.test")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("half an account stayed: %v", err)
		}
		a.Address = address(t, "BOB@example.test")
		if err := d.PutAlias(ctx, store.AnyVersion, a); !errors.Is(err, store.ErrExists) {
			t.Errorf("alias on an account: %v", err)
		}
		if after, err := d.Version(ctx); err != nil || after != before {
			t.Errorf("failed changes raised the version from %d to %d, %v", before, after, err)
		}
		if err := d.RemoveDomain(ctx, "example.test"); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("domain in use: %v", err)
		}
		if err := d.RemoveAccount(ctx, bob); err != nil {
			t.Fatal(err)
		}
		if err := d.RemoveAlias(ctx, address(t, "all@example.test")); err != nil {
			t.Fatal(err)
		}
		if err := d.RemoveDomain(ctx, "example.test"); err != nil {
			t.Errorf("empty domain: %v", err)
		}
		for _, err := range []error{d.RemoveAccount(ctx, bob), d.RemoveAlias(ctx, a.Address), d.RemoveDomain(ctx, "example.test"), d.SetAccount(ctx, store.AccountRow{ID: bob, Addresses: []mail.Address{a.Address}})} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("removed twice: %v", err)
			}
		}
	})
}

func TestListsPageByAddress(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		d, ctx := s.Directory(), t.Context()
		for _, domain := range []string{"a.test", "b.test"} {
			if err := d.PutDomain(ctx, store.AnyVersion, store.DomainRow{Name: domain}); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				_, err := d.AddAccount(ctx, store.AccountRow{Addresses: []mail.Address{{Local: fmt.Sprintf("U%d", i), Domain: domain}, {Local: fmt.Sprintf("extra%d", i), Domain: domain}}, Admin: i == 3})
				if err != nil {
					t.Fatal(err)
				}
				err = d.PutAlias(ctx, store.AnyVersion, store.AliasRow{Address: mail.Address{Local: fmt.Sprintf("al%d", i), Domain: domain}, Targets: []mail.Address{{Local: "u0", Domain: "a.test"}}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for domain, want := range map[string]int{"": 10, "b.test": 5, "c.test": 0} {
			accounts, aliases := 0, 0
			for after := ""; ; {
				page, err := d.ListAccounts(ctx, domain, after, 3)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				after, accounts = page[len(page)-1].Addresses[0].String(), accounts+len(page)
				if len(page) > 3 || len(page[0].Addresses) != 2 {
					t.Errorf("page: %+v", page)
				}
			}
			for after := ""; ; {
				page, err := d.ListAliases(ctx, domain, after, 3)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				after, aliases = page[len(page)-1].Address.String(), aliases+len(page)
			}
			if accounts != want || aliases != want {
				t.Errorf("%q: %d accounts, %d aliases", domain, accounts, aliases)
			}
		}
		if got, err := d.GroupsOf(ctx, address(t, "u0@a.test")); err != nil || len(got) != 10 {
			t.Errorf("groups: %d, %v", len(got), err)
		}
		if admins, err := d.Administrators(ctx); err != nil || len(admins) != 2 || admins[0] > admins[1] {
			t.Errorf("administrators: %v, %v", admins, err)
		}
		if all, err := d.Domains(ctx); err != nil || len(all) != 2 || all[0].Name != "a.test" {
			t.Errorf("domains: %v, %v", all, err)
		}
	})
}
