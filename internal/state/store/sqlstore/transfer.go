package sqlstore

import (
	"context"
	"fmt"
	"sort"
	"time"

	"posthorn/internal/state/store"
)

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
		result, err = t.transfer(st, transfer{from: source, to: target, uids: uids, move: move})
		return err
	})
	return result, err
}

// transfer is a copy or a move of entries; a message itself stays where it is.
type transfer struct {
	from, to *boxState
	uids     []store.UIDRange
	move     bool
	mark     store.Flags // what those that arrive get besides
}

func (t *txn) transfer(st *accountState, x transfer) (store.CopyResult, error) {
	result := store.CopyResult{UIDValidity: x.to.UIDValidity}
	chosen, err := t.choose(st, x.from, x.uids, 0)
	if err != nil || len(chosen.list) == 0 {
		return result, err
	}
	list := chosen.list
	if err := x.allowed(st, list); err != nil {
		return result, err
	}
	translate, same, err := t.keywordMap(st, x.from, x.to, list)
	if err != nil {
		return result, err
	}
	arrivals, first := make([]store.Entry, len(list)), x.to.UIDNext
	for i, e := range list {
		result.From, result.To = append(result.From, e.UID), append(result.To, x.to.UIDNext)
		e.UID, e.Flags = x.to.UIDNext, translate(e.Flags)|x.mark
		arrivals[i] = e
		x.to.UIDNext++
	}
	var left store.ModSeq
	if x.move {
		left = st.step(x.from)
	} else if err := t.addRefs(st, chosen); err != nil {
		return result, err
	}
	result.ModSeq = st.step(x.to)
	for i := range arrivals {
		arrivals[i].ModSeq = result.ModSeq
		st.count(x.to, arrivals[i].Flags, arrivals[i].Size, 1)
	}
	if same && !chosen.sparse() {
		err = t.copyEntries(st, x, chosen, first, result.ModSeq)
	} else {
		err = t.addEntries(st, x.to, arrivals)
	}
	if err == nil && x.move {
		err = t.takeOut(st, chosen, left)
	}
	return result, err
}

// allowed checks the quota and that there are UIDs left.
func (x transfer) allowed(st *accountState, list []store.Entry) error {
	var size int64
	for _, e := range list {
		size += e.Size
	}
	if !x.move {
		if err := st.fits(size, int64(len(list))); err != nil {
			return err
		}
	}
	if uint64(x.to.UIDNext)+uint64(len(list)) > maxUID {
		return fmt.Errorf("mailbox %d has used all UIDs: %w", x.to.ID, store.ErrLimit)
	}
	return nil
}

// addRefs counts what is copied once more, a message as often as it is there.
func (t *txn) addRefs(st *accountState, x *selection) error {
	if x.sparse() {
		for _, e := range x.list {
			if err := t.put(`UPDATE message SET refs = refs + 1 WHERE id = ? AND account_id = ?`, e.Message, st.id); err != nil {
				return err
			}
		}
		return nil
	}
	for _, span := range x.spans {
		err := t.put(`UPDATE message SET refs = refs + more.n FROM
			(SELECT message_id, COUNT(*) AS n FROM entry WHERE `+inSpan+` GROUP BY message_id) AS more
			WHERE id = more.message_id AND account_id = ?`, append(x.whereSpan(st, span), st.id)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// copyEntries makes the rows of arrivals whose flags read alike in both
// mailboxes, one statement a range; the first gets the UID first.
func (t *txn) copyEntries(st *accountState, x transfer, from *selection, first store.UID, at store.ModSeq) error {
	rest := from.list
	for _, span := range from.spans {
		n := sort.Search(len(rest), func(i int) bool { return rest[i].UID > span.Last })
		if rest = rest[n:]; n == 0 {
			continue
		}
		args := append([]any{x.to.ID, first - 1, at, x.mark, time.Now()}, from.whereSpan(st, span)...)
		err := t.put(`INSERT INTO entry (account_id, mailbox_id, uid, mod_seq, flags, size, internal, saved, message_id)
			SELECT account_id, CAST(? AS BIGINT), ? + ROW_NUMBER() OVER (ORDER BY uid), CAST(? AS BIGINT), flags | ?, size, internal, CAST(? AS BIGINT), message_id
			FROM entry WHERE `+inSpan, args...)
		if err != nil {
			return err
		}
		first += store.UID(n)
	}
	return nil
}

// addEntries makes the rows of arrivals one by one.
func (t *txn) addEntries(st *accountState, b *boxState, list []store.Entry) error {
	for _, e := range list {
		if err := t.addEntry(st, b.ID, e); err != nil {
			return err
		}
	}
	return nil
}

// keywordMap returns how flags of one mailbox read in another; keywords that
// are in use are made there. same: those in use have the same bits there.
func (t *txn) keywordMap(st *accountState, from, to *boxState, list []store.Entry) (translate func(store.Flags) store.Flags, same bool, err error) {
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
		return nil, false, err
	}
	same = true
	for i, name := range from.Keywords {
		if bit := store.Flags(1 << (store.FirstKeyword + i)); used&bit != 0 && to.findKeyword(name) != bit {
			same = false
		}
	}
	translate = func(f store.Flags) store.Flags {
		g := f & store.SystemFlags
		for i, name := range from.Keywords {
			if f&(1<<(store.FirstKeyword+i)) != 0 {
				g |= to.findKeyword(name)
			}
		}
		return g
	}
	return translate, same, nil
}
