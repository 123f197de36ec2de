package sqlstore

import (
	"context"

	"posthorn/internal/state/store"
)

// selection is the entries of a mailbox in ranges of UIDs that carry all of
// some flags: the list that was read, and the same in terms of statements.
type selection struct {
	box   *boxState
	spans []store.UIDRange
	flags store.Flags
	list  []store.Entry
}

// inSpan are the conditions of one span; whereSpan has their arguments.
const inSpan = `account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? AND (flags & ?) = ?`

func (x *selection) whereSpan(st *accountState, span store.UIDRange) []any {
	return []any{st.id, x.box.ID, span.First, span.Last, x.flags, x.flags}
}

// sparse: so few entries to a span that they are better worked on one by one.
func (x *selection) sparse() bool { return len(x.list) < 4*len(x.spans) }

// choose reads what UIDs and flags select. Ranges are cut off at the last UID,
// so that what arrives in the same operation is not among them.
func (t *txn) choose(st *accountState, b *boxState, uids []store.UIDRange, flags store.Flags) (*selection, error) {
	x := &selection{box: b, flags: flags, spans: below(normal(uids), b.UIDNext-1)}
	if flags == 0 {
		var err error
		x.list, err = entriesIn(t, st.id, b.ID, x.spans)
		return x, err
	}
	for _, span := range x.spans {
		err := t.query(`SELECT `+entryColumns+` FROM entry WHERE `+inSpan+` ORDER BY uid`, x.whereSpan(st, span), func(r row) error {
			x.list = append(x.list, scanEntry(r))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if n := len(x.list); n > 0 {
		x.spans = between(x.spans, x.list[0].UID, x.list[n-1].UID)
	}
	return x, nil
}

// each runs a statement for each span, the arguments given before those of
// the span.
func (t *txn) each(st *accountState, x *selection, query string, args ...any) error {
	for _, span := range x.spans {
		if err := t.put(query, append(args[:len(args):len(args)], x.whereSpan(st, span)...)...); err != nil {
			return err
		}
	}
	return nil
}

// takeOut removes entries from their mailbox as of a modseq and logs that; the
// messages keep their references.
func (t *txn) takeOut(st *accountState, x *selection, at store.ModSeq) error {
	uids := make([]store.UID, len(x.list))
	for i, e := range x.list {
		uids[i] = e.UID
		st.count(x.box, e.Flags, e.Size, -1)
	}
	if err := t.each(st, x, `DELETE FROM entry WHERE `+inSpan); err != nil {
		return err
	}
	return t.logChange(st, x.box, at, runs(uids, 0), kindExpunged)
}

// expungeAtOnce is up to how many messages go in the commit of the EXPUNGE
// itself; of more, only the entries.
const expungeAtOnce = 64

// Expunge implements store.Account.
func (a *account) Expunge(ctx context.Context, mailbox store.MailboxID, uids []store.UIDRange, onlyDeleted bool) ([]store.UID, store.ModSeq, error) {
	var gone []store.UID
	var at store.ModSeq
	err := a.remove(ctx, func(t *txn, st *accountState) error {
		gone = nil
		b, err := t.box(st, mailbox)
		if err != nil {
			return err
		}
		var flags store.Flags
		if onlyDeleted {
			flags = store.FlagDeleted
		}
		if !onlyDeleted || b.Deleted > 0 {
			gone, err = t.expunge(st, b, uids, flags)
		}
		at = b.HighestModSeq
		return err
	})
	return gone, at, err
}

// expunge removes the messages with these UIDs and flags.
func (t *txn) expunge(st *accountState, b *boxState, uids []store.UIDRange, flags store.Flags) ([]store.UID, error) {
	x, err := t.choose(st, b, uids, flags)
	if err != nil || len(x.list) == 0 {
		return nil, err
	}
	later := len(x.list) > expungeAtOnce
	if later && !x.sparse() {
		t.onCommit(t.s.sweeper.kick)
		err = t.each(st, x, `INSERT INTO garbage (account_id, mailbox_id, message_id, refs)
			SELECT account_id, 0, message_id, COUNT(*) FROM entry WHERE `+inSpan+` GROUP BY account_id, message_id
			ON CONFLICT (account_id, mailbox_id, message_id) DO UPDATE SET refs = garbage.refs + excluded.refs`)
		if err != nil {
			return nil, err
		}
	}
	if err := t.takeOut(st, x, st.step(b)); err != nil {
		return nil, err
	}
	gone := make([]store.UID, len(x.list))
	for i, e := range x.list {
		gone[i] = e.UID
		switch {
		case !later:
			err = t.dropMessage(st.id, e.Message, 1)
		case x.sparse():
			err = t.discard(piece{account: st.id, message: e.Message, refs: 1})
		}
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}
