package sqlstore

import (
	"fmt"
	"strings"

	"posthorn/internal/state/store"
)

// accountState is what writers know of an account: its row of account_mail and
// the mailboxes used so far. The SQLite writer keeps it over transactions;
// elsewhere it lives as long as the lock on the row.
type accountState struct {
	id                        store.AccountID
	modSeq                    store.ModSeq
	uidValidity               uint32 // the last one this account was given
	bytes, messages           int64
	limitBytes, limitMessages int64
	boxes                     map[store.MailboxID]*boxState
	roles                     map[store.Role]*boxState
	dirty                     bool
	touched                   bool // by the running operation
}

// boxState is a mailbox as its writers know it.
type boxState struct {
	store.Mailbox
	recent   store.UID
	logFloor store.ModSeq
	logRows  int64
	dirty    bool
}

const accountQuery = `SELECT m.mod_seq, m.uid_validity, m.bytes, m.messages, a.quota_bytes, a.quota_messages, m.account_id
	FROM account_mail m JOIN account a ON a.id = m.account_id`

// scanState reads a row of accountQuery.
func scanState(r row) *accountState {
	return &accountState{
		modSeq: store.ModSeq(r.int(0)), uidValidity: uint32(r.int(1)),
		bytes: r.int(2), messages: r.int(3),
		limitBytes: r.int(4), limitMessages: r.int(5),
		id:    store.AccountID(r.int(6)),
		boxes: map[store.MailboxID]*boxState{},
		roles: map[store.Role]*boxState{},
	}
}

