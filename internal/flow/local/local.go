// Package local delivers queued messages to mailboxes here: one filing a
// recipient, stored in the same transaction that takes the recipient off the
// queue, so that nothing is delivered twice (design.md 3).
//
// Messages for one account never come this way; flow/accept files them in the
// commit that accepts them. Addresses here that send their mail on come to the
// Forwarder, which makes messages of their own for it.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"posthorn/internal/base/reply"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/trace"
	"posthorn/internal/policy"
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

// Filter asks the junk filter of the account that gets a copy.
type Filter interface {
	Copy(ctx context.Context, account store.AccountID, m *policy.Message) policy.Copy
}

// Deliverer files claimed messages. It implements queue.Deliverer.
type Deliverer struct {
	Accounts Accounts
	Usage    Usage
	// Filter may be nil: nothing is taken for junk then.
	Filter Filter
}

// Deliver implements queue.Deliverer.
func (d *Deliverer) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	results := make([]queue.Result, 0, len(j.Claim.Message.Recipients))
	filed := map[store.AccountID]bool{}
	for _, r := range j.Claim.Message.Recipients {
		res := d.deliver(ctx, j.Claim, r, filed)
		res.Recipient = r.ID
		results = append(results, res)
	}
	return results, nil
}

// deliver files for one recipient. Two addresses of one account get one copy.
func (d *Deliverer) deliver(ctx context.Context, c store.Claim, r store.QueueRecipient, filed map[store.AccountID]bool) queue.Result {
	res, err := store.OverOutage(ctx, func() (queue.Result, error) {
		res, err := d.obstacle(ctx, c, r)
		if err == nil && res.Fate == queue.Delivered && !filed[r.Local] {
			res.File, res.Why, err = d.filing(ctx, c, r)
		}
		return res, err
	})
	if err != nil {
		return queue.Result{Fate: queue.Deferred, Reply: reply.New(451, reply.E(4, 3, 0), "Temporary problem: "+err.Error()).Because(err)}
	}
	filed[r.Local] = filed[r.Local] || res.Fate == queue.Delivered
	return res
}

// obstacle says what stands in the way of the recipient, and Delivered when
// nothing does. A message for a full or disabled account waits: it may be
// enabled, or its owner tidy up.
func (d *Deliverer) obstacle(ctx context.Context, c store.Claim, r store.QueueRecipient) (queue.Result, error) {
	a, err := d.Accounts.GetAccount(ctx, r.Local)
	if errors.Is(err, store.ErrNotFound) {
		return queue.Result{Fate: queue.Failed, Reply: reply.Newf(550, reply.E(5, 1, 1), "Account of %s was removed after the message was accepted", r.Address)}, nil
	}
	if err != nil {
		return queue.Result{}, err
	}
	if a.Disabled {
		return queue.Result{Fate: queue.Deferred, Reply: reply.Newf(450, reply.E(4, 2, 1), "Account %s is disabled", a.Addresses[0])}, nil
	}
	u, err := d.Usage.Usage(ctx, r.Local)
	if err != nil {
		return queue.Result{}, err
	}
	if u.LimitBytes > 0 && u.Bytes+c.Message.Size > u.LimitBytes || u.LimitMessages > 0 && u.Messages >= u.LimitMessages {
		return queue.Result{Fate: queue.Deferred, Reply: reply.Newf(452, reply.E(4, 2, 2), "Mailbox of %s is full: %d of %d octets, %d messages",
			a.Addresses[0], u.Bytes, u.LimitBytes, u.Messages)}, nil
	}
	return queue.Result{Fate: queue.Delivered, Reply: reply.New(250, reply.E(2, 1, 5), "Filed")}, nil
}

// filing puts the final trace fields, and what the filter says, before the
// queued head. why is the reason for its place, if there is one.
func (d *Deliverer) filing(ctx context.Context, c store.Claim, r store.QueueRecipient) (f *store.Filing, why string, err error) {
	head := trace.AppendFinal(nil, c.Message.Sender, r.Address)
	var s mime.Structure
	if err := s.UnmarshalBinary(c.Message.Meta); err != nil {
		return nil, "", fmt.Errorf("structure of message %s: %w", c.Message.ID, err)
	}
	sifted, err := d.sift(ctx, c, r.Local, &s)
	if err != nil {
		return nil, "", err
	}
	head = append(head, sifted.Field...)
	s.Shift(int64(len(head)))
	meta, err := s.AppendBinary(nil)
	if err != nil {
		return nil, "", fmt.Errorf("structure of message %s: %w", c.Message.ID, err)
	}
	f = &store.Filing{Role: store.RoleInbox, Head: append(head, c.Message.Head...), Meta: meta, Internal: c.Message.Accepted}
	if c.Message.Junk != "" || sifted.Junk {
		f.Role = store.RoleJunk
	}
	return f, cmp.Or(c.Message.Junk, sifted.Why), nil
}

// sift asks the account's filter, if the rules want it. What cannot be read is
// not judged, as a filter must not hold mail up; a store that is away is waited
// for, as the filing needs it, too.
func (d *Deliverer) sift(ctx context.Context, c store.Claim, account store.AccountID, s *mime.Structure) (policy.Copy, error) {
	if d.Filter == nil || !c.Message.Sift {
		return policy.Copy{}, nil
	}
	body, err := c.BodyOpener(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		return policy.Copy{}, err
	}
	if err != nil {
		return policy.Copy{}, nil
	}
	defer func() { _ = body.Close() }() // read only
	return d.Filter.Copy(ctx, account, &policy.Message{Structure: s, Body: body, Size: body.Size()}), nil
}
