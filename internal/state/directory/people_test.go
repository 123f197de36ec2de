package directory

import (
	"errors"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
)

func TestEveryAddressOfAnAccountLogsIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.account(t, "bob@ours.test robert@two.test")
	off := h.account(t, "eve@ours.test x@off.test")
	h.alias(t, "alias@ours.test", "bob@ours.test")
	for name, want := range map[string]store.AccountID{
		"bob@ours.test": bob, "Robert@TWO.test": bob, "bob+x@ours.test": 0, "alias@ours.test": 0, "nobody@ours.test": 0, "bob@far.test": 0,
		"bob": 0, "": 0, "@": 0, "bob@": 0, "a b": 0, strings.Repeat("x", 300): 0, "x@off.test": off, "eve@ours.test": off, "bo\u00adb@ours.test": bob,
	} {
		row, err := h.Login(t.Context(), name)
		if row.ID != want || (err == nil) != (want != 0) || want == 0 && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q logs in as %d, %v; want %d", name, row.ID, err, want)
		}
		if err == nil && row.Disabled != (name == "x@off.test") {
			t.Errorf("%q: disabled %v", name, row.Disabled)
		}
	}
	h.settings.DefaultDomain = "two.test"
	if row, err := h.Login(t.Context(), "robert"); err != nil || row.ID != bob {
		t.Errorf("name without domain: %d, %v", row.ID, err)
	}
	if _, err := h.Login(t.Context(), "bob"); err == nil {
		t.Error("a name of another domain logged in")
	}
}

func TestSendersMustBeOwned(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.account(t, "bob@ours.test robert@two.test")
	eve := h.account(t, "eve@ours.test")
	h.alias(t, "sales@ours.test", "inner@ours.test", group, sendAs)
	h.alias(t, "inner@ours.test", "bob@ours.test", group)
	h.alias(t, "list@ours.test", "bob@ours.test eve@ours.test", group)
	h.must(t, h.AddDomain(t.Context(), store.DomainRow{Name: "all.test", CatchAll: addr(t, "eve@ours.test")}))
	for _, c := range []struct {
		who  store.AccountID
		as   string
		want bool
	}{
		{bob, "bob@ours.test", true}, {bob, "BOB+x@ours.test", true}, {bob, "robert@two.test", true}, {bob, "robert-x@two.test", true},
		{bob, "robert+x@two.test", false}, {bob, "eve@ours.test", false}, {eve, "bob@ours.test", false}, {bob, "sales@ours.test", true},
		{bob, "sales+x@ours.test", true}, {eve, "sales@ours.test", false}, {bob, "list@ours.test", false}, {bob, "inner@ours.test", false},
		{bob, "bob@far.test", false}, {eve, "x@all.test", false}, {bob, "nobody@ours.test", false}, {bob, "", true}, {bob, "bob", false},
		{bob, "postmaster@ours.test", false},
	} {
		if got, err := h.OwnsSender(t.Context(), c.who, addr(t, c.as)); err != nil || got != c.want {
			t.Errorf("%s sends as %s: %v, %v", h.names[c.who], c.as, got, err)
		}
	}
	for as, want := range map[string]bool{"bob+x@ours.test": true, "list@ours.test": true, "nobody@ours.test": false, "x@all.test": false, "a@far.test": false, "": false} {
		if got, err := h.IsLocalSender(t.Context(), addr(t, as)); err != nil && as != "" || got != want {
			t.Errorf("%s is ours: %v, %v", as, got, err)
		}
	}
	all, err := h.SenderAddresses(t.Context(), bob)
	if err != nil || len(all) != 3 || all[2].String() != "sales@ours.test" {
		t.Errorf("bob sends as %v, %v", all, err)
	}
}

func TestWrongEntriesAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	root := h.account(t, "root@ours.test", admin)
	h.alias(t, "a@ours.test", "root@ours.test")
	add := func(addresses []mail.Address, change func(*NewAccount)) error {
		n := NewAccount{AccountRow: store.AccountRow{Addresses: addresses}}
		if change != nil {
			change(&n)
		}
		_, err := h.AddAccount(t.Context(), n)
		return err
	}
	one := addrs(t, "new@ours.test")
	row, err := h.AccountOf(t.Context(), addr(t, "root@ours.test"))
	h.must(t, err)
	demoted := row
	demoted.Admin = false
	far := addrs(t, "b@far.test")
	for name, c := range map[string]struct {
		err  error
		kind error
		want string
	}{
		"no address":     {add(nil, nil), store.ErrInvalid, "1 to"},
		"foreign domain": {add(far, nil), store.ErrInvalid, "far.test is not hosted here; add it first"},
		"no domain":      {add([]mail.Address{{Local: "x"}}, nil), store.ErrInvalid, "name@domain"},
		"odd local":      {add([]mail.Address{{Local: "x\ny", Domain: "ours.test"}}, nil), store.ErrInvalid, "well formed"},
		"long local":     {add([]mail.Address{{Local: strings.Repeat("x", 65), Domain: "ours.test"}}, nil), store.ErrInvalid, "over 64 octets before the @"},
		"long alias":     {h.AddAlias(t.Context(), store.AliasRow{Address: mail.Address{Local: strings.Repeat("x", 65), Domain: "ours.test"}, Targets: far}), store.ErrInvalid, "over 64 octets before the @"},
		"twice":          {add(addrs(t, "n@ours.test N@ours.test"), nil), store.ErrInvalid, "twice"},
		"taken":          {add(addrs(t, "ROOT@ours.test"), nil), store.ErrExists, "ROOT@ours.test"},
		"alias's":        {add(addrs(t, "a@ours.test"), nil), store.ErrExists, "a@ours.test"},
		"name":           {add(one, func(n *NewAccount) { n.FullName = "x\r\nBcc: y" }), store.ErrInvalid, "line break"},
		"quota":          {add(one, func(n *NewAccount) { n.QuotaBytes = -1 }), store.ErrInvalid, "quota"},
		"short password": {add(one, func(n *NewAccount) { n.Password = "seven77" }), store.ErrInvalid, "fewer than 8"},
		"own name":       {add(one, func(n *NewAccount) { n.Password = "NEW@ours.test" }), store.ErrInvalid, "own name"},
		"long password":  {add(one, func(n *NewAccount) { n.Password = strings.Repeat("x", passwd.MaxPassword+1) }), store.ErrInvalid, "octets"},
		"last admin":     {h.RemoveAccount(t.Context(), root), store.ErrInvalid, "last administrator"},
		"demoted":        {h.SetAccount(t.Context(), demoted), store.ErrInvalid, "last administrator"},
		"domain again":   {h.AddDomain(t.Context(), store.DomainRow{Name: "ours.test"}), store.ErrExists, "ours.test"},
		"domain form":    {h.AddDomain(t.Context(), store.DomainRow{Name: "Ours.Test"}), store.ErrInvalid, "normal form"},
		"literal":        {h.AddDomain(t.Context(), store.DomainRow{Name: "[192.0.2.1]"}), store.ErrInvalid, "normal form"},
		"separator":      {h.AddDomain(t.Context(), store.DomainRow{Name: "s.test", Separator: "@"}), store.ErrInvalid, "separator"},
		"catch-all":      {h.AddDomain(t.Context(), store.DomainRow{Name: "c.test", CatchAll: addr(t, "no@ours.test")}), store.ErrInvalid, "nobody"},
		"domain in use":  {h.RemoveDomain(t.Context(), "ours.test"), store.ErrInvalid, "still has addresses"},
		"unknown domain": {h.ChangeDomain(t.Context(), "un.test", func(*store.DomainRow) error { return nil }), store.ErrNotFound, "un.test"},
		"alias of self":  {h.AddAlias(t.Context(), store.AliasRow{Address: one[0], Targets: one}), store.ErrInvalid, "own target"},
		"no target":      {h.AddAlias(t.Context(), store.AliasRow{Address: one[0]}), store.ErrInvalid, "targets"},
		"null target":    {h.AddAlias(t.Context(), store.AliasRow{Address: one[0], Targets: []mail.Address{{}}}), store.ErrInvalid, "name@domain"},
		"target twice":   {h.AddAlias(t.Context(), store.AliasRow{Address: one[0], Targets: addrs(t, "b@far.test B@far.test")}), store.ErrInvalid, "twice"},
		"alias taken":    {h.AddAlias(t.Context(), store.AliasRow{Address: addr(t, "root@ours.test"), Targets: far}), store.ErrExists, "root@"},
		"alias foreign":  {h.AddAlias(t.Context(), store.AliasRow{Address: far[0], Targets: one}), store.ErrInvalid, "not hosted"},
		"no alias":       {h.ChangeAlias(t.Context(), addr(t, "root@ours.test"), func(*store.AliasRow) error { return nil }), store.ErrNotFound, "no alias"},
		"gone alias":     {h.RemoveAlias(t.Context(), one[0]), store.ErrNotFound, "new@"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	h.must(t, h.AddAlias(t.Context(), store.AliasRow{Address: addr(t, "far@ours.test"), Targets: addrs(t, strings.Repeat("x", 65)+"@far.test")})) // others may
	if got := h.where(t, "new@ours.test"); got != "unknown" {
		t.Errorf("a refused entry stayed: %s", got)
	}
}

func TestPasswordsAreHashedForEveryWayToLogIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.settings.ScramSHA1 = true
	id := h.account(t, "bob@ours.test", func(n *NewAccount) { n.Password = "correct horse" })
	verify := func(password string) error {
		row, err := h.Login(t.Context(), "bob@ours.test")
		h.must(t, err)
		_, err = h.o.Passwords.Verify(t.Context(), "bob", row.Password, password)
		return err
	}
	if err := verify("correct horse"); err != nil {
		t.Error(err)
	}
	before, err := h.Login(t.Context(), "bob@ours.test")
	h.must(t, err)
	for _, text := range []string{before.Scram256, before.Scram1} {
		if _, err := passwd.ParseScram(text); err != nil {
			t.Error(err)
		}
	}
	h.settings.ScramSHA1 = false
	h.must(t, h.SetPassword(t.Context(), id, "battery staple"))
	if err := verify("correct horse"); !errors.Is(err, passwd.ErrMismatch) {
		t.Errorf("the old password: %v", err)
	}
	if err := verify("battery staple"); err != nil {
		t.Error(err)
	}
	h.must(t, h.Rehash(t.Context(), before, "correct horse")) // comes too late
	if err := verify("battery staple"); err != nil {
		t.Error("a late rehash brought the old password back:", err)
	}
	now, err := h.Login(t.Context(), "bob@ours.test")
	h.must(t, err)
	h.must(t, h.Rehash(t.Context(), now, "battery staple"))
	after, err := h.Login(t.Context(), "bob@ours.test")
	h.must(t, err)
	if after.Password == now.Password || after.Scram1 != "" {
		t.Error("not hashed anew, or a SHA-1 verifier stays")
	}
	h.must(t, h.SetAccount(t.Context(), after))
	if err := h.SetAccount(t.Context(), after); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an outdated row was saved: %v", err)
	}
	if err := h.SetPassword(t.Context(), 999, "battery staple"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("password of nobody: %v", err)
	}
}
