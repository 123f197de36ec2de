// Package accept is the only door to mailboxes and queue for a message that
// comes in: it turns an envelope and its content into one acceptance, which
// the store makes durable in one commit (design.md 3).
//
//	smtpd ─► Accept ─┬─ one account here ─► filings  ┐
//	                 └─ everybody else  ─► queue rows ┴─► store.Accept, one commit
//
// Who may send what is policy's and has been decided before. IMAP APPEND does
// not come through here: nothing is received by it.
package accept

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/wait"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// Envelope is what the session said.
type Envelope struct {
	Key    ident.ID // the accept key
	Time   time.Time
	Sender mail.Address
	// Account is who submitted the message, 0 for nobody.
	Account store.AccountID
	Client  string // address it came from
	// Return and EnvelopeID are RET and ENVID (RFC 3461).
	Return, EnvelopeID string
	SMTPUTF8           bool
	EightBit, Binary   bool // BODY
	RequireTLS         bool
	// Release is when the message may go out at the earliest (RFC 4865); zero
	// for at once.
	Release time.Time
	// Queued sends everybody's copy through the queue; nothing is filed at
	// once, so that no mailbox can make the commit fail.
	Queued     bool
	Recipients []Recipient
}

// Recipient is one forward-path that was answered with 250, and where it leads.
type Recipient struct {
	Address mail.Address
	// Original is ORCPT, decoded; "" when absent.
	Original string
	Notify   store.Notify
	// Accounts get the message here.
	Accounts []store.AccountID
	// Remote are the addresses elsewhere that get it: the forward-path itself,
	// or where one of ours sends its mail on to.
	Remote []mail.Address
	// Copies are addresses elsewhere that get one nobody waits for: no report
	// is made if it fails (M-GEN-12).
	Copies []mail.Address
	// System says that it is one of the names of postmaster, all of which lead to
	// the same places (ORD-04).
	System bool
	// Onward says that the envelope is that of a forwarded message already:
	// Remote and Copies are sent to as they are. Otherwise, where they are not
	// the forward-path, that is queued, and flow/local makes the forwarded
	// message of it, with a reverse-path of ours and a mark against loops.
	Onward bool
}

// Content is what DATA or BDAT carried.
type Content struct {
	Body store.Draft
	// Structure is that of Body; Accept may add the fields it writes to it.
	Structure *mime.Structure
	// Trace is the Received field with its CRLF.
	Trace []byte
	// Complete adds Date and Message-ID where the author's program left them
	// out (RFC 6409 §8); Host is the right side of the Message-ID.
	Complete bool
	Host     string
	// Effects are what the rules made of it. Fields are in Trace already.
	Effects policy.Effects
}

// Store is the part of store.Store the door uses.
type Store interface {
	Accept(ctx context.Context, a *store.Acceptance) (store.Accepted, error)
}

// Options of a Door.
type Options struct {
	// Lifetime says how long a message of the sender may stay in the queue; nil
	// means 5 days.
	Lifetime func(sender mail.Address) time.Duration
	// BounceLifetime is Lifetime for the null reverse-path; nil means 2 days.
	BounceLifetime func() time.Duration
	// Quarantine says whether there is room for what belongs there; nil for always.
	Quarantine *Quarantine
	// Filed is told what was filed and queued, for traces; nil for nobody.
	Filed func(e *Envelope, c *Content, a *store.Acceptance, done store.Accepted)
}

// Door accepts messages. It may be used by many sessions at once.
type Door struct {
	store Store
	o     Options
}

// New returns a Door to a store.
func New(s Store, o Options) *Door {
	if o.Lifetime == nil {
		o.Lifetime = func(mail.Address) time.Duration { return 5 * 24 * time.Hour }
	}
	if o.BounceLifetime == nil {
		o.BounceLifetime = func() time.Duration { return 2 * 24 * time.Hour }
	}
	return &Door{store: s, o: o}
}

// Patience with a commit whose outcome is unknown: repeating it under the same
// key finds out, as soon as the database answers again. A restart or a fail-over
// ends well before. It ends earlier where ctx says that the client has waited
// long enough (RFC 5321 §4.5.3.2.6).
const (
	firstWait = 100 * time.Millisecond
	mostWait  = 5 * time.Second
	patience  = 3 * time.Minute
)

// Accept makes everything the message causes durable, or nothing, except after
// store.ErrUnknownOutcome, which comes only when minutes of asking or ctx have
// ended. Nothing begins after ctx has ended: whoever waits for an answer gives
// it a deadline. What has begun by then is waited for. ReplyTo turns its errors
// into replies.
func (d *Door) Accept(ctx context.Context, e *Envelope, c *Content) error {
	a, err := d.Plan(e, c)
	if err != nil {
		return err
	}
	if q := d.o.Quarantine; q != nil && a.Queue != nil && a.Queue.Quarantine != "" {
		done, err := q.take(ctx, a.Queue.Size)
		if err != nil {
			return fmt.Errorf("accept: %s: %w", e.Key, err)
		}
		defer done()
	}
	done, err := d.commit(ctx, a)
	if errors.Is(err, store.ErrOverQuota) && len(a.Filings) > 0 && a.Queue != nil {
		a = later(a, e, c)
		done, err = d.commit(ctx, a)
	}
	if err != nil {
		return failure(e, a, err)
	}
	if d.o.Filed != nil {
		d.o.Filed(e, c, a, done)
	}
	return nil
}

// commit gives the acceptance to the store. Once the outcome was unknown, a
// store that is not there is asked again too: refusing what it had made durable
// would double the message. When patience or ctx ends, the doubt is returned,
// and the client sends again: two copies are better than none.
func (d *Door) commit(ctx context.Context, a *store.Acceptance) (store.Accepted, error) {
	done, err := d.store.Accept(ctx, a)
	doubt := err
	if !errors.Is(doubt, store.ErrUnknownOutcome) {
		return done, err
	}
	end := time.Now().Add(patience)
	for pause := firstWait; unsettled(err); pause = min(2*pause, mostWait) {
		if time.Now().After(end) || !wait.For(ctx, pause) {
			return store.Accepted{}, fmt.Errorf("%w; asked again: %w", doubt, err)
		}
		done, err = d.store.Accept(ctx, a)
	}
	done.Repeated = false // what was found is this very commit
	return done, err
}

// unsettled reports an error that may come before the store has looked for the
// key: it does not say that an earlier commit did not happen.
func unsettled(err error) bool {
	for _, e := range []error{store.ErrUnknownOutcome, store.ErrUnavailable, store.ErrFull, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ReplyTo is the reply for an error of Accept or of writing a draft. No error
// of ours is a permanent refusal.
func ReplyTo(err error) reply.Reply {
	r := reply.New(451, reply.E(4, 3, 0), "Temporary problem, try again later")
	switch {
	case errors.Is(err, store.ErrOverQuota):
		r = reply.New(452, reply.E(4, 2, 2), "Mailbox full")
	case errors.Is(err, store.ErrFull), errors.Is(err, ErrQuarantineFull):
		r = reply.New(452, reply.E(4, 3, 1), "Insufficient system storage")
	}
	return r.Because(err)
}
