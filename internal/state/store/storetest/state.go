package storetest

import (
	"reflect"
	"slices"

	"posthorn/internal/state/store"
)

// state is everything of an account that can be seen.
type state struct {
	usage         store.Usage
	indexes       []store.Index
	subscriptions []string
}

// state reads an account whole, after recounting it.
func (e *env) state(a store.Account) state {
	e.t.Helper()
	e.verify(a)
	var st state
	var err error
	st.usage, err = a.Usage(e.ctx)
	e.must(err)
	st.usage.LimitBytes, st.usage.LimitMessages = 0, 0
	st.subscriptions, err = a.Subscriptions(e.ctx)
	e.must(err)
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	for _, b := range list {
		x := e.index(a, b.ID)
		x.Mailbox = trim(x.Mailbox)
		if len(x.Entries) == 0 {
			x.Entries = nil
		}
		st.indexes = append(st.indexes, x)
	}
	return st
}

// unchanged fails when anything about the account differs from before, its
// sequences included; quota limits do not count.
func (e *env) unchanged(a store.Account, before state) {
	e.t.Helper()
	now := e.state(a)
	if now.usage != before.usage || !slices.Equal(now.subscriptions, before.subscriptions) || len(now.indexes) != len(before.indexes) {
		e.t.Fatalf("the account changed: usage %+v, was %+v; subscriptions %q, were %q; %d mailboxes, were %d",
			now.usage, before.usage, now.subscriptions, before.subscriptions, len(now.indexes), len(before.indexes))
	}
	for i, x := range now.indexes {
		if !reflect.DeepEqual(x, before.indexes[i]) {
			e.t.Fatalf("a mailbox changed from\n%+v\nto\n%+v", before.indexes[i], x)
		}
	}
}
