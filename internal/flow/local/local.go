// Package local delivers queued messages to mailboxes here: one filing a
// recipient, stored in the same transaction that takes the recipient off the
// queue, so that nothing is delivered twice (design.md 3).
//
// Messages for one account never come this way; flow/accept files them in the
// commit that accepts them.
package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/flow/trace"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// Accounts tells what stands in the way of a delivery.
type Accounts interface {
	GetAccount(ctx context.Context, id store.AccountID) (store.AccountRow, error)
}

// Usage reads an account's usage against its quota.
type Usage interface {
	Usage(ctx context.Context, id store.AccountID) (store.Usage, error)
}

// Deliverer files claimed messages. It implements queue.Deliverer.
type Deliverer struct {
	Accounts Accounts
	Usage    Usage
}

// Deliver implements queue.Deliverer.
func (d *Deliverer) Deliver(ctx context.Context, c store.Claim) []store.Outcome {
	outcomes := make([]store.Outcome, 0, len(c.Message.Recipients))
	filed := map[store.AccountID]bool{}
	for _, r := range c.Message.Recipients {
		o := store.Outcome{Recipient: r.ID}
		switch err := d.obstacle(ctx, c, r); {
		case err != nil:
			o.LastError = err.Error()
			o.NextTry = time.Now().Add(Backoff(r.Attempts))
		case filed[r.Local]:
			// Two addresses of one account: one copy.
			o.Done = true
		default:
			o.Done, filed[r.Local] = true, true
			o.File, err = filing(c, r)
			if err != nil {
				o = store.Outcome{Recipient: r.ID, LastError: err.Error(), NextTry: time.Now().Add(Backoff(r.Attempts))}
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes
}

// obstacle returns why the recipient cannot get the message now. The message
// stays queued: the account may be enabled, or its owner tidy up.
func (d *Deliverer) obstacle(ctx context.Context, c store.Claim, r store.QueueRecipient) error {
	a, err := d.Accounts.GetAccount(ctx, r.Local)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("the account was removed after the message was accepted")
	}
	if err != nil {
		return err
	}
	if a.Disabled {
		return fmt.Errorf("account %s is disabled", a.Addresses[0])
	}
	u, err := d.Usage.Usage(ctx, r.Local)
	if err != nil {
		return err
	}
	if u.LimitBytes > 0 && u.Bytes+c.Message.Size > u.LimitBytes || u.LimitMessages > 0 && u.Messages >= u.LimitMessages {
		return fmt.Errorf("mailbox of %s is full: %d of %d octets, %d messages", a.Addresses[0], u.Bytes, u.LimitBytes, u.Messages)
	}
	return nil
}

// filing puts the final trace fields before the queued head.
func filing(c store.Claim, r store.QueueRecipient) (*store.Filing, error) {
	head := trace.AppendFinal(nil, c.Message.Sender, r.Address)
	var s mime.Structure
	if err := s.UnmarshalBinary(c.Message.Meta); err != nil {
		return nil, fmt.Errorf("structure of message %s: %w", c.Message.ID, err)
	}
	s.Shift(int64(len(head)))
	meta, err := s.AppendBinary(nil)
	if err != nil {
		return nil, fmt.Errorf("structure of message %s: %w", c.Message.ID, err)
	}
	return &store.Filing{Role: store.RoleInbox, Head: append(head, c.Message.Head...), Meta: meta, Internal: c.Message.Accepted}, nil
}

// Backoff is the pause after an attempt that failed: a minute, doubling, at
// most an hour.
func Backoff(attempts int) time.Duration {
	return min(time.Minute<<min(max(attempts, 0), 6), time.Hour)
}
