package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"posthorn/internal/state/store"
)

// isConnection reports that the connection is gone.
func isConnection(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// deliver implements engine: the delivery waits in the line of its account.
func (e *pgEngine) deliver(ctx context.Context, d *delivery) error {
	line := uint64(d.a.Account) % uint64(len(e.lines))
	if d.a.Account == 0 {
		line = uint64(d.a.Key[15]) % uint64(len(e.lines))
	}
	return e.lines[line].do(ctx, operation{delivery: d})
}

// run commits what waits in one line.
func (e *pgEngine) run(l *waitingLine) {
	for batch := l.next(nil); batch != nil; batch = l.next(batch) {
		began := time.Now()
		e.commitBatch(batch)
		e.meter.commit(len(batch), began)
		answer(batch)
	}
}

// commitBatch makes a batch durable, together if possible. When the outcome
// is unknown it is done again, as long as the others in the line can wait: the
// accept keys tell what had happened.
func (e *pgEngine) commitBatch(batch []*operation) {
	ctx, end := context.WithTimeout(context.Background(), e.s.o.answer)
	defer end()
	var doubt error
	for try := 0; ; try++ {
		unknown, err := e.transact(ctx, e.s.o.answer, func(t *txn) error { return e.deliverAll(t, batch) })
		if err == nil {
			e.count(batch, doubt != nil)
			return
		}
		if unknown {
			doubt = err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = overdue(err) // there was no connection in time
		}
		if ctx.Err() == nil && try < triesAfter(err, len(batch), doubt) && (unknown || again(err) || doubt != nil && errors.Is(classifyPG(err), store.ErrUnavailable)) {
			pause(try)
			continue
		}
		if len(batch) > 1 && doubt == nil && !errors.Is(classifyPG(err), store.ErrUnavailable) {
			for i := range batch {
				e.commitBatch(batch[i : i+1])
			}
			return
		}
		err = classifyPG(err)
		if doubt != nil {
			err = fmt.Errorf("%w: %w", store.ErrUnknownOutcome, doubt)
		}
		finish(batch, err)
		return
	}
}

// triesAfter is how often a batch that met an error is tried again. A row that
// is there already is there for one of the batch: the others do not wait for
// it. Whoever inserted it has committed by then, so it is met as a repetition
// or it stays an error.
func triesAfter(err error, deliveries int, doubt error) int {
	switch {
	case pgCode(err) != "23505" || doubt != nil:
		return attempts
	case deliveries > 1:
		return 0
	}
	return 2
}

// count books a committed batch. After a doubt, what was found as repeated
// was this very call.
func (e *pgEngine) count(batch []*operation, doubted bool) {
	for _, op := range batch {
		if doubted && op.err == nil && op.delivery.twin == nil {
			op.delivery.result.Repeated = false
		}
	}
	n := int64(len(batch))
	e.commits.Add(1)
	e.writes.Add(n)
	e.lastBatch.Store(n)
	for {
		old := e.maxBatch.Load()
		if n <= old || e.maxBatch.CompareAndSwap(old, n) {
			return
		}
	}
}

// deliverAll writes a batch: one round trip reads and locks what it needs, the
// other writes and commits.
func (e *pgEngine) deliverAll(t *txn, batch []*operation) error {
	if err := t.prefetch(batch); err != nil {
		return err
	}
	for _, op := range batch {
		op.err = t.deliver(op.delivery)
		if op.err != nil && !isVerdict(op.err) {
			return op.err
		}
	}
	return nil
}

// isVerdict tells an answer to one delivery from a failure of the transaction.
func isVerdict(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrOverQuota) ||
		errors.Is(err, store.ErrLimit) || errors.Is(err, store.ErrInvalid)
}

// prefetch locks the accounts of a batch, in the order of their ids, and
// loads them with the mailboxes asked for and the keys seen before.
func (t *txn) prefetch(batch []*operation) error {
	x := t.tx.(*pgTx)
	var keys [][]byte
	var accounts, roles, boxes []int64
	byKey := map[string]*delivery{}
	for _, op := range batch {
		d := op.delivery
		d.looked, d.found, d.twin = true, nil, byKey[string(d.a.Key[:])]
		if d.twin == nil {
			byKey[string(d.a.Key[:])] = d
			keys = append(keys, d.a.Key[:])
		}
		if d.a.Account == 0 {
			continue
		}
		accounts = append(accounts, int64(d.a.Account))
		for i := range d.a.Filings {
			roles = append(roles, int64(d.a.Filings[i].Role))
			boxes = append(boxes, int64(d.a.Filings[i].Mailbox))
		}
	}
	unique := func(list []int64) []int64 {
		slices.Sort(list)
		return slices.Compact(list)
	}
	if accounts = unique(accounts); len(accounts) > 0 {
		t.prefetchAccounts(x, accounts, unique(roles), unique(boxes))
	}
	// A key that is there is locked, which is a write: the answer waits for the
	// standby as that of the first commit should have. One that was cut off while
	// it waited is seen by everybody here, and may be nowhere else.
	err := x.query(`SELECT accept_key, filed FROM accepted WHERE accept_key = ANY(?) ORDER BY accept_key FOR UPDATE`, []any{keys}, func(r row) error {
		d := byKey[string(r.bytes(0))]
		filed, err := unpackFiled(r.bytes(1))
		d.found = &store.Accepted{Filed: filed, Repeated: true}
		return err
	})
	for _, op := range batch {
		if d := op.delivery; err == nil && d.twin != nil {
			d.found = d.twin.found
		}
	}
	return err
}

func (t *txn) prefetchAccounts(x *pgTx, accounts, roles, boxes []int64) {
	x.later(accountQuery+` WHERE m.account_id = ANY(?) ORDER BY m.account_id FOR UPDATE OF m`, []any{accounts}, func(r row) error {
		st := scanState(r)
		t.accounts[st.id] = st
		t.touch(st)
		return nil
	})
	x.later(`SELECT `+boxColumns+`, account_id FROM mailbox
		WHERE account_id = ANY(?) AND (id = ANY(?) OR role > 0 AND role = ANY(?)) ORDER BY account_id, id`,
		[]any{accounts, boxes, roles}, func(r row) error {
			b := scanBox(r)
			st := t.accounts[store.AccountID(r.int(boxWidth))]
			if st == nil {
				return nil // the account is being removed
			}
			st.boxes[b.ID] = b
			if b.Role != store.RoleNone && st.roles[b.Role] == nil {
				st.roles[b.Role] = b
			}
			return nil
		})
	x.later(`SELECT k.account_id, k.mailbox_id, k.name FROM keyword k JOIN mailbox m ON m.account_id = k.account_id AND m.id = k.mailbox_id
		WHERE m.account_id = ANY(?) AND (m.id = ANY(?) OR m.role > 0 AND m.role = ANY(?)) ORDER BY k.account_id, k.mailbox_id, k.position`,
		[]any{accounts, boxes, roles}, func(r row) error {
			if st := t.accounts[store.AccountID(r.int(0))]; st != nil {
				if b := st.boxes[store.MailboxID(r.int(1))]; b != nil {
					b.Keywords = append(b.Keywords, r.text(2))
				}
			}
			return nil
		})
}
