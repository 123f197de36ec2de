package app

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"posthorn/internal/state/mailbox"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// witnessed is the store as readers of mail get it: what they do with messages
// goes into the decision record too, so that a trace tells whether mail was read,
// moved or deleted, and by whom; and the junk filter learns from it. boxes, if not nil, know what is selected.
func (h *House) witnessed(protocol string, boxes *mailbox.Registry) witness {
	return witness{Store: h.sifter.store, h: h, protocol: protocol, boxes: boxes}
}

// witness is a Store whose accounts tell what is done in them.
type witness struct {
	store.Store
	h        *House
	protocol string
	boxes    *mailbox.Registry
}

// Account implements store.Store; the account belongs to one session.
func (w witness) Account(id store.AccountID) store.Account {
	return &reader{Account: w.Store.Account(id), w: w}
}

// Bounds of what one command or session tells; what people do with more at a
// time is not worth pushing other records out of the queue.
const (
	mostTold  = 1000
	mostShelf = 20_000
)

// reader is an account as one session uses it. It belongs to one goroutine.
type reader struct {
	store.Account
	w  witness
	by string
	// shelf are the messages of the maildrop, the newest, where nobody keeps
	// snapshots of mailboxes.
	shelf []store.Entry
	next  int // of the shelf, for who walks along it
	// box is the mailbox whose name was asked last.
	box  store.MailboxID
	name string
}

// Index implements store.Account. A POP3 session reads it once.
func (r *reader) Index(ctx context.Context, box store.MailboxID) (store.Index, error) {
	x, err := r.Account.Index(ctx, box)
	if err == nil && r.w.boxes == nil {
		r.shelf = append(r.shelf[:0], x.Entries[max(0, len(x.Entries)-mostShelf):]...)
		r.box, r.name = box, x.Mailbox.Name
	}
	return x, err
}

// Fetched implements pop3d.Witness.
func (r *reader) Fetched(id store.MessageID) {
	if r.next >= len(r.shelf) || r.shelf[r.next].Message != id {
		r.next = slices.IndexFunc(r.shelf, func(e store.Entry) bool { return e.Message == id })
	}
	if r.next >= 0 {
		r.tell(context.Background(), record.Read, r.box, r.shelf[r.next:r.next+1])
	}
	r.next++
}

// SetFlags implements store.Account: \Seen means that it was read.
func (r *reader) SetFlags(ctx context.Context, box store.MailboxID, u store.FlagUpdate) (store.FlagResult, error) {
	before := r.known(box)
	result, err := r.Account.SetFlags(ctx, box, u)
	if err != nil || u.Op == store.FlagsRemove || u.Flags&store.FlagSeen == 0 {
		return result, err
	}
	var read []store.Entry
	for _, e := range result.Changed {
		if old, ok := before(e.UID); e.Flags&store.FlagSeen != 0 && !(ok && old.Flags&store.FlagSeen != 0) {
			read = append(read, e)
		}
	}
	r.tell(ctx, record.Read, box, read)
	return result, nil
}

// Move implements store.Account.
func (r *reader) Move(ctx context.Context, from store.MailboxID, uids []store.UIDRange, to store.MailboxID) (store.CopyResult, error) {
	before := r.known(from)
	result, err := r.Account.Move(ctx, from, uids, to)
	if err == nil {
		r.tell(ctx, record.Moved, to, entries(before, result.From))
	}
	return result, err
}

// Expunge implements store.Account.
func (r *reader) Expunge(ctx context.Context, box store.MailboxID, uids []store.UIDRange, onlyDeleted bool) ([]store.UID, store.ModSeq, error) {
	before := r.known(box)
	gone, modseq, err := r.Account.Expunge(ctx, box, uids, onlyDeleted)
	if err == nil {
		r.tell(ctx, record.Deleted, box, entries(before, gone))
	}
	return gone, modseq, err
}

