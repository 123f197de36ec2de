package storetest

import (
	"errors"
	"slices"
	"strings"

	"posthorn/internal/state/store"
)

var mailboxNameTests = []test{
	{name: "AnyTextIsAName", run: oddNames},
	{name: "UndividableNamesAreInvalid", run: invalidNames},
	{name: "LongNamesReachALimit", run: longNames},
	{name: "ListingIsInOctetOrder", run: octetOrder},
}

func oddNames(e *env) {
	a := e.account()
	for _, name := range []string{
		"%", "*", "a%b_c", `back\slash`, `"quoted"`, "'); DROP TABLE mailbox; --", "&AOk-", "日本語/ファイル", "🎺", " leading", "trailing ",
		"~", ".", "..", "a/../b", "inboxes", "INBOX2", "\t", "Straße", "STRASSE", "?", "$1",
	} {
		b, err := a.CreateMailbox(e.ctx, name, store.RoleNone)
		if err != nil {
			e.t.Errorf("create %q: %v", name, err)
			continue
		}
		if got := e.box(a, name); got.ID != b.ID || got.Name != name {
			e.t.Errorf("%q is found as %+v", name, got)
		}
		e.must(a.SetSubscribed(e.ctx, name, true))
		e.must(a.RenameMailbox(e.ctx, b.ID, "Renamed/"+name))
		e.must(a.RenameMailbox(e.ctx, b.ID, name))
	}
	// % and _ are no wildcards: renaming takes real children only.
	e.create(a, "a%b_c/child")
	e.create(a, "aXbYc/child")
	e.must(a.RenameMailbox(e.ctx, e.box(a, "a%b_c").ID, "moved"))
	e.box(a, "aXbYc/child")
	e.box(a, "moved/child")
	e.verify(a)
}

func invalidNames(e *env) {
	a := e.account()
	b := e.create(a, "Fine")
	before := e.state(a)
	for _, name := range []string{"", "/", "/a", "a/", "a//b", "a\x00b", "bad\xff utf-8"} {
		_, err := a.CreateMailbox(e.ctx, name, store.RoleNone)
		e.wants(err, store.ErrInvalid, "create %q", name)
		e.wants(a.RenameMailbox(e.ctx, b.ID, name), store.ErrInvalid, "rename to %q", name)
		e.wants(a.SetSubscribed(e.ctx, name, true), store.ErrInvalid, "subscribe to %q", name)
		if _, err := a.FindMailbox(e.ctx, name); !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrInvalid) {
			e.t.Errorf("find %q: %v", name, err)
		}
	}
	e.unchanged(a, before)
}

func longNames(e *env) {
	a := e.account()
	e.create(a, strings.Repeat("n", 255))
	e.create(a, strings.Repeat("d/", 20)+"d")
	before := e.state(a)
	for _, name := range []string{strings.Repeat("n", 100_000), strings.Repeat("d/", 5000) + "d"} {
		_, err := a.CreateMailbox(e.ctx, name, store.RoleNone)
		e.wants(err, store.ErrLimit, "create a name of %d octets", len(name))
		e.unchanged(a, before)
	}
	// A rename must not make a child's name too long.
	top := e.box(a, "d")
	before = e.state(a)
	long := "top"
	for len(long) < 900 {
		long += "/" + strings.Repeat("x", 100)
	}
	for range 3 {
		if err := a.RenameMailbox(e.ctx, top.ID, long); err != nil {
			e.wants(err, store.ErrLimit, "rename with children to %d octets", len(long))
			e.unchanged(a, before)
			return
		}
		long += "/" + strings.Repeat("y", 100)
		before = e.state(a)
	}
}

func octetOrder(e *env) {
	a := e.account()
	for _, name := range []string{"b", "a", "B", "Ä", "a b", "a/b", "a.b", "ab", "_", "Z", "日", "é"} {
		e.create(a, name)
	}
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	if got := names(list); !slices.IsSorted(got) {
		e.t.Errorf("mailboxes come as %q", got)
	}
}
