package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"posthorn/internal/state/store"
)

// Kinds of change rows.
const (
	kindFlags    = 0
	kindExpunged = 1
)

// flagsGap is how many untouched UIDs a row of changed flags may cover; who
// reads it compares the modseq of each entry anyway.
const flagsGap = 16

// runs joins ascending UIDs with at most gap UIDs between neighbours.
func runs(uids []store.UID, gap store.UID) []store.UIDRange {
	var list []store.UIDRange
	for _, uid := range uids {
		if n := len(list); n > 0 && uid-list[n-1].Last <= gap+1 {
			list[n-1].Last = uid
			continue
		}
		list = append(list, store.UIDRange{First: uid, Last: uid})
	}
	return list
}

// logChange records what happened to messages and keeps the log in bounds.
func (t *txn) logChange(st *accountState, b *boxState, at store.ModSeq, ranges []store.UIDRange, kind int) error {
	for _, r := range ranges {
		err := t.put(`INSERT INTO change (account_id, mailbox_id, mod_seq, first, last, kind) VALUES (?, ?, ?, ?, ?, ?)`,
			st.id, b.ID, at, r.First, r.Last, kind)
		if err != nil {
			return err
		}
	}
	b.logRows += int64(len(ranges))
	b.dirty = true
	if b.logRows <= 2*int64(t.s.o.KeepLog) {
		return nil
	}
	return t.pruneLog(st, b)
}

// pruneLog removes the older rows of a mailbox's log, whole steps of them.
func (t *txn) pruneLog(st *accountState, b *boxState) error {
	floor := store.ModSeq(0)
	_, err := one(t, `SELECT mod_seq FROM change WHERE account_id = ? AND mailbox_id = ? ORDER BY mod_seq DESC, first DESC LIMIT 1 OFFSET ?`,
		[]any{st.id, b.ID, t.s.o.KeepLog}, func(r row) error {
			floor = store.ModSeq(r.int(0))
			return nil
		})
	if err != nil || floor == 0 {
		return err
	}
	n, err := t.exec(`DELETE FROM change WHERE account_id = ? AND mailbox_id = ? AND mod_seq <= ?`, st.id, b.ID, floor)
	if err != nil {
		return err
	}
	b.logRows -= n
	b.logFloor = max(b.logFloor, floor)
	return nil
}

const entryColumns = `uid, mod_seq, flags, size, internal, message_id`

func scanEntry(r row) store.Entry {
	return store.Entry{UID: store.UID(r.int(0)), ModSeq: store.ModSeq(r.int(1)), Flags: store.Flags(r.int(2)),
		Size: r.int(3), Internal: r.int(4), Message: store.MessageID(r.int(5))}
}

// entries appends the entries of a UID range to list.
func entries(t tx, account store.AccountID, mailbox store.MailboxID, span store.UIDRange, list []store.Entry) ([]store.Entry, error) {
	err := t.query(`SELECT `+entryColumns+` FROM entry WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid`,
		[]any{account, mailbox, span.First, span.Last}, func(r row) error {
			list = append(list, scanEntry(r))
			return nil
		})
	return list, err
}

// rowsAQuery is how many rows of entry are read in the time of a query more.
const rowsAQuery = 12

