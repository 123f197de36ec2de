package sqlstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"posthorn/internal/state/store"
)

// delivery is one Accept on its way through a writer.
type delivery struct {
	a      *store.Acceptance
	body   *draft
	result store.Accepted
	// An engine that looks keys up for a whole batch sets looked, found (what
	// an earlier call filed) and twin (one of the batch with the same key).
	looked bool
	found  *store.Accepted
	twin   *delivery
	done   bool // in this transaction
}

// The rows a delivery writes.
const (
	insertAccepted = `INSERT INTO accepted (accept_key, filed) VALUES (?, ?)`
	insertMessage  = `INSERT INTO message (id, account_id, refs, size, uneven, meta) VALUES (?, ?, ?, ?, ?, ?)`
	insertBody     = `INSERT INTO body (id, blob_id, head, content) VALUES (?, ?, ?, ?)`
	insertEntry    = `INSERT INTO entry (account_id, mailbox_id, uid, mod_seq, flags, size, internal, saved, message_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// Accept implements store.Store.
func (s *Store) Accept(ctx context.Context, a *store.Acceptance) (store.Accepted, error) {
	if a.Key.IsZero() || len(a.Filings) > 0 && a.Account == 0 {
		return store.Accepted{}, fmt.Errorf("acceptance without key or account: %w", store.ErrInvalid)
	}
	if len(a.Filings) == 0 && a.Queue == nil {
		return store.Accepted{}, fmt.Errorf("acceptance %s without recipients: %w", a.Key, store.ErrInvalid)
	}
	body, err := s.sealDraft(a.Body)
	if err != nil {
		return store.Accepted{}, fmt.Errorf("accept %s: %w", a.Key, err)
	}
	d := &delivery{a: a, body: body}
	if err := s.engine.deliver(ctx, d); err != nil {
		return store.Accepted{}, fmt.Errorf("accept %s: %w", a.Key, err)
	}
	if !d.result.Repeated {
		body.Take()
	}
	return d.result, nil
}

// planned is a filing whose mailbox and numbers are settled.
type planned struct {
	box *boxState
	id  int64
}

// deliver writes what one acceptance causes. An error that is not the
// engine's comes before anything was written.
func (t *txn) deliver(d *delivery) error {
	d.result, d.done = store.Accepted{}, false
	st, plan, err := t.plan(d)
	if err != nil {
		// Repeating a call must succeed even where a first one would not.
		if repeated, e := t.repeated(d); e != nil || repeated {
			return e
		}
		return err
	}
	filed := numbers(st, plan)
	if fresh, err := t.claimKey(d, filed); err != nil || !fresh {
		return err
	}
	for _, p := range plan {
		p.box.UIDNext++
		st.step(p.box)
	}
	c, err := t.place(d.body, longestHead(d.a), uses(d.a))
	if err != nil {
		return err
	}
	for i, p := range plan {
		if err := t.fileAs(st, p.box, &d.a.Filings[i], filed[i], c); err != nil {
			return err
		}
	}
	if d.a.Queue != nil {
		if err := t.enqueue(d.a.Queue, c); err != nil {
			return err
		}
	}
	d.result.Filed, d.done = filed, true
	return nil
}

// numbers says which UIDs and modseqs the filings will get. It takes none: a
// repeated call must not leave a gap.
func numbers(st *accountState, plan []planned) []store.Filed {
	filed := make([]store.Filed, len(plan))
	for i, p := range plan {
		uid := p.box.UIDNext
		for _, earlier := range plan[:i] {
			if earlier.box == p.box {
				uid++
			}
		}
		filed[i] = store.Filed{Mailbox: p.box.ID, UIDValidity: p.box.UIDValidity, UID: uid,
			ModSeq: st.modSeq + store.ModSeq(i) + 1, Message: store.MessageID(p.id)}
	}
	return filed
}

// plan finds the mailboxes, checks limits and takes message ids.
func (t *txn) plan(d *delivery) (*accountState, []planned, error) {
	a := d.a
	if len(a.Filings) == 0 {
		return nil, nil, nil
	}
	st, err := t.account(a.Account)
	if err != nil {
		return nil, nil, err
	}
	plan := make([]planned, len(a.Filings))
	var size int64
	for i := range a.Filings {
		f := &a.Filings[i]
		if plan[i].box, err = t.target(st, f); err != nil {
			return nil, nil, err
		}
		if plan[i].id, err = t.newID("message"); err != nil {
			return nil, nil, err
		}
		size += int64(len(f.Head)) + d.body.Size()
	}
	if err := st.fits(size, int64(len(plan))); err != nil {
		return nil, nil, err
	}
	return st, plan, checkTogether(plan, a.Filings)
}

// checkTogether checks the keywords of filings into the same mailbox, which
// each alone may fit.
func checkTogether(plan []planned, filings []store.Filing) error {
	for i, p := range plan {
		var names []string
		for j := range plan[:i+1] {
			if plan[j].box == p.box {
				names = append(names, filings[j].Keywords...)
			}
		}
		if err := p.box.checkKeywords(names); err != nil {
			return err
		}
	}
	return nil
}

// target finds the mailbox of a filing and checks that it can take it.
func (t *txn) target(st *accountState, f *store.Filing) (*boxState, error) {
	var box *boxState
	var err error
	switch {
	case f.Mailbox != 0:
		box, err = t.box(st, f.Mailbox)
	case f.Role != store.RoleNone:
		box, err = t.boxByRole(st, f.Role)
	default:
		err = fmt.Errorf("filing without mailbox and role: %w", store.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	if box.UIDNext > maxUID {
		return nil, fmt.Errorf("mailbox %d has used all UIDs: %w", box.ID, store.ErrLimit)
	}
	return box, box.checkKeywords(f.Keywords)
}

// maxUID leaves room below 2^32 for UIDNEXT and for batches.
const maxUID = 1<<32 - 1<<20

// claimKey records the accept key. When it was there already, the result says
// what became of it and fresh is false.
func (t *txn) claimKey(d *delivery, filed []store.Filed) (fresh bool, err error) {
	if d.looked {
		if repeated, err := t.repeated(d); err != nil || repeated {
			return false, err
		}
		return true, t.put(insertAccepted, d.a.Key[:], packFiled(filed))
	}
	n, err := t.exec(insertAccepted+` ON CONFLICT (accept_key) DO NOTHING`,
		d.a.Key[:], packFiled(filed))
	if err != nil || n == 1 {
		return err == nil, err
	}
	_, err = t.repeated(d)
	return false, err
}

// repeated looks the key up and sets the result if it is known.
func (t *txn) repeated(d *delivery) (bool, error) {
	if d.looked {
		switch {
		case d.found != nil:
			d.result = *d.found
		case d.twin != nil && d.twin.done:
			d.result = store.Accepted{Filed: d.twin.result.Filed, Repeated: true}
		}
		return d.result.Repeated, nil
	}
	return one(t, `SELECT filed FROM accepted WHERE accept_key = ?`, []any{d.a.Key[:]}, func(r row) error {
		filed, err := unpackFiled(r.bytes(0))
		d.result = store.Accepted{Filed: filed, Repeated: true}
		return err
	})
}

// fileAs writes the rows of a message whose numbers are settled.
func (t *txn) fileAs(st *accountState, box *boxState, f *store.Filing, as store.Filed, c content) error {
	flags, err := t.keywordBits(st, box, f.Keywords)
	if err != nil {
		return err
	}
	flags |= f.Flags & store.SystemFlags
	size := int64(len(f.Head)) + c.size
	if err := t.addMessage(st, as.Message, f.Head, f.Meta, size, c); err != nil {
		return err
	}
	st.count(box, flags, size, 1)
	return t.addEntry(st, box.ID, store.Entry{UID: as.UID, ModSeq: as.ModSeq, Flags: flags, Size: size,
		Internal: internalDate(f.Internal), Message: as.Message})
}

func internalDate(at time.Time) int64 {
	if at.IsZero() {
		at = time.Now()
	}
	return at.UnixMicro()
}

func (t *txn) addMessage(st *accountState, id store.MessageID, head, meta []byte, size int64, c content) error {
	if meta == nil {
		meta = []byte{}
	}
	err := t.put(insertMessage, id, st.id, 1, size, c.uneven, meta)
	if err != nil {
		return err
	}
	return t.addBody(int64(id), head, c)
}

func (t *txn) addEntry(st *accountState, box store.MailboxID, e store.Entry) error {
	return t.put(insertEntry, st.id, box, e.UID, e.ModSeq, e.Flags, e.Size, e.Internal, time.Now(), e.Message)
}

// file puts a message of known content into an account's mailbox, for the
// queue; ErrNotFound, ErrOverQuota, ErrLimit come before anything is written.
func (t *txn) file(account store.AccountID, f store.Filing, c content) (store.Filed, error) {
	st, err := t.account(account)
	if err != nil {
		return store.Filed{}, err
	}
	box, err := t.target(st, &f)
	if err != nil {
		return store.Filed{}, err
	}
	if err := st.fits(int64(len(f.Head))+c.size, 1); err != nil {
		return store.Filed{}, err
	}
	return t.fileNext(st, box, &f, c)
}

// fileNext files under the mailbox's next UID.
func (t *txn) fileNext(st *accountState, box *boxState, f *store.Filing, c content) (store.Filed, error) {
	id, err := t.newID("message")
	if err != nil {
		return store.Filed{}, err
	}
	as := store.Filed{Mailbox: box.ID, UIDValidity: box.UIDValidity, UID: box.UIDNext, ModSeq: st.step(box), Message: store.MessageID(id)}
	box.UIDNext++
	return as, t.fileAs(st, box, f, as, c)
}

// enqueue stores the queue's use of the content and its rows.
func (t *txn) enqueue(m *store.QueueMessage, c content) error {
	id, err := t.newID("message")
	if err != nil {
		return err
	}
	if err := t.addBody(id, m.Head, c); err != nil {
		return err
	}
	return t.s.queue.add(t, m, id)
}

func longestHead(a *store.Acceptance) int {
	n := 0
	for i := range a.Filings {
		n = max(n, len(a.Filings[i].Head))
	}
	if a.Queue != nil {
		n = max(n, len(a.Queue.Head))
	}
	return n
}

func uses(a *store.Acceptance) int {
	if a.Queue != nil {
		return len(a.Filings) + 1
	}
	return len(a.Filings)
}

// packFiled writes filings as unsigned varints, five each.
func packFiled(filed []store.Filed) []byte {
	b := make([]byte, 0, 20*len(filed))
	for _, f := range filed {
		for _, n := range [...]uint64{uint64(f.Mailbox), uint64(f.UIDValidity), uint64(f.UID), uint64(f.ModSeq), uint64(f.Message)} {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

func unpackFiled(b []byte) ([]store.Filed, error) {
	var filed []store.Filed
	for len(b) > 0 {
		var v [5]uint64
		for i := range v {
			n := 0
			if v[i], n = binary.Uvarint(b); n <= 0 {
				return nil, fmt.Errorf("sqlstore: accepted row is damaged")
			}
			b = b[n:]
		}
		filed = append(filed, store.Filed{Mailbox: store.MailboxID(v[0]), UIDValidity: uint32(v[1]), UID: store.UID(v[2]),
			ModSeq: store.ModSeq(v[3]), Message: store.MessageID(v[4])})
	}
	return filed, nil
}
