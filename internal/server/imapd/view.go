package imapd

import (
	"context"
	"errors"
	"slices"

	"posthorn/internal/base/event"
	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// view is the selected mailbox as this client knows it: what it has been
// told, in order, so that sequence number i is told.At(i-1). Nothing else in
// the program knows sequence numbers.
//
// told may differ from every snapshot the mailbox ever had: while EXPUNGE must
// be held back, changes and arrivals are told and the expunged stay.
type view struct {
	c        *conn
	box      *mailbox.Mailbox
	release  func()
	id       store.MailboxID
	name     string // when it was selected
	readOnly bool

	told *mailbox.Snapshot
	// keywords is how many keywords the client has been told of.
	keywords int
	// recent are the messages \Recent in this session, ascending.
	recent []store.UIDRange
	// saved is the result of SEARCH RETURN (SAVE), as UIDs (RFC 5182).
	saved imap.SeqSet
}

// exists is the number of messages the client knows of.
func (v *view) exists() int { return v.told.Len() }

// sync tells the client what happened since the last time. Without expunges
// those stay for a later sync.
func (v *view) sync(ctx context.Context, expunges bool) error {
	now := v.box.Snapshot()
	d := now.Since(v.told)
	var err error
	if len(d.Arrived) > 0 && v.claims() && !now.Gone {
		if now, err = v.claim(ctx, now); err == nil {
			d = now.Since(v.told)
		}
	}
	v.tellKeywords(now.Keywords)
	if d.IsEmpty() {
		v.told = now
		return err
	}
	before := v.told
	if expunges || len(d.Expunged) == 0 {
		v.told = now
		v.tellExpunged(before, d.Expunged)
	} else {
		v.told = before.With(d.Changed, d.Arrived)
		v.told.Gone, v.told.Cursor, v.told.Keywords = now.Gone, now.Cursor, now.Keywords
	}
	if len(d.Arrived) > 0 {
		v.tellExists()
	}
	v.tellChanged(d.Changed)
	return err
}

// claims reports whether the client wants to know what is \Recent. IMAP4rev2
// has no such thing; the mark is left to others (RFC 9051 appendix E).
func (v *view) claims() bool { return !v.readOnly && !v.c.session.rev2 }

// claim takes the arrivals nobody was told of as \Recent.
func (v *view) claim(ctx context.Context, now *mailbox.Snapshot) (*mailbox.Snapshot, error) {
	first, s, err := v.box.TakeRecent(ctx)
	if err != nil {
		return now, err
	}
	if last := s.Last(); first <= last {
		if n := len(v.recent); n > 0 && v.recent[n-1].Last+1 == first {
			v.recent[n-1].Last = last
		} else {
			v.recent = append(v.recent, store.UIDRange{First: first, Last: last})
		}
	}
	return s, nil
}

// isRecent reports whether a message is \Recent in this session.
func (v *view) isRecent(uid store.UID) bool {
	if v.c.session.rev2 {
		return false
	}
	_, found := slices.BinarySearchFunc(v.recent, uid, func(r store.UIDRange, uid store.UID) int {
		switch {
		case r.Last < uid:
			return -1
		case r.First > uid:
			return 1
		}
		return 0
	})
	return found
}

func (v *view) countRecent() int {
	n := 0
	for _, r := range v.recent {
		n += v.told.Lower(r.Last+1) - v.told.Lower(r.First)
	}
	return n
}

// tellExpunged tells which messages of the older snapshot are gone.
func (v *view) tellExpunged(before *mailbox.Snapshot, indexes []int) {
	if v.c.session.qresync && len(indexes) > 0 {
		var gone imap.SeqSet
		for _, i := range indexes {
			gone.Add(uint32(before.At(i).UID))
		}
		v.writeVanished(false, gone)
		return
	}
	for n, i := range indexes {
		v.c.enc.Untagged()
		v.c.enc.Number(uint64(i - n + 1)) // those before are gone already
		v.c.enc.Atom("EXPUNGE")
		v.c.enc.End()
	}
}

// tellExists tells EXISTS and, where there is such a thing, RECENT.
func (v *view) tellExists() {
	v.tellNumber(v.exists(), "EXISTS")
	if !v.c.session.rev2 {
		v.tellNumber(v.countRecent(), "RECENT")
	}
}

func (v *view) tellNumber(n int, what string) {
	v.c.enc.Untagged()
	v.c.enc.Number(uint64(n))
	v.c.enc.Atom(what)
	v.c.enc.End()
}

// tellChanged tells flags that somebody changed.
func (v *view) tellChanged(changed []store.Entry) {
	w := v.flagWriter()
	for i := range changed {
		if at, ok := v.told.Find(changed[i].UID); ok {
			v.tellFlags(at, &changed[i], w, v.c.session.condStore)
		}
	}
}

// tellFlags writes one FETCH response with the flags of a message.
func (v *view) tellFlags(at int, e *store.Entry, w *flagWriter, uid bool) {
	enc := v.c.enc
	enc.Untagged()
	enc.Number(uint64(at + 1))
	enc.Atom("FETCH")
	enc.Open()
	if uid {
		enc.Atom("UID")
		enc.Number(uint64(e.UID))
	}
	enc.Atom("FLAGS")
	enc.Atom(w.text(e))
	if v.c.session.condStore {
		v.writeModSeq(e.ModSeq)
	}
	enc.Close()
	enc.End()
}

func (v *view) writeModSeq(m store.ModSeq) {
	v.c.enc.Atom("MODSEQ")
	v.c.enc.Open()
	v.c.enc.Number(uint64(m))
	v.c.enc.Close()
}

// tellKeywords tells FLAGS and PERMANENTFLAGS again when there are new keywords.
func (v *view) tellKeywords(names []string) {
	if len(names) == v.keywords {
		return
	}
	v.keywords = len(names)
	v.tellFlagNames(names)
}

// tellFlagNames tells which flags there are and which a client may set.
func (v *view) tellFlagNames(keywords []string) {
	names := slices.Concat(systemFlagNames, keywords)
	v.c.enc.Untagged()
	v.c.enc.Atom("FLAGS")
	v.c.enc.Flags(names)
	v.c.enc.End()
	switch {
	case v.readOnly:
		names = nil
	case len(keywords) < store.MaxKeywords:
		names = append(names, imap.FlagAny)
	}
	v.c.enc.Response("", imap.Response{Status: imap.OK, Code: imap.CodePermanentFlags(names), Text: "Flags that are kept"})
}

// refresh brings the mailbox up to date after a change of our own, so that
// the client's next sync cannot lag behind what it did.
func (v *view) refresh(ctx context.Context) error {
	_, err := v.box.Refresh(ctx)
	return err
}

// refreshed is refresh after a change that is durable: OK it is, and a client
// told otherwise would do it again. What cannot be read now is told later.
func (v *view) refreshed(ctx context.Context) {
	if err := v.refresh(ctx); err != nil && !errors.Is(err, store.ErrNotFound) { // one that is gone is told, too
		v.c.log.Log(event.StoreFailed, event.Err(err))
	}
}

// note takes the outcome of our own change of flags as told, after a refresh.
// Somebody else's change of the same messages may be in it, with keywords
// that are new to the client.
func (v *view) note(changed []store.Entry) {
	keywords := v.box.Snapshot().Keywords
	v.tellKeywords(keywords)
	v.told = v.told.With(changed, nil)
	v.told.Keywords = keywords
}

// errBeyond is the fault of naming a message that is not there.
var errBeyond = &imap.Error{Response: imap.Response{Status: imap.BAD, Code: imap.CodeClientBug, Text: "No such message"}}

// resolve returns the indexes in told that a set names: of UIDs those that
// exist, of sequence numbers all (RFC 3501 §6.4.8, §9 seq-number).
func (v *view) resolve(set imap.SeqSet, uid bool) ([]int, error) {
	if set.Saved() {
		set, uid = v.saved, true
	}
	if uid {
		return v.resolveUIDs(set), nil
	}
	n := uint32(v.exists())
	if set.Highest() > n || set.HasStar() && n == 0 {
		return nil, errBeyond
	}
	out := make([]int, 0, set.Count(n))
	for r := range set.Ranges(n) {
		for i := r.First; i <= r.Last; i++ {
			out = append(out, int(i)-1)
		}
	}
	return out, nil
}

func (v *view) resolveUIDs(set imap.SeqSet) []int {
	var out []int
	for r := range set.Ranges(uint32(v.told.Last())) {
		lo := v.told.Lower(store.UID(r.First))
		hi := v.told.Lower(store.UID(r.Last))
		if hi < v.exists() && v.told.At(hi).UID == store.UID(r.Last) {
			hi++
		}
		out = slices.Grow(out, hi-lo)
		for i := lo; i < hi; i++ {
			out = append(out, i)
		}
	}
	return out
}

// setOf returns the set of the messages with these UIDs, as sequence numbers
// or UIDs.
func (v *view) setOf(uids []store.UID, uid bool) imap.SeqSet {
	var set imap.SeqSet
	for _, u := range uids {
		if uid {
			set.Add(uint32(u))
		} else if i, ok := v.told.Find(u); ok {
			set.Add(uint32(i + 1))
		}
	}
	return set
}

// gone reports whether one of the messages is known to be expunged though the
// client has not been told.
func (v *view) gone(indexes []int) bool {
	now := v.box.Snapshot()
	if now == v.told {
		return false
	}
	for _, i := range indexes {
		if _, ok := now.Find(v.told.At(i).UID); !ok {
			return true
		}
	}
	return false
}
