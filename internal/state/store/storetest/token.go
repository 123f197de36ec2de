package storetest

import (
	"crypto/sha256"
	"net/netip"
	"reflect"
	"time"

	"posthorn/internal/state/store"
)

var tokenTests = []test{
	{name: "TokensComeBackWhole", run: tokensWhole},
	{name: "AnUnknownHashFindsNothing", run: tokensUnknown},
	{name: "ARemovedTokenIsGone", run: tokensRemoved},
	{name: "TokensAreListedInPages", run: tokensListed},
	{name: "AUseIsNotedAndNeverGoesBack", run: tokensTouched},
}

func token(name string) store.TokenRow {
	return store.TokenRow{Name: name, Hash: sha256.Sum256([]byte(name)), Role: "reader", Author: "ann@example.test",
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Created:  time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func tokensWhole(e *env) {
	k := e.s.Tokens()
	plain := store.TokenRow{Name: "plain", Hash: sha256.Sum256([]byte("plain"))}
	for _, want := range []store.TokenRow{token("whole"), plain} {
		e.must(k.Add(e.ctx, want))
		for how, read := range map[string]func() (store.TokenRow, error){
			"get":  func() (store.TokenRow, error) { return k.Get(e.ctx, want.Name) },
			"find": func() (store.TokenRow, error) { return k.Find(e.ctx, want.Hash) },
		} {
			if got, err := read(); err != nil || !reflect.DeepEqual(got, want) {
				e.t.Errorf("%s: %+v %v, want %+v", how, got, err, want)
			}
		}
	}
	again := token("whole")
	again.Hash[0]++
	e.wants(k.Add(e.ctx, again), store.ErrExists, "a second token of the name")
}

func tokensUnknown(e *env) {
	k, row := e.s.Tokens(), token("one")
	e.must(k.Add(e.ctx, row))
	near := row.Hash
	near[31] ^= 1 // the same beginning
	for _, hash := range [][32]byte{{}, near} {
		_, err := k.Find(e.ctx, hash)
		e.wants(err, store.ErrNotFound, "find %x", hash)
	}
	_, err := k.Get(e.ctx, "two")
	e.wants(err, store.ErrNotFound, "get a name nobody has")
}

func tokensRemoved(e *env) {
	k, row := e.s.Tokens(), token("one")
	e.must(k.Add(e.ctx, row))
	e.must(k.Remove(e.ctx, "one"))
	_, err := k.Find(e.ctx, row.Hash)
	e.wants(err, store.ErrNotFound, "find a removed one")
	e.wants(k.Remove(e.ctx, "one"), store.ErrNotFound, "remove it again")
	e.must(k.Touch(e.ctx, "one", time.Now()))
	_, err = k.Get(e.ctx, "one")
	e.wants(err, store.ErrNotFound, "a late use brings it back")
	e.must(k.Add(e.ctx, row))
}

func tokensListed(e *env) {
	k := e.s.Tokens()
	for _, name := range []string{"c", "a", "b"} {
		e.must(k.Add(e.ctx, token(name)))
	}
	var names string
	for after := ""; ; {
		page, err := k.List(e.ctx, after, 2)
		e.must(err)
		for _, row := range page {
			names += row.Name
			after = row.Name
		}
		if len(page) < 2 {
			break
		}
	}
	if names != "abc" {
		e.t.Errorf("listed %s", names)
	}
}

func tokensTouched(e *env) {
	k, row := e.s.Tokens(), token("one")
	e.must(k.Add(e.ctx, row))
	late := row.Created.Add(time.Hour)
	e.must(k.Touch(e.ctx, "one", late))
	e.must(k.Touch(e.ctx, "one", row.Created))
	got, err := k.Get(e.ctx, "one")
	if err != nil || !got.Used.Equal(late) {
		e.t.Errorf("used %v, want %v (%v)", got.Used, late, err)
	}
}