// entriesIn returns the entries of several ranges, ascending and each once.
func entriesIn(t tx, account store.AccountID, mailbox store.MailboxID, ranges []store.UIDRange) ([]store.Entry, error) {
	var list []store.Entry
	var err error
	spans := normal(ranges)
	if n := len(spans); n > 1 && int64(spans[n-1].Last-spans[0].First) < rowsAQuery*int64(n) {
		list, err = entries(t, account, mailbox, store.UIDRange{First: spans[0].First, Last: spans[n-1].Last}, nil)
		return within(list, spans), err
	}
	for _, span := range spans {
		if list, err = entries(t, account, mailbox, span, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// within keeps the entries that lie in one of the spans.
func within(list []store.Entry, spans []store.UIDRange) []store.Entry {
	keep := list[:0]
	for _, e := range list {
		for len(spans) > 0 && spans[0].Last < e.UID {
			spans = spans[1:]
		}
		if len(spans) > 0 && spans[0].First <= e.UID {
			keep = append(keep, e)
		}
	}
	return keep
}

// normal sorts ranges and joins those that touch.
func normal(ranges []store.UIDRange) []store.UIDRange {
	sorted := append([]store.UIDRange(nil), ranges...)
	for i, r := range sorted {
		if r.First > r.Last {
			sorted[i] = store.UIDRange{First: r.Last, Last: r.First}
		}
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].First < sorted[j].First })
	list := sorted[:0]
	for _, r := range sorted {
		if n := len(list); n > 0 && (r.First <= list[n-1].Last || r.First-list[n-1].Last == 1) {
			list[n-1].Last = max(list[n-1].Last, r.Last)
			continue
		}
		list = append(list, r)
	}
	return list
}

// Index implements store.Account.
func (a *account) Index(ctx context.Context, mailbox store.MailboxID) (store.Index, error) {
	var x store.Index
	err := a.s.read(ctx, func(t tx) error {
		b, err := a.findBox(t, "id", mailbox, fmt.Sprint(mailbox))
		if err != nil {
			return err
		}
		x = store.Index{Mailbox: b.Mailbox, Cursor: store.Cursor{UIDNext: b.UIDNext, ModSeq: b.HighestModSeq}}
		x.Entries, err = entries(t, a.id, mailbox, store.UIDRange{First: 1, Last: 1<<32 - 1}, make([]store.Entry, 0, max(0, b.Messages)))
		return err
	})
	return x, err
}

// ChangesSince implements store.Account.
func (a *account) ChangesSince(ctx context.Context, mailbox store.MailboxID, since store.Cursor) (store.Changes, error) {
	var c store.Changes
	err := a.s.read(ctx, func(t tx) error {
		c = store.Changes{Complete: true, Cursor: since}
		b, err := a.findBox(t, "id", mailbox, fmt.Sprint(mailbox))
		if errors.Is(err, store.ErrNotFound) {
			c.Gone = true
			return nil
		}
		if err != nil {
			return err
		}
		return a.collect(t, b, since, &c)
	})
	return c, err
}

func (a *account) collect(t tx, b *boxState, since store.Cursor, c *store.Changes) error {
	c.Keywords = b.Keywords
	c.Cursor = store.Cursor{UIDNext: b.UIDNext, ModSeq: b.HighestModSeq}
	if since == c.Cursor {
		return nil
	}
	if since.ModSeq < b.logFloor || since.ModSeq > b.HighestModSeq || since.UIDNext > b.UIDNext {
		c.Complete = false
		return nil
	}
	var err error
	if since.UIDNext < b.UIDNext {
		c.Arrived, err = entries(t, a.id, b.ID, store.UIDRange{First: since.UIDNext, Last: b.UIDNext}, nil)
		if err != nil {
			return err
		}
	}
	if since.UIDNext <= 1 {
		return nil
	}
	flags, expunged, err := a.logSince(t, b.ID, since.ModSeq)
	if err != nil {
		return err
	}
	known := since.UIDNext - 1
	changed, err := entriesIn(t, a.id, b.ID, below(flags, known))
	for _, e := range changed {
		if e.ModSeq > since.ModSeq {
			c.Changed = append(c.Changed, e)
		}
	}
	for _, r := range normal(below(expunged, known)) {
		for uid := r.First; uid <= r.Last; uid++ {
			c.Expunged = append(c.Expunged, uid)
		}
	}
	return err
}

// below cuts ranges off after last.
func below(ranges []store.UIDRange, last store.UID) []store.UIDRange {
	return between(ranges, 0, last)
}

// between cuts ranges off before first and after last.
func between(ranges []store.UIDRange, first, last store.UID) []store.UIDRange {
	var list []store.UIDRange
	for _, r := range ranges {
		if r.First <= last && r.Last >= first {
			list = append(list, store.UIDRange{First: max(r.First, first), Last: min(r.Last, last)})
		}
	}
	return list
}

// logSince reads the ranges logged after a modseq, by kind.
func (a *account) logSince(t tx, mailbox store.MailboxID, since store.ModSeq) (flags, expunged []store.UIDRange, err error) {
	err = t.query(`SELECT first, last, kind FROM change WHERE account_id = ? AND mailbox_id = ? AND mod_seq > ? ORDER BY mod_seq, first`,
		[]any{a.id, mailbox, since}, func(r row) error {
			span := store.UIDRange{First: store.UID(r.int(0)), Last: store.UID(r.int(1))}
			if r.int(2) == kindExpunged {
				expunged = append(expunged, span)
			} else {
				flags = append(flags, span)
			}
			return nil
		})
	return flags, expunged, err
}

// ExpungedSince implements store.Account.
func (a *account) ExpungedSince(ctx context.Context, mailbox store.MailboxID, since store.ModSeq) (uids []store.UIDRange, complete bool, err error) {
	err = a.s.read(ctx, func(t tx) error {
		b, err := a.findBox(t, "id", mailbox, fmt.Sprint(mailbox))
		if err != nil {
			return err
		}
		complete = since >= b.logFloor
		_, expunged, err := a.logSince(t, mailbox, since)
		uids = normal(expunged)
		return err
	})
	return uids, complete, err
}

// TakeRecent implements store.Account. Should the mark not be writable, the
// same messages are recent once more.
func (a *account) TakeRecent(ctx context.Context, mailbox store.MailboxID) (store.UID, error) {
	var first, next store.UID
	err := a.s.read(ctx, func(t tx) error {
		b, err := a.findBox(t, "id", mailbox, fmt.Sprint(mailbox))
		if err == nil {
			first, next = b.recent, b.UIDNext
		}
		return err
	})
	if err != nil || first == next {
		return first, err
	}
	err = a.inBox(ctx, mailbox, func(_ *txn, _ *accountState, b *boxState) error {
		first = b.recent
		b.recent, b.dirty = b.UIDNext, true
		return nil
	})
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrReadOnly) {
		err = nil
	}
	return first, err
}
