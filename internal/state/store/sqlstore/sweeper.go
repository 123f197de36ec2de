package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
)

// Steps of the sweeper are small, so that deliveries wait for none of them
// long.
const (
	sweepMessages = 200
	sweepEntries  = 1000
)

// sweeper takes apart what operations left behind: messages nobody refers to,
// entries of deleted mailboxes, old accept keys, room in segments. What remains to do is in the database, so a crash
// loses none of it. It runs when kicked, never by the clock.
type sweeper struct {
	s     *Store
	keys  keySweep
	wake  chan struct{}
	ended chan struct{}
	ctx   context.Context
	end   context.CancelFunc
	once  sync.Once
}

func (w *sweeper) start(s *Store) {
	w.s, w.keys.s = s, s
	w.wake, w.ended = make(chan struct{}, 1), make(chan struct{})
	w.ctx, w.end = context.WithCancel(context.Background())
	go w.run()
	w.kick()
}

// kick says that there is something to do.
func (w *sweeper) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *sweeper) stop() {
	w.once.Do(func() {
		if w.end != nil {
			w.end()
			<-w.ended
		}
	})
}

func (w *sweeper) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
		}
		keys := func() (bool, error) { return w.keys.step(w.ctx, time.Now()) }
		for _, step := range []func() (bool, error){w.garbage, keys, w.s.bodies.tidy} {
			if err := w.repeat(step); err != nil {
				w.s.o.Log.Log(event.StoreTrouble, slog.String("what", "tidying up"), event.Err(err))
				break
			}
		}
	}
}

// repeat runs a step until nothing is left for it.
func (w *sweeper) repeat(step func() (more bool, err error)) error {
	for w.ctx.Err() == nil {
		more, err := step()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// piece is a row of garbage.
type piece struct {
	account store.AccountID
	mailbox store.MailboxID
	message store.MessageID
	refs    int64
}

// garbage does one step and reports whether there is more.
func (w *sweeper) garbage() (more bool, err error) {
	var pieces []piece
	err = w.s.read(w.ctx, func(t tx) error {
		pieces = pieces[:0]
		return t.query(`SELECT account_id, mailbox_id, message_id FROM garbage ORDER BY account_id, mailbox_id, message_id LIMIT ?`,
			[]any{sweepMessages}, func(r row) error {
				pieces = append(pieces, piece{account: store.AccountID(r.int(0)), mailbox: store.MailboxID(r.int(1)), message: store.MessageID(r.int(2))})
				return nil
			})
	})
	if err != nil || len(pieces) == 0 {
		return false, err
	}
	return true, w.s.remove(w.ctx, func(t *txn) error {
		for _, p := range pieces {
			if p.message == 0 {
				return t.sweepMailbox(p)
			}
			if err := t.sweepMessage(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepMessage takes references off a message.
func (t *txn) sweepMessage(p piece) error {
	refs := int64(0) // maybe more than were read: messages went meanwhile
	_, err := one(t, `DELETE FROM garbage WHERE account_id = ? AND mailbox_id = ? AND message_id = ? RETURNING refs`,
		[]any{p.account, p.mailbox, p.message}, func(r row) error {
			refs = r.int(0)
			return nil
		})
	if err != nil || refs == 0 {
		return err
	}
	return t.dropMessage(p.account, p.message, refs)
}

// dropMessage takes n references off a message, which goes with the last.
func (t *txn) dropMessage(account store.AccountID, id store.MessageID, n int64) error {
	refs := int64(1)
	_, err := one(t, `UPDATE message SET refs = refs - ? WHERE id = ? AND account_id = ? RETURNING refs`,
		[]any{n, id, account}, func(r row) error {
			refs = r.int(0)
			return nil
		})
	if err != nil || refs > 0 {
		return err
	}
	if err := t.put(`DELETE FROM message WHERE id = ? AND account_id = ?`, id, account); err != nil {
		return err
	}
	return t.dropBody(int64(id))
}

// sweepMailbox removes some entries of a deleted mailbox, then its other rows.
// Only what the DELETE returns is counted: another node may be sweeping, too.
func (t *txn) sweepMailbox(p piece) error {
	last := store.UID(0)
	err := t.query(`SELECT uid FROM entry WHERE account_id = ? AND mailbox_id = ? ORDER BY uid LIMIT ?`,
		[]any{p.account, p.mailbox, sweepMessages}, func(r row) error {
			last = store.UID(r.int(0))
			return nil
		})
	if err != nil {
		return err
	}
	if last == 0 {
		return t.sweepRest(p)
	}
	refs := map[store.MessageID]int64{}
	err = t.query(`DELETE FROM entry WHERE account_id = ? AND mailbox_id = ? AND uid <= ? RETURNING message_id`,
		[]any{p.account, p.mailbox, last}, func(r row) error {
			refs[store.MessageID(r.int(0))]++
			return nil
		})
	if err != nil {
		return err
	}
	for id, n := range refs {
		if err := t.dropMessage(p.account, id, n); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) sweepRest(p piece) error {
	for _, query := range []string{
		`DELETE FROM change WHERE account_id = ? AND mailbox_id = ?`,
		`DELETE FROM keyword WHERE account_id = ? AND mailbox_id = ?`,
		`DELETE FROM garbage WHERE account_id = ? AND mailbox_id = ? AND message_id = 0`,
	} {
		if err := t.put(query, p.account, p.mailbox); err != nil {
			return err
		}
	}
	return nil
}

// discard leaves a piece to the sweeper.
func (t *txn) discard(p piece) error {
	t.onCommit(t.s.sweeper.kick)
	return t.put(`INSERT INTO garbage (account_id, mailbox_id, message_id, refs) VALUES (?, ?, ?, ?)
		ON CONFLICT (account_id, mailbox_id, message_id) DO UPDATE SET refs = garbage.refs + excluded.refs`,
		p.account, p.mailbox, p.message, p.refs)
}

// openMail gives a new account its rows and special mailboxes. The account
// row must be there.
func (t *txn) openMail(id store.AccountID) error {
	err := t.put(`INSERT INTO account_mail (account_id, mod_seq, uid_validity, bytes, messages) VALUES (?, 0, 0, 0, 0)`, id)
	if err != nil {
		return err
	}
	st, err := t.account(id)
	if err != nil {
		return err
	}
	for role := store.RoleInbox; role.Name() != ""; role++ {
		if _, err := t.addMailbox(st, role.Name(), role); err != nil {
			return err
		}
		if err := t.subscribe(id, role.Name()); err != nil {
			return err
		}
	}
	return nil
}

// closeMail removes an account's mail: at once for callers, in small steps on
// disk. The account row may be gone already.
func (t *txn) closeMail(id store.AccountID) error {
	t.forget(id)
	for _, query := range []string{
		`INSERT INTO garbage (account_id, mailbox_id, message_id, refs) SELECT account_id, id, 0, 1 FROM mailbox WHERE account_id = ?`,
		`DELETE FROM mailbox WHERE account_id = ?`,
		`DELETE FROM subscription WHERE account_id = ?`,
		`DELETE FROM account_mail WHERE account_id = ?`,
	} {
		if err := t.put(query, id); err != nil {
			return err
		}
	}
	t.onCommit(func() {
		t.s.hub.Wake(id)
		t.s.sweeper.kick()
	})
	return nil
}
