package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// queue implements store.Queue. All its times are queue time (queueClock).
type queue struct {
	s     *Store
	clock *queueClock
	wake  [2]chan struct{} // elsewhere, local
	lost  lostClaims
}

func newQueue(s *Store) *queue {
	return &queue{s: s, clock: newQueueClock(), wake: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

// Wake implements store.Queue.
func (q *queue) Wake(local bool) <-chan struct{} {
	if local {
		return q.wake[1]
	}
	return q.wake[0]
}

// hint tells both kinds of listeners; it costs the wrong one a look.
func (q *queue) hint() {
	hint(q.wake[0])
	hint(q.wake[1])
}

// Envelope bits of the queue table.
const (
	bitSMTPUTF8 = 1 << iota
	bitEightBit
	bitBinary
	bitRequireTLS
	bitSift
)

// add inserts the rows of an accepted message; bodyID is its row of body. It
// runs inside the commit that accepts the message.
func (q *queue) add(t *txn, m *store.QueueMessage, bodyID int64) error {
	at, err := q.clock.tick(t)
	if err != nil {
		return err
	}
	err = t.put(`INSERT INTO queue (id, sender, sender_key, sender_domain, account_id, client, body_id, meta, size,
		accepted, expires, ret, envelope_id, bits, junk, quarantine) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID[:], m.Sender.String(), m.Sender.Key(), m.Sender.Domain, m.Account, m.Client, bodyID, nonNil(m.Meta), m.Size,
		at.stored(m.Accepted), at.stored(m.Expires), m.Return, m.EnvelopeID, envelopeBits(m), m.Junk, m.Quarantine)
	if err != nil {
		return err
	}
	for i := range m.Recipients {
		if err := q.addRecipient(t, at, m.ID, &m.Recipients[i]); err != nil {
			return err
		}
	}
	t.onCommit(q.hint)
	return nil
}

func (q *queue) addRecipient(t *txn, at moment, id ident.ID, r *store.QueueRecipient) error {
	n, err := t.newID("recipient")
	if err != nil {
		return err
	}
	due := at.stored(r.NextTry)
	if due == 0 {
		due = at.steady()
	}
	return t.put(`INSERT INTO queue_recipient (id, queue_id, address, address_key, domain, original, notify,
		local_account, is_local, state, due, next_try, attempts, last_error, owner, fence, notified, asked, last_try, last_host, route)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?, ?, ?, ?)`,
		n, id[:], r.Address.String(), r.Address.Key(), r.Address.Domain, r.Original, r.Notify,
		r.Local, r.Local > 0, r.State, due, due, r.Attempts, r.LastError, r.Notified, r.Asked, at.stored(r.LastTry), r.LastHost, r.Route)
}

func envelopeBits(m *store.QueueMessage) int {
	bits := 0
	for i, on := range []bool{m.SMTPUTF8, m.EightBit, m.Binary, m.RequireTLS, m.Sift} {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

// nonNil keeps NULL out of columns that refuse it.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Columns of a message and of a recipient in the order their scanners read.
const (
	messageColumns = `q.id, q.sender, q.account_id, q.client, q.meta, q.size, q.accepted, q.expires, q.ret, q.envelope_id, q.bits, q.body_id,
		substr(b.content, 1, CAST(b.head AS INTEGER)), q.junk, q.quarantine`
	withBody         = ` JOIN body b ON b.id = q.body_id `
	recipientColumns = `r.id, r.address, r.original, r.notify, r.local_account, r.state, r.next_try, r.attempts, r.last_error,
		r.notified, r.asked, r.last_try, r.last_host, r.route, r.due, r.owner`
	recipientDue   = 14 // where due stands in recipientColumns
	recipientOwner = 15
	recipientWidth = 16
)

func scanMessage(r row, at moment) (store.QueueMessage, int64, error) {
	m := store.QueueMessage{
		ID: ident.ID(r.bytes(0)), Account: store.AccountID(r.int(2)), Client: r.text(3), Meta: r.bytes(4), Size: r.int(5),
		Accepted: at.time(r.int(6)), Expires: at.time(r.int(7)), Return: r.text(8), EnvelopeID: r.text(9),
	}
	bits := r.int(10)
	m.SMTPUTF8, m.EightBit = bits&bitSMTPUTF8 != 0, bits&bitEightBit != 0
	m.Binary, m.RequireTLS = bits&bitBinary != 0, bits&bitRequireTLS != 0
	m.Sift, m.Head, m.Junk, m.Quarantine = bits&bitSift != 0, r.bytes(12), r.text(13), r.text(14)
	var err error
	m.Sender, err = parseStored(r.text(1))
	return m, r.int(11), err
}

// scanRecipient reads recipientColumns from column i on.
func scanRecipient(r row, i int, at moment) (store.QueueRecipient, error) {
	a, err := parseStored(r.text(i + 1))
	return store.QueueRecipient{
		ID: r.int(i), Address: a, Original: r.text(i + 2), Notify: store.Notify(r.int(i + 3)),
		Local: store.AccountID(r.int(i + 4)), State: store.QueueState(r.int(i + 5)), NextTry: at.time(r.int(i + 6)),
		Attempts: int(r.int(i + 7)), LastError: r.text(i + 8), Notified: boolAt(r, i+9), Asked: boolAt(r, i+10),
		LastTry: at.time(r.int(i + 11)), LastHost: r.text(i + 12), Route: r.text(i + 13),
		Claimed: claimed(r, i, at),
	}, err
}

// claimed is whose lease of a recipient has not ended.
func claimed(r row, i int, at moment) string {
	if r.int(i+recipientDue) <= at.steady() {
		return ""
	}
	return r.text(i + recipientOwner)
}

// errUnread is wrapped where a row cannot be read back.
var errUnread = errors.New("stored address")

// parseStored reads an address that String wrote; it may be null or bare. One
// that cannot be read has its text as local part.
func parseStored(s string) (mail.Address, error) {
	var a mail.Address
	err := a.UnmarshalText([]byte(s))
	if err == nil {
		return a, nil
	}
	if local, e := mail.ParseLocal(s); e == nil { // "a@b" in quotes, too
		return mail.Address{Local: local}, nil
	}
	return mail.Address{Local: s}, fmt.Errorf("%w: %w", errUnread, err)
}

// NextDue implements store.Queue.
func (q *queue) NextDue(ctx context.Context, local bool) (time.Time, bool, error) {
	due, at, found, err := q.nextDue(ctx, local)
	return at.time(due), found, err
}

// nextDue is NextDue in queue time.
func (q *queue) nextDue(ctx context.Context, local bool) (due int64, at moment, found bool, err error) {
	err = q.s.read(ctx, func(t tx) error {
		if at, err = q.clock.tick(t); err != nil {
			return err
		}
		found, err = one(t, `SELECT due FROM queue_recipient WHERE is_local = ? AND state = 0 ORDER BY due, id LIMIT 1`,
			[]any{local}, func(r row) error { due = r.int(0); return nil })
		return err
	})
	return due, at, found, err
}

// Count implements store.Queue.
func (q *queue) Count(ctx context.Context) (messages, recipients int64, err error) {
	err = q.s.read(ctx, func(t tx) error {
		_, err := one(t, `SELECT (SELECT COUNT(*) FROM queue), (SELECT COUNT(*) FROM queue_recipient),
			(SELECT COUNT(DISTINCT queue_id) FROM queue_recipient WHERE state = 2), (SELECT COUNT(*) FROM queue_recipient WHERE state = 2)`, nil, func(r row) error {
			messages, recipients = r.int(0)-r.int(2), r.int(1)-r.int(3)
			return nil
		})
		return err
	})
	return messages, recipients, err
}

// OpenBody implements store.Queue.
func (q *queue) OpenBody(ctx context.Context, id ident.ID) (store.Body, error) {
	var bodyID int64
	err := q.s.read(ctx, func(t tx) error {
		found, err := one(t, `SELECT body_id FROM queue WHERE id = ?`, []any{id[:]}, func(r row) error { bodyID = r.int(0); return nil })
		if err == nil && !found {
			err = notQueued(id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return q.s.openBody(ctx, bodyID)
}

func notQueued(id ident.ID) error { return fmt.Errorf("queue: message %s: %w", id, store.ErrNotFound) }
