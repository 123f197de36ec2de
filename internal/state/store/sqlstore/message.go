package sqlstore

import (
	"context"
	"fmt"

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
	err := a.inBox(ctx, mailbox, func(t *txn, st *accountState, b *boxState) error {
		result = store.FlagResult{}
		err := t.setFlags(st, b, u, &result)
		result.Keywords, result.ModSeq = b.Keywords, b.HighestModSeq
		return err
	})
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

// Copy implements store.Account.
func (a *account) Copy(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID) (store.CopyResult, error) {
	return a.transfer(ctx, from, uids, to, false)
}

// Move implements store.Account.
func (a *account) Move(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID) (store.CopyResult, error) {
	return a.transfer(ctx, from, uids, to, true)
}

func (a *account) transfer(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID, move bool) (store.CopyResult, error) {
	var result store.CopyResult
	err := a.inBox(ctx, from, func(t *txn, st *accountState, source *boxState) error {
		target, err := t.box(st, to)
		if err != nil {
			return err
		}
		result, err = t.transfer(st, source, uids, target, move)
		return err
	})
	return result, err
}

// transfer copies or moves entries; a message itself stays where it is.
func (t *txn) transfer(st *accountState, from *boxState, uids []store.UIDRange, to *boxState, move bool) (store.CopyResult, error) {
	result := store.CopyResult{UIDValidity: to.UIDValidity}
	list, err := entriesIn(t, st.id, from.ID, uids)
	if err != nil || len(list) == 0 {
		return result, err
	}
	var size int64
	for _, e := range list {
		size += e.Size
	}
	if !move {
		err = st.fits(size, int64(len(list)))
	}
	if err == nil && uint64(to.UIDNext)+uint64(len(list)) > maxUID {
		err = fmt.Errorf("mailbox %d has used all UIDs: %w", to.ID, store.ErrLimit)
	}
	if err != nil {
		return result, err
	}
	translate, err := t.keywordMap(st, from, to, list)
	if err != nil {
		return result, err
	}
	if move {
		if err := t.takeOut(st, from, list); err != nil {
			return result, err
		}
	}
	at := st.step(to)
	result.ModSeq = at
	for _, e := range list {
		result.From = append(result.From, e.UID)
		result.To = append(result.To, to.UIDNext)
		if !move {
			if err := t.put(`UPDATE message SET refs = refs + 1 WHERE id = ? AND account_id = ?`, e.Message, st.id); err != nil {
				return result, err
			}
		}
		e.UID, e.ModSeq, e.Flags = to.UIDNext, at, translate(e.Flags)
		to.UIDNext++
		st.count(to, e.Flags, e.Size, 1)
		if err := t.addEntry(st, to.ID, e); err != nil {
			return result, err
		}
	}
	return result, nil
}

// keywordMap returns how flags of one mailbox read in another; keywords that
// are in use are made there.
func (t *txn) keywordMap(st *accountState, from, to *boxState, list []store.Entry) (func(store.Flags) store.Flags, error) {
	var used store.Flags
	for _, e := range list {
		used |= e.Flags
	}
	var names []string
	for i, name := range from.Keywords {
		if used&(1<<(store.FirstKeyword+i)) != 0 {
			names = append(names, name)
		}
	}
	if _, err := t.keywordBits(st, to, names); err != nil {
		return nil, err
	}
	return func(f store.Flags) store.Flags {
		g := f & store.SystemFlags
		for i, name := range from.Keywords {
			if f&(1<<(store.FirstKeyword+i)) != 0 {
				g |= to.findKeyword(name)
			}
		}
		return g
	}, nil
}

// takeOut removes entries from their mailbox and logs that; the messages keep
// their references.
func (t *txn) takeOut(st *accountState, b *boxState, list []store.Entry) error {
	at := st.step(b)
	uids := make([]store.UID, len(list))
	for i, e := range list {
		uids[i] = e.UID
		st.count(b, e.Flags, e.Size, -1)
	}
	ranges := runs(uids, 0)
	for _, span := range ranges {
		err := t.put(`DELETE FROM entry WHERE account_id = ? AND mailbox_id = ? AND uid BETWEEN ? AND ?`, st.id, b.ID, span.First, span.Last)
		if err != nil {
			return err
		}
	}
	return t.logChange(st, b, at, ranges, kindExpunged)
}

// expungeAtOnce is up to how many messages go in the commit of the EXPUNGE
// itself; of more, only the entries.
const expungeAtOnce = 64

// Expunge implements store.Account.
func (a *account) Expunge(ctx context.Context, mailbox store.MailboxID, uids []store.UIDRange, onlyDeleted bool) ([]store.UID, store.ModSeq, error) {
	var gone []store.UID
	var at store.ModSeq
	err := a.remove(ctx, func(t *txn, st *accountState) error {
		b, err := t.box(st, mailbox)
		if err != nil {
			return err
		}
		gone, err = t.expunge(st, b, uids, onlyDeleted)
		at = b.HighestModSeq
		return err
	})
	return gone, at, err
}

func (t *txn) expunge(st *accountState, b *boxState, uids []store.UIDRange, onlyDeleted bool) ([]store.UID, error) {
	if onlyDeleted && b.Deleted == 0 {
		return nil, nil
	}
	list, err := entriesIn(t, st.id, b.ID, uids)
	if err != nil {
		return nil, err
	}
	var gone []store.UID
	keep := list[:0]
	for _, e := range list {
		if !onlyDeleted || e.Flags&store.FlagDeleted != 0 {
			keep = append(keep, e)
			gone = append(gone, e.UID)
		}
	}
	if len(keep) == 0 {
		return nil, nil
	}
	if err := t.takeOut(st, b, keep); err != nil {
		return nil, err
	}
	for _, e := range keep {
		if len(keep) <= expungeAtOnce {
			err = t.dropMessage(st.id, e.Message, 1)
		} else {
			err = t.discard(piece{account: st.id, message: e.Message, refs: 1})
		}
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}
