package imapd

import (
	"context"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// flagOps maps the modes of STORE to the store's.
var flagOps = [...]store.FlagOp{
	imap.StoreReplace: store.FlagsReplace,
	imap.StoreAdd:     store.FlagsAdd,
	imap.StoreRemove:  store.FlagsRemove,
}

// runStore is STORE and UID STORE, conditional or not (RFC 3501 §6.4.6,
// RFC 7162 §3.1.3).
func runStore(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Store()
	if err != nil {
		return failed(err)
	}
	v := c.session.view
	c.session.condStore = c.session.condStore || arg.Conditional
	indexes, err := v.resolve(arg.Set, cmd.UID)
	if err != nil {
		return failed(err)
	}
	update := store.FlagUpdate{UIDs: v.told.UIDs(indexes), Op: flagOps[arg.Mode],
		UnchangedSince: store.ModSeq(arg.UnchangedSince), HasUnchangedSince: arg.Conditional}
	if update.Flags, update.Keywords, err = splitFlags(arg.Flags); err != nil {
		return failed(err)
	}
	if v.readOnly {
		return readOnly()
	}
	missing := v.gone(indexes)
	var result store.FlagResult
	if len(indexes) > 0 {
		if result, err = c.session.account.SetFlags(ctx, v.id, update); err != nil {
			return failed(err)
		}
		v.refreshed(ctx)
	}
	v.stored(arg.Silent, cmd.UID, indexes, &update, &result)
	return storeResponse(v, arg, cmd.UID, missing, result.Modified)
}

// stored tells the outcome of a STORE: all flags of the messages named, or,
// when silent, at most their new modseq.
func (v *view) stored(silent, uid bool, indexes []int, u *store.FlagUpdate, result *store.FlagResult) {
	before := v.told
	v.note(result.Changed)
	if silent {
		v.storedSilently(uid, before, u, result)
		return
	}
	v.storedFlags(uid, indexes, result)
}

// storedSilently tells flags only where somebody else's change is among them,
// which the client cannot know (RFC 3501 §6.4.6).
func (v *view) storedSilently(uid bool, before *mailbox.Snapshot, u *store.FlagUpdate, result *store.FlagResult) {
	w := v.flagWriter()
	mask := u.Flags
	for _, k := range u.Keywords {
		mask |= flagBits(k, result.Keywords)
	}
	for i := range result.Changed {
		e := &result.Changed[i]
		at, ok := before.Find(e.UID)
		switch {
		case !ok:
		case applyFlags(u.Op, before.At(at).Flags, mask) != e.Flags:
			v.tellFlags(at, e, w, uid || v.c.session.condStore)
		case v.c.session.condStore:
			v.tellModSeq(at, e, uid)
		}
	}
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

// storedFlags tells the flags of all messages that were not left alone, also
// of one that was expunged right after it was changed.
func (v *view) storedFlags(uid bool, indexes []int, result *store.FlagResult) {
	w := v.flagWriter()
	now, modified, changed := v.box.Snapshot(), result.Modified, result.Changed
	for _, i := range indexes {
		e := v.told.At(i)
		if len(modified) > 0 && modified[0] == e.UID {
			modified = modified[1:]
			continue
		}
		_, there := now.Find(e.UID)
		if len(changed) > 0 && changed[0].UID == e.UID {
			changed, there = changed[1:], true
		}
		if there {
			v.tellFlags(i, e, w, uid || v.c.session.condStore)
		}
	}
}

// tellModSeq tells what a silent STORE made of a modseq.
func (v *view) tellModSeq(at int, e *store.Entry, uid bool) {
	enc := v.c.enc
	enc.Untagged()
	enc.Number(uint64(at + 1))
	enc.Atom("FETCH")
	enc.Open()
	if uid {
		enc.Atom("UID")
		enc.Number(uint64(e.UID))
	}
	v.writeModSeq(e.ModSeq)
	enc.Close()
	enc.End()
}

// storeResponse is the tagged response. Messages that are expunged already
// are no fault of a silent STORE or of one by UID (RFC 2180 §4.2).
func storeResponse(v *view, arg imap.Store, uid, missing bool, modified []store.UID) imap.Response {
	r := completed("STORE")
	if missing && !uid && !arg.Silent {
		r = no(codeExpungeIssued, "Some of the messages are expunged")
	}
	if len(modified) > 0 {
		r.Code = imap.CodeModified(v.setOf(modified, uid))
		if r.Status == imap.OK {
			r.Text = "Conditional STORE left some alone"
		}
	}
	return r
}