// Retire implements store.Account: DELE of POP3, which keeps it a while.
func (r *reader) Retire(ctx context.Context, from store.MailboxID, uids []store.UIDRange, until time.Time) (store.CopyResult, error) {
	before := r.known(from)
	result, err := r.Account.Retire(ctx, from, uids, until)
	if err == nil {
		r.tell(ctx, record.Deleted, from, entries(before, result.From))
	}
	return result, err
}

// DeleteMailbox implements store.Account.
func (r *reader) DeleteMailbox(ctx context.Context, box store.MailboxID) error {
	name := r.nameOf(ctx, box)
	var s *mailbox.Snapshot
	if r.w.boxes != nil {
		s = r.w.boxes.Known(r.ID(), box)
	}
	err := r.Account.DeleteMailbox(ctx, box)
	if err == nil && s != nil {
		r.box, r.name = box, name
		var gone []store.Entry
		s.Range(0, min(s.Len(), mostTold), func(_ int, e *store.Entry) bool { gone = append(gone, *e); return true })
		r.tell(ctx, record.Deleted, box, gone)
	}
	return err
}

// RenameMailbox implements store.Account.
func (r *reader) RenameMailbox(ctx context.Context, box store.MailboxID, name string) error {
	r.box, r.name = 0, ""
	return r.Account.RenameMailbox(ctx, box, name)
}

// known returns how to find a message of the mailbox as it is now, from memory.
func (r *reader) known(box store.MailboxID) func(store.UID) (store.Entry, bool) {
	if r.w.boxes != nil {
		s := r.w.boxes.Known(r.ID(), box)
		return func(uid store.UID) (store.Entry, bool) {
			if s == nil {
				return store.Entry{}, false
			}
			i, ok := s.Find(uid)
			if !ok {
				return store.Entry{}, false
			}
			return *s.At(i), true
		}
	}
	return func(uid store.UID) (store.Entry, bool) {
		i, ok := slices.BinarySearchFunc(r.shelf, uid, func(e store.Entry, uid store.UID) int { return cmp.Compare(e.UID, uid) })
		if !ok {
			return store.Entry{}, false
		}
		return r.shelf[i], true
	}
}

// entries are the messages of the UIDs that are known.
func entries(known func(store.UID) (store.Entry, bool), uids []store.UID) []store.Entry {
	var list []store.Entry
	for _, uid := range uids[:min(len(uids), mostTold)] {
		if e, ok := known(uid); ok {
			list = append(list, e)
		}
	}
	return list
}

// tell puts what happened to messages into the record.
func (r *reader) tell(ctx context.Context, kind record.EventKind, box store.MailboxID, list []store.Entry) {
	if len(list) == 0 {
		return
	}
	place, by := r.nameOf(ctx, box), r.login(ctx)
	for _, e := range list[:min(len(list), mostTold)] {
		r.w.h.Records.Event(record.Event{Time: time.Now(), Kind: kind, Place: place, By: by, Account: int64(r.ID()), Arrived: e.Internal})
	}
}

// login is who reads: the account's first address, and by which protocol.
func (r *reader) login(ctx context.Context) string {
	if r.by == "" {
		r.by = "account " + strconv.FormatInt(int64(r.ID()), 10)
		if row, err := r.w.h.Store.Directory().GetAccount(ctx, r.ID()); err == nil && len(row.Addresses) > 0 {
			r.by = row.Addresses[0].String()
		}
		r.by += " (" + r.w.protocol + ")"
	}
	return r.by
}

// nameOf is the name of a mailbox; its number where it cannot be read.
func (r *reader) nameOf(ctx context.Context, box store.MailboxID) string {
	if r.box == box && r.name != "" {
		return r.name
	}
	m, err := r.Account.Mailbox(ctx, box)
	if err != nil {
		return "number " + strconv.FormatInt(int64(box), 10)
	}
	r.box, r.name = box, m.Name
	return m.Name
}