// account returns the state of an account, locked for this transaction;
// ErrNotFound.
func (t *txn) account(id store.AccountID) (*accountState, error) {
	if st := t.accounts[id]; st != nil {
		t.touch(st)
		return st, nil
	}
	query := accountQuery + ` WHERE m.account_id = ?`
	if t.lock {
		query += ` FOR UPDATE OF m`
	}
	var st *accountState
	found, err := one(t, query, []any{id}, func(r row) error {
		st = scanState(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("account %d: %w", id, store.ErrNotFound)
	}
	t.accounts[id] = st
	t.touch(st)
	return st, nil
}

func (t *txn) touch(st *accountState) {
	if !st.touched {
		st.touched = true
		t.touched = append(t.touched, st)
	}
}

// untouch ends an operation and returns the states it worked on.
func (t *txn) untouch() []*accountState {
	states := t.touched
	for _, st := range states {
		st.touched = false
	}
	t.touched = nil
	return states
}

// forget drops what is cached of an account, because its rows were changed
// other than through its state.
func (t *txn) forget(id store.AccountID) { delete(t.accounts, id) }

const boxColumns = `id, name, role, uid_validity, uid_next, mod_seq, messages, unseen, deleted, size, recent, log_floor, log_rows`

// boxWidth is the number of boxColumns.
const boxWidth = 13

// scanBox reads a row of boxColumns.
func scanBox(r row) *boxState {
	b := &boxState{recent: store.UID(r.int(10)), logFloor: store.ModSeq(r.int(11)), logRows: r.int(12)}
	b.Mailbox = store.Mailbox{
		ID: store.MailboxID(r.int(0)), Name: r.text(1), Role: store.Role(r.int(2)),
		UIDValidity: uint32(r.int(3)), UIDNext: store.UID(r.int(4)), HighestModSeq: store.ModSeq(r.int(5)),
		Messages: int(r.int(6)), Unseen: int(r.int(7)), Deleted: int(r.int(8)), Size: r.int(9),
	}
	return b
}

// box returns a mailbox of the account; ErrNotFound.
func (t *txn) box(st *accountState, id store.MailboxID) (*boxState, error) {
	if b := st.boxes[id]; b != nil {
		return b, nil
	}
	return t.loadBox(st, `SELECT `+boxColumns+` FROM mailbox WHERE account_id = ? AND id = ?`, id, fmt.Sprint("mailbox ", id))
}

// boxByRole returns the account's mailbox of a role; ErrNotFound.
func (t *txn) boxByRole(st *accountState, role store.Role) (*boxState, error) {
	if b := st.roles[role]; b != nil {
		return b, nil
	}
	return t.loadBox(st, `SELECT `+boxColumns+` FROM mailbox WHERE account_id = ? AND role = ? ORDER BY id LIMIT 1`, role, "mailbox "+role.Name())
}

func (t *txn) loadBox(st *accountState, query string, key any, what string) (*boxState, error) {
	var b *boxState
	_, err := one(t, query, []any{st.id, key}, func(r row) error {
		b = scanBox(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	if have := st.boxes[b.ID]; have != nil {
		return have, nil // with changes not written yet
	}
	if b.Keywords, err = loadKeywords(t, st.id, b.ID); err != nil {
		return nil, err
	}
	st.boxes[b.ID] = b
	if b.Role != store.RoleNone {
		st.roles[b.Role] = b
	}
	return b, nil
}

func loadKeywords(t tx, account store.AccountID, mailbox store.MailboxID) ([]string, error) {
	var names []string
	err := t.query(`SELECT name FROM keyword WHERE account_id = ? AND mailbox_id = ? ORDER BY position`,
		[]any{account, mailbox}, func(r row) error {
			names = append(names, r.text(0))
			return nil
		})
	return names, err
}

// step takes the account's next modseq for a change in the mailbox.
func (st *accountState) step(b *boxState) store.ModSeq {
	st.modSeq++
	b.HighestModSeq = st.modSeq
	st.dirty, b.dirty = true, true
	return st.modSeq
}

// count adds a message with these flags to the counts (sign 1), or takes it
// off (sign -1).
func (st *accountState) count(b *boxState, flags store.Flags, size int64, sign int) {
	b.Messages += sign
	b.Size += int64(sign) * size
	b.countFlags(flags, sign)
	st.messages += int64(sign)
	st.bytes += int64(sign) * size
	st.dirty, b.dirty = true, true
}

func (b *boxState) countFlags(flags store.Flags, sign int) {
	if flags&store.FlagSeen == 0 {
		b.Unseen += sign
	}
	if flags&store.FlagDeleted != 0 {
		b.Deleted += sign
	}
	b.dirty = true
}

// fits checks the quota for so much more.
func (st *accountState) fits(bytes, messages int64) error {
	if st.limitBytes > 0 && st.bytes+bytes > st.limitBytes || st.limitMessages > 0 && st.messages+messages > st.limitMessages {
		now := store.Usage{Bytes: st.bytes, Messages: st.messages, LimitBytes: st.limitBytes, LimitMessages: st.limitMessages}
		return &store.OverQuota{Account: st.id, Usage: now, Bytes: bytes, Messages: messages}
	}
	return nil
}

// findKeyword returns the flag bit of a keyword; keywords differ in more than
// case.
func (b *boxState) findKeyword(name string) store.Flags {
	for i, have := range b.Keywords {
		if strings.EqualFold(have, name) {
			return 1 << (store.FirstKeyword + i)
		}
	}
	return 0
}

// checkKeywords reports ErrLimit if the mailbox cannot take these keywords.
func (b *boxState) checkKeywords(names []string) error {
	missing := 0
	for i, name := range names {
		if b.findKeyword(name) == 0 && !containsFold(names[:i], name) {
			missing++
		}
	}
	if len(b.Keywords)+missing > store.MaxKeywords {
		return fmt.Errorf("mailbox %d has %d keywords: %w", b.ID, len(b.Keywords), store.ErrLimit)
	}
	return nil
}

func containsFold(names []string, name string) bool {
	for _, have := range names {
		if strings.EqualFold(have, name) {
			return true
		}
	}
	return false
}

// keywordBits turns keywords into flags, making those the mailbox lacks.
func (t *txn) keywordBits(st *accountState, b *boxState, names []string) (store.Flags, error) {
	if err := b.checkKeywords(names); err != nil {
		return 0, err
	}
	var bits store.Flags
	for _, name := range names {
		if b.findKeyword(name) == 0 {
			err := t.put(`INSERT INTO keyword (account_id, mailbox_id, position, name) VALUES (?, ?, ?, ?)`,
				st.id, b.ID, len(b.Keywords), name)
			if err != nil {
				return 0, err
			}
			b.Keywords = append(b.Keywords[:len(b.Keywords):len(b.Keywords)], name)
		}
		bits |= b.findKeyword(name)
	}
	return bits, nil
}

// flush writes changed states into their rows.
func (t *txn) flush() error {
	for _, st := range t.touched {
		for _, b := range st.boxes {
			if err := t.flushBox(st, b); err != nil {
				return err
			}
		}
		if !st.dirty {
			continue
		}
		st.dirty = false
		err := t.put(`UPDATE account_mail SET mod_seq = ?, uid_validity = ?, bytes = ?, messages = ? WHERE account_id = ?`,
			st.modSeq, st.uidValidity, st.bytes, st.messages, st.id)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) flushBox(st *accountState, b *boxState) error {
	if !b.dirty {
		return nil
	}
	b.dirty = false
	return t.put(`UPDATE mailbox SET uid_next = ?, mod_seq = ?, messages = ?, unseen = ?, deleted = ?, size = ?, recent = ?, log_floor = ?, log_rows = ?
		WHERE account_id = ? AND id = ?`,
		b.UIDNext, b.HighestModSeq, b.Messages, b.Unseen, b.Deleted, b.Size, b.recent, b.logFloor, b.logRows, st.id, b.ID)
}
