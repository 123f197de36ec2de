package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

var aliasTests = []test{
	{name: "AliasesComeBackWhole", run: aliasesWhole},
	{name: "PutReplaces", run: aliasReplaced},
	{name: "GroupsOfListsWhatNamesAnAddress", run: groupsOf},
	{name: "AliasesAreListedInPages", run: listAliases},
	{name: "UnknownAliasesAreNotFound", run: aliasUnknown},
}

// groupRow is an alias with every field set.
func groupRow(local string, targets ...string) store.AliasRow {
	row := store.AliasRow{Address: address(local), Group: true, Title: "Die Gruppe", SendAs: true, Created: time.Date(2022, 3, 4, 5, 6, 7, 8000, time.UTC)}
	for _, t := range targets {
		row.Targets = append(row.Targets, address(t))
	}
	return row
}

func aliasesWhole(e *env) {
	d := e.s.Directory()
	e.account()
	want := groupRow("Team", "zed", "anna", "Mike")
	e.must(d.PutAlias(e.ctx, store.AnyVersion, want))
	for _, local := range []string{"team", "TEAM"} {
		o, err := d.Owner(e.ctx, address(local))
		if err != nil || o.Account != 0 || o.Alias == nil || !reflect.DeepEqual(*o.Alias, want) {
			e.t.Errorf("owner %+v, %v; want %+v", o, err, want)
		}
	}
}

func aliasReplaced(e *env) {
	d := e.s.Directory()
	e.account()
	e.must(d.PutAlias(e.ctx, store.AnyVersion, groupRow("team", "one", "two", "three")))
	want := store.AliasRow{Address: address("TEAM"), Targets: []mail.Address{elsewhere("x")}, Created: time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)}
	e.must(d.PutAlias(e.ctx, store.AnyVersion, want))
	list, err := d.ListAliases(e.ctx, "", "", 0)
	if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		e.t.Errorf("aliases %+v, %v", list, err)
	}
	if groups, err := d.GroupsOf(e.ctx, address("two")); err != nil || len(groups) != 0 {
		e.t.Errorf("a former target is in %+v, %v", groups, err)
	}
}

func groupsOf(e *env) {
	d := e.s.Directory()
	e.account()
	e.must(d.PutAlias(e.ctx, store.AnyVersion, groupRow("b", "Member", "x")))
	e.must(d.PutAlias(e.ctx, store.AnyVersion, groupRow("a", "y", "member")))
	e.must(d.PutAlias(e.ctx, store.AnyVersion, groupRow("c", "member2")))
	groups, err := d.GroupsOf(e.ctx, address("MEMBER"))
	e.must(err)
	var got []string
	for _, g := range groups {
		got = append(got, g.Address.Local)
		if len(g.Targets) != 2 || !g.SendAs {
			e.t.Errorf("group %+v", g)
		}
	}
	slices.Sort(got)
	if fmt.Sprint(got) != "[a b]" {
		e.t.Errorf("member of %v", got)
	}
	if groups, err := d.GroupsOf(e.ctx, address("nobody")); err != nil || len(groups) != 0 {
		e.t.Errorf("nobody is in %+v, %v", groups, err)
	}
}

func listAliases(e *env) {
	d := e.s.Directory()
	e.account()
	var want []string
	for i := range 25 {
		row := groupRow(fmt.Sprintf("List%02d", i), "x", "y")
		if i%5 == 0 {
			row.Address.Domain = "other.test"
		} else {
			want = append(want, row.Address.Key())
		}
		e.must(d.PutAlias(e.ctx, store.AnyVersion, row))
	}
	var got []string
	for after := ""; ; {
		page, err := d.ListAliases(e.ctx, domain, after, 7)
		e.must(err)
		for _, row := range page {
			if len(row.Targets) != 2 {
				e.t.Errorf("row %+v", row)
			}
			after = row.Address.String()
			got = append(got, row.Address.Key())
		}
		if len(page) < 7 {
			break
		}
	}
	if !slices.Equal(got, want) {
		e.t.Errorf("pages %v, want %v", got, want)
	}
	if every, err := d.ListAliases(e.ctx, "", "", 0); err != nil || len(every) != 25 {
		e.t.Errorf("%d aliases in all domains, %v", len(every), err)
	}
}

func aliasUnknown(e *env) {
	d, a := e.s.Directory(), e.account()
	e.wants(d.RemoveAlias(e.ctx, address("nobody")), store.ErrNotFound, "remove no alias")
	row, err := d.GetAccount(e.ctx, a.ID())
	e.must(err)
	e.wants(d.RemoveAlias(e.ctx, row.Addresses[0]), store.ErrNotFound, "remove an account's address as an alias")
	if o, err := d.Owner(e.ctx, row.Addresses[0]); err != nil || o.Account != a.ID() {
		e.t.Errorf("owner %+v, %v", o, err)
	}
	e.must(d.PutAlias(e.ctx, store.AnyVersion, groupRow("gone", "x")))
	e.must(d.RemoveAlias(e.ctx, address("Gone")))
	_, err = d.Owner(e.ctx, address("gone"))
	e.wants(err, store.ErrNotFound, "owner of a removed alias")
	if groups, err := d.GroupsOf(e.ctx, address("x")); err != nil || len(groups) != 0 {
		e.t.Errorf("groups %+v, %v", groups, err)
	}
}
