package imapd

import (
	"context"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// resync tells a client that comes back what happened since a modseq it knows
// (RFC 7162 §3.2.5): what vanished, then what changed. Under another
// UIDVALIDITY what it knows is worthless and it hears nothing. Its pairs of
// sequence numbers and UIDs are not needed: the log of expunges is exact, or
// else all its UIDs are checked.
func (v *view) resync(ctx context.Context, r *imap.Resync) error {
	if r.UIDValidity != v.told.UIDValidity {
		return nil
	}
	last := uint32(v.told.Cursor.UIDNext - 1)
	known := r.Known
	if known.IsEmpty() && last > 0 {
		known.AddRange(1, last)
	}
	if err := v.tellVanished(ctx, known, store.ModSeq(r.ModSeq)); err != nil {
		return err
	}
	w := v.flagWriter()
	v.told.Range(0, v.exists(), func(i int, e *store.Entry) bool {
		if e.ModSeq > store.ModSeq(r.ModSeq) && known.Contains(uint32(e.UID), last) {
			v.tellFlags(i, e, w, true)
		}
		return true
	})
	return nil
}

// tellVanished tells which of the UIDs in the set were expunged after a modseq.
// Where the log does not reach back so far, all that are not there are told
// (RFC 7162 §3.2.7 allows more than asked).
func (v *view) tellVanished(ctx context.Context, set imap.SeqSet, since store.ModSeq) error {
	expunged, complete, err := v.c.session.account.ExpungedSince(ctx, v.id, since)
	if err != nil {
		return err
	}
	last := v.told.Cursor.UIDNext - 1
	if !complete {
		expunged = []store.UIDRange{{First: 1, Last: last}}
	}
	var gone imap.SeqSet
	for r := range set.Ranges(uint32(last)) {
		for len(expunged) > 0 && expunged[0].Last < store.UID(r.First) {
			expunged = expunged[1:] // both are ascending
		}
		for _, x := range expunged {
			if x.First > store.UID(r.Last) {
				break
			}
			v.addAbsent(&gone, max(store.UID(r.First), x.First), min(store.UID(r.Last), x.Last))
		}
	}
	if !gone.IsEmpty() {
		v.writeVanished(true, gone)
	}
	return nil
}

// addAbsent adds the UIDs from first to last that the client does not have as
// messages. One that was expunged a moment ago it still has; that comes later.
func (v *view) addAbsent(set *imap.SeqSet, first, last store.UID) {
	if first > last {
		return
	}
	v.told.Range(v.told.Lower(first), v.exists(), func(_ int, e *store.Entry) bool {
		if e.UID > last {
			return false
		}
		if e.UID > first {
			set.AddRange(uint32(first), uint32(e.UID-1))
		}
		first = e.UID + 1
		return true
	})
	if first <= last {
		set.AddRange(uint32(first), uint32(last))
	}
}

func (v *view) writeVanished(earlier bool, uids imap.SeqSet) {
	enc := v.c.enc
	enc.Untagged()
	enc.Atom("VANISHED")
	if earlier {
		enc.Atom("(EARLIER)")
	}
	enc.Set(uids)
	enc.End()
}

// withHighest adds HIGHESTMODSEQ to the OK of a command that expunged, once
// QRESYNC is enabled (RFC 7162 §3.2.10.2).
func (v *view) withHighest(r imap.Response) imap.Response {
	if v.c.session.qresync {
		r.Code = imap.CodeNumber("HIGHESTMODSEQ", uint64(v.box.Snapshot().Cursor.ModSeq))
	}
	return r
}
