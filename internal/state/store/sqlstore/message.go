package sqlstore

import (
	"context"

	"posthorn/internal/state/store"
)

// Append implements store.Account.
func (a *account) Append(ctx context.Context, mailbox store.MailboxID, items []store.AppendItem) ([]store.Filed, error) {
	drafts := make([]*draft, len(items))
	var size int64
	for i := range items {
		var err error
		if drafts[i], err = a.s.sealDraft(items[i].Body); err != nil {
			return nil, err
		}
		size += drafts[i].Size()
	}
	var filed []store.Filed
	err := a.inBox(ctx, mailbox, func(t *txn, st *accountState, b *boxState) error {
		filed = filed[:0]
		if err := st.fits(size, int64(len(items))); err != nil {
			return err
		}
		for i := range items {
			f := store.Filing{Mailbox: mailbox, Flags: items[i].Flags, Keywords: items[i].Keywords, Meta: items[i].Meta, Internal: items[i].Internal}
			if _, err := t.target(st, &f); err != nil {
				return err
			}
			c, err := t.place(drafts[i], 0, 1)
			if err != nil {
				return err
			}
			one, err := t.fileNext(st, b, &f, c)
			if err != nil {
				return err
			}
			filed = append(filed, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, d := range drafts {
		d.Take()
	}
	return filed, nil
}

// SetFlags implements store.Account.
func (a *account) SetFlags(ctx context.Context, mailbox store.MailboxID, u store.FlagUpdate) (store.FlagResult, error) {
	var result store.FlagResult
	run := a.write
	if u.Op != store.FlagsRemove && u.Flags&store.FlagDeleted != 0 {
		run = a.remove // EXPUNGE needs it, on a full disk too
	}
	err := run(ctx, withBox(mailbox, func(t *txn, st *accountState, b *boxState) error {
		result = store.FlagResult{}
		err := t.setFlags(st, b, u, &result)
		result.Keywords, result.ModSeq = b.Keywords, b.HighestModSeq
		return err
	}))
	return result, err
}

func (t *txn) setFlags(st *accountState, b *boxState, u store.FlagUpdate, result *store.FlagResult) error {
	mask, err := t.updateMask(st, b, u)
	if err != nil {
		return err
	}
	list, err := entriesIn(t, st.id, b.ID, u.UIDs)
	if err != nil {
		return err
	}
	var uids []store.UID
	for _, e := range list {
		if u.HasUnchangedSince && e.ModSeq > u.UnchangedSince {
			result.Modified = append(result.Modified, e.UID)
			continue
		}
		if flags := applyFlags(u.Op, e.Flags, mask); flags != e.Flags {
			b.countFlags(e.Flags, -1)
			b.countFlags(flags, 1)
			e.Flags = flags
			result.Changed = append(result.Changed, e)
			uids = append(uids, e.UID)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	at := st.step(b)
	for i := range result.Changed {
		result.Changed[i].ModSeq = at
	}
	if err := t.updateFlags(st, b, u, mask, at); err != nil {
		return err
	}
	return t.logChange(st, b, at, runs(uids, flagsGap), kindFlags)
}

// applyFlags is what an update makes of flags.
func applyFlags(op store.FlagOp, flags, mask store.Flags) store.Flags {
	switch op {
	case store.FlagsAdd:
		return flags | mask
	case store.FlagsRemove:
		return flags &^ mask
	}
	return mask
}

// updateMask is the bits the update speaks of. Keywords that are only taken
// off are not made.
func (t *txn) updateMask(st *accountState, b *boxState, u store.FlagUpdate) (store.Flags, error) {
	mask := u.Flags & store.SystemFlags
	if u.Op == store.FlagsRemove {
		for _, name := range u.Keywords {
			mask |= b.findKeyword(name)
		}
		return mask, nil
	}
	bits, err := t.keywordBits(st, b, u.Keywords)
	return mask | bits, err
}

// updateFlags does in SQL what setFlags computed, range by range.
func (t *txn) updateFlags(st *accountState, b *boxState, u store.FlagUpdate, mask store.Flags, at store.ModSeq) error {
	set, differs := `?`, `flags <> ?`
	switch u.Op {
	case store.FlagsAdd:
		set, differs = `flags | ?`, `(flags | ?) <> flags`
	case store.FlagsRemove:
		set, differs = `flags & ?`, `(flags & ?) <> flags`
	}
	if u.Op == store.FlagsRemove {
		mask = ^mask
	}
	limit := store.ModSeq(1<<63 - 1)
	if u.HasUnchangedSince {
		limit = min(limit, u.UnchangedSince)
	}
	query := `UPDATE entry SET mod_seq = ?, flags = ` + set + ` WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ? AND mod_seq <= ? AND ` + differs
	for _, span := range normal(u.UIDs) {
		if err := t.put(query, at, mask, st.id, b.ID, span.First, span.Last, limit, mask); err != nil {
			return err
		}
	}
	return nil
}
