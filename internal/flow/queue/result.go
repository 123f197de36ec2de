package queue

import (
	"errors"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/state/store"
)

// Fate is what an attempt made of a recipient.
type Fate uint8

// The fates of an attempt.
const (
	// Untried: nothing was attempted for the recipient; it does not count.
	Untried Fate = iota
	// Delivered: the next host or the mailbox has it.
	Delivered
	// Deferred: it did not work now and is tried again.
	Deferred
	// Failed: it will never work.
	Failed
)

// Result is what became of one recipient in an attempt.
type Result struct {
	Recipient int64 // store.QueueRecipient.ID
	Fate      Fate
	// Host is who answered, "mx1.far.test [192.0.2.7]"; "" when nobody did.
	Host string
	// Reply is the host's answer, or ours about why nobody could be asked.
	// Its Enhanced code goes into notices (RFC 3464 §2.3.4); a deliverer fills
	// one in where the host gave none.
	Reply reply.Reply
	// Ours: Reply is our words about Host, which said nothing, or cannot take
	// the message.
	Ours bool
	// Aware says that the next host took over NOTIFY (RFC 3461 §5.2.2):
	// success is then reported from there and not from here.
	Aware bool
	// Wait is how long to wait at least before the next attempt; zero leaves
	// it to the schedule.
	Wait time.Duration
	// File files the message in the transaction that ends the recipient. Why is
	// the reason for its place, which senders are not told.
	File *store.Filing
	Why  string
	// As is the message that was made of this one to send it on to Onward, zero
	// for none.
	As     ident.ID
	Onward []mail.Address
}

// Outage is an error about a whole destination: no host of it could be
// reached, so other messages need not try now.
type Outage struct{ Reply reply.Reply }

// Error implements error.
func (o *Outage) Error() string { return "destination unreachable: " + o.Reply.String() }

// ErrLoops is the cause of a reply about a destination that is this server
// itself: mail would come back.
var ErrLoops = errors.New("the destination is this server itself")
