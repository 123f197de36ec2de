package directory

import (
	"context"
	"errors"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Two administrators change one alias: what each has changed stays, and one
// that was removed meanwhile does not come back.
func TestChangesOfOneAliasAreNotLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, a := t.Context(), addr(t, "both@ours.test")
	h.must(t, h.AddAlias(ctx, store.AliasRow{Address: a, Targets: addrs(t, "a@far.test")}))
	calls := 0
	h.must(t, h.ChangeAlias(ctx, a, func(row *store.AliasRow) error {
		if calls++; calls == 1 { // somebody else, in between
			h.must(t, h.ChangeAlias(ctx, a, func(row *store.AliasRow) error { row.Title = "theirs"; return nil }))
		}
		row.SendAs = true
		return nil
	}))
	owner, err := h.store.Owner(ctx, a)
	if h.must(t, err); owner.Alias.Title != "theirs" || !owner.Alias.SendAs || calls != 2 {
		t.Errorf("after %d calls: %+v", calls, owner.Alias)
	}
	gone := false
	err = h.ChangeAlias(ctx, a, func(*store.AliasRow) error {
		if !gone {
			gone = true
			h.must(t, h.RemoveAlias(ctx, a))
		}
		return nil
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a change of one that was removed: %v", err)
	}
}

func TestChangesOfOneDomainAreNotLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.must(t, h.AddDomain(ctx, store.DomainRow{Name: "both.test"}))
	calls := 0
	h.must(t, h.ChangeDomain(ctx, "both.test", func(d *store.DomainRow) error {
		if calls++; calls == 1 {
			h.must(t, h.ChangeDomain(ctx, "both.test", func(d *store.DomainRow) error { d.Separator = "-"; return nil }))
		}
		d.Disabled = true
		return nil
	}))
	d, err := h.store.Domain(ctx, "both.test")
	if h.must(t, err); d.Separator != "-" || !d.Disabled || calls != 2 {
		t.Errorf("after %d calls: %+v", calls, d)
	}
	gone := false
	err = h.ChangeDomain(ctx, "both.test", func(*store.DomainRow) error {
		if !gone {
			gone = true
			h.must(t, h.RemoveDomain(ctx, "both.test"))
		}
		return nil
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a change of one that was removed: %v", err)
	}
}

// elsewhere is a store where another node does something at the next question
// for an owner; this node does not hear of it at once.
type elsewhere struct {
	store.Directory
	happens func(store.Directory) error
}

func (e *elsewhere) Owner(ctx context.Context, a mail.Address) (store.AddressOwner, error) {
	if f := e.happens; f != nil {
		e.happens = nil
		if err := f(e.Directory); err != nil {
			return store.AddressOwner{}, err
		}
		<-e.Changed()
	}
	return e.Directory.Owner(ctx, a)
}

func TestAnAliasIsNotAddedToADomainThatWentMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.must(t, h.AddDomain(ctx, store.DomainRow{Name: "gone.test"}))
	h.store = &elsewhere{h.store, func(s store.Directory) error { return s.RemoveDomain(ctx, "gone.test") }}
	err := h.AddAlias(ctx, store.AliasRow{Address: addr(t, "x@gone.test"), Targets: addrs(t, "a@far.test")})
	if !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an alias in a domain that was removed: %v", err)
	}
}
