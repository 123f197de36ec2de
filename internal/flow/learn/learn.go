// Package learn teaches the junk filter what the owners of accounts do with
// their mail. It stands between a door through which people handle mail (IMAP)
// and the store: what they move, copy, append or mark goes to the store as it
// is, and when it is done, the filter is told.
//
//	imapd ─► Account ─► store
//	            └─ what happened ─► Store, in the background ─► junk.Learner
//
// What the server files by itself does not come this way, so that the filter
// never learns from its own judgement.
package learn

import (
	"context"
	"slices"
	"strings"
	"sync"

	"posthorn/internal/state/junk"
	"posthorn/internal/state/store"
)

// Learner takes moves; *junk.Learner does.
type Learner interface{ Moved(m junk.Move) }

const (
	// waiting is how many deeds wait to be looked at; those beyond teach nothing.
	waiting = 1024
	// most is how many messages of one deed are learned, the newest.
	most = 1000
)

// Store is a store whose accounts teach.
type Store struct {
	store.Store
	learner Learner
	failed  func(error)
	deeds   chan deed
	cancel  context.CancelFunc
	ended   sync.WaitGroup
}

// New returns a store that tells the learner. failed hears of what could not be
// looked up; it may be nil. Close it before the learner.
func New(s store.Store, l Learner, failed func(error)) *Store {
	if failed == nil {
		failed = func(error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Store{Store: s, learner: l, failed: failed, deeds: make(chan deed, waiting), cancel: cancel}
	t.ended.Go(func() { t.serve(ctx) })
	return t
}

// Stop ends the telling, when all that was done before has been told or ctx
// ends. The store stays open.
func (t *Store) Stop(ctx context.Context) {
	last := make(chan struct{})
	select {
	case t.deeds <- deed{last: last}:
		select {
		case <-last:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	t.cancel()
	t.ended.Wait()
}

// Account implements store.Store.
func (t *Store) Account(id store.AccountID) store.Account { return &account{t.Store.Account(id), t} }

// account tells of what its owner does.
type account struct {
	store.Account
	t *Store
}

// Move implements store.Account.
func (a *account) Move(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID) (store.CopyResult, error) {
	r, err := a.Account.Move(ctx, from, uids, to)
	a.moved(from, to, r.To, err)
	return r, err
}

// Copy implements store.Account.
func (a *account) Copy(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID) (store.CopyResult, error) {
	r, err := a.Account.Copy(ctx, from, uids, to)
	a.moved(from, to, r.To, err)
	return r, err
}

func (a *account) moved(from, to store.MailboxID, uids []store.UID, err error) {
	if err == nil && len(uids) > 0 && from != to {
		a.t.tell(deed{account: a.ID(), from: from, to: to, uids: uids[max(0, len(uids)-most):]})
	}
}

// Append implements store.Account.
func (a *account) Append(ctx context.Context, box store.MailboxID, items []store.AppendItem) ([]store.Filed, error) {
	keywords := make([][]string, len(items))
	for i := range items {
		keywords[i] = items[i].Keywords
	}
	filed, err := a.Account.Append(ctx, box, items)
	if err != nil {
		return filed, err
	}
	d := deed{account: a.ID(), to: box}
	for i, f := range filed {
		if class := marked(keywords[i]); class != junk.Unlearned {
			a.t.tell(deed{account: a.ID(), class: class, messages: []store.MessageID{f.Message}})
			continue
		}
		d.messages = append(d.messages, f.Message)
	}
	if len(d.messages) > 0 {
		a.t.tell(d)
	}
	return filed, nil
}

// SetFlags implements store.Account.
func (a *account) SetFlags(ctx context.Context, box store.MailboxID, u store.FlagUpdate) (store.FlagResult, error) {
	r, err := a.Account.SetFlags(ctx, box, u)
	if err != nil || u.Op == store.FlagsRemove || len(r.Changed) == 0 {
		return r, err
	}
	if class := marked(u.Keywords); class != junk.Unlearned {
		d := deed{account: a.ID(), class: class}
		for _, e := range r.Changed[max(0, len(r.Changed)-most):] {
			d.messages = append(d.messages, e.Message)
		}
		a.t.tell(d)
	}
	return r, nil
}

// marked is what the registered keywords say of a message (IANA, $Junk and
// $NotJunk). Both together say nothing.
func marked(keywords []string) junk.Class {
	has := func(name string) bool {
		return slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, name) })
	}
	switch spam, ham := has("$Junk"), has("$NotJunk"); {
	case spam && !ham:
		return junk.Spam
	case ham && !spam:
		return junk.Ham
	}
	return junk.Unlearned
}
