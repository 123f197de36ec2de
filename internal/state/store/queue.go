package store

import (
	"context"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
)

// QueueMessage is an envelope in the queue and, through Acceptance.Body, its
// content. Its ID is the accept key.
type QueueMessage struct {
	ID       ident.ID
	Sender   mail.Address // null for DSNs
	Account  AccountID    // who submitted it, 0 for nobody
	Client   string       // address it came from, for traces
	Head     []byte
	Meta     []byte
	Size     int64
	Accepted time.Time
	Expires  time.Time
	// RFC 3461 parameters as given: RET (FULL, HDRS or ""), ENVID decoded.
	Return, EnvelopeID string
	SMTPUTF8           bool
	EightBit           bool // BODY=8BITMIME
	Binary             bool // BODY=BINARYMIME
	RequireTLS         bool
	// Junk files the copies for mailboxes here in Junk, because of this; ""
	// does not. Sift leaves it to the filter of each account.
	Junk string
	Sift bool
	// Quarantine is why its recipients are Quarantined, "" when they are not. It
	// is gone once the message is released.
	Quarantine string
	Recipients []QueueRecipient
}

// Notify is the NOTIFY parameter of RFC 3461 §4.1; zero means not given.
type Notify uint8

// The values of NOTIFY.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// QueueState is where a recipient stands.
type QueueState uint8

// The states of a recipient. Finished ones are removed.
const (
	Queued QueueState = iota
	Held
	// Quarantined recipients wait for somebody's judgement. Only who asks for
	// this state finds them: what is done to the queue leaves them alone.
	Quarantined
)

// String returns the word administrators read.
func (s QueueState) String() string {
	switch s {
	case Held:
		return "held"
	case Quarantined:
		return "quarantined"
	}
	return "queued"
}

// QueueRecipient is one forward-path of a queued message.
type QueueRecipient struct {
	ID       int64 // set by the store
	Address  mail.Address
	Original string // ORCPT as given, decoded: "rfc822;bob@example.test"
	Notify   Notify
	// Local is the account to file into; 0 for a recipient elsewhere.
	Local     AccountID
	State     QueueState
	NextTry   time.Time // not before (FUTURERELEASE: the release time)
	Attempts  int
	LastError string
	// LastTry is when the last attempt ended, LastHost who answered in it and
	// Route the key of the destination it went to (M-DEL-04).
	LastTry         time.Time
	LastHost, Route string
	// Notified: the sender was told of the delay, which happens once.
	Notified bool
	// Asked: an administrator wants it tried now, whatever is known of its
	// destination (M-REL-06). The next attempt takes it back.
	Asked bool
	// Claimed names who has claimed it now, as given to Claim; "" nobody.
	Claimed string
}

// QueueEntry is a queued message with those of its recipients that matched.
type QueueEntry struct {
	QueueMessage
	Due time.Time // earliest next try
}

// QueueFilter selects entries; zero fields match everything but quarantine.
type QueueFilter struct {
	ID        ident.ID
	Sender    string // address key or domain
	Recipient string // address key or domain
	// Destination is the way a recipient last went, in any case of letters: the
	// Route, with or without " (rule)" at its end, a relay host in it with or
	// without its port, or the LastHost, by name, address in brackets or both.
	Destination string
	// State is the one that recipients are in; nil: Queued or Held.
	State *QueueState
	After ident.ID // for paging: entries after this id
	Limit int      // 0: 100; at most 1000
}

// Selects reports whether the filter leaves anything out; what acts on entries
// refuses one that does not.
func (f *QueueFilter) Selects() bool {
	return !f.ID.IsZero() || f.Sender != "" || f.Recipient != "" || f.Destination != "" || f.State != nil
}

// QueueDepth is how many recipients of a kind wait in a state.
type QueueDepth struct {
	Local      bool
	State      QueueState
	Recipients int64
}

// Claim is a lease on recipients of one message that are due.
type Claim struct {
	Message QueueMessage // Recipients: those claimed
	Fence   int64        // changes with every claim; Finish with an old one fails
	Until   time.Time
	// BodyOpener opens the whole message: Message.Head, then what was accepted.
	BodyOpener func(ctx context.Context) (Body, error)
}

// Outcome is what became of one claimed recipient.
type Outcome struct {
	Recipient int64
	// Done removes the row. Otherwise what follows is stored.
	Done bool
	// Untried: nothing was attempted. Only NextTry, State and, if not "",
	// Route are stored, and it does not count as an attempt.
	Untried     bool
	State       QueueState
	NextTry     time.Time
	LastError   string
	Host, Route string
	// Notified marks the recipient as told of; what was marked stays so.
	Notified bool
	// File, when not nil, files the message for the recipient's local account
	// in the same transaction that marks it done.
	File *Filing
}

// Queue is the durable queue. Order of rows is by due time.
//
// Times handed out keep their distance from the present even when the wall
// clock jumps (reliability.md hostile row 48): a row ages by the monotonic
// clock while a node runs, and over a restart by the wall clock, at least 0
// and at most 24 hours. Compare them with time.Now at once.
type Queue interface {
	List(ctx context.Context, f QueueFilter) ([]QueueEntry, error)
	Get(ctx context.Context, id ident.ID) (QueueEntry, error)
	// Count leaves quarantine out.
	Count(ctx context.Context) (messages, recipients int64, err error)
	// Quarantine counts what is there.
	Quarantine(ctx context.Context) (messages, octets int64, err error)
	// Hold, Release, Retry (due now) and Remove act on the recipients that
	// match and return how many; ErrNotFound when none does, ErrInvalid for a
	// filter that matches everything. After and Limit count as in List, but
	// Limit 0 is no bound. Large numbers are done in several transactions:
	// with an error, what is returned as done stays done.
	//
	// To release those of the state Quarantined ends the message's quarantine:
	// all its time in the queue begins anew, and no filter is asked any more.
	// Besides Release, only Remove does anything to them.
	Hold(ctx context.Context, f QueueFilter) (int, error)
	Release(ctx context.Context, f QueueFilter) (int, error)
	Retry(ctx context.Context, f QueueFilter) (int, error)
	Remove(ctx context.Context, f QueueFilter) (int, error)
	// Redirect gives them a new address; ErrConflict when all of them are
	// being tried at the moment.
	Redirect(ctx context.Context, f QueueFilter, to mail.Address) (int, error)
	// Depth counts the recipients by kind and state. It reads the whole queue:
	// ask seldom.
	Depth(ctx context.Context) ([]QueueDepth, error)
	OpenBody(ctx context.Context, id ident.ID) (Body, error)
	// Claim leases up to limit messages with due recipients to owner. Claims
	// whose lease ran out are due again. local selects recipients with a
	// local account, otherwise those elsewhere.
	Claim(ctx context.Context, owner string, local bool, limit int, lease time.Duration) ([]Claim, error)
	// Finish stores the outcomes, all or none; ErrConflict when the claim was
	// lost for one of them. notice, if not nil, is accepted in the same
	// transaction: it has queue rows only, so that nothing of its own can fail
	// it, and is there if and only if the outcomes are stored. After
	// ErrUnknownOutcome the same call finds out: ErrConflict then says that it
	// had happened.
	Finish(ctx context.Context, c Claim, outcomes []Outcome, notice *Acceptance) error
	// Extend prolongs the lease of what is left of a claim, from now on;
	// ErrConflict when nothing is, or another has it. A lease that ran out can
	// be prolonged as long as nobody else claimed.
	Extend(ctx context.Context, c Claim, lease time.Duration) (until time.Time, err error)
	// Abandon makes everything leased to the owner due again, as before its
	// claims, and returns how many recipients; an old claim can no longer be
	// finished. A process calls it when it starts and when it stops, under a
	// name that only one process has at a time.
	Abandon(ctx context.Context, owner string) (int, error)
	// NextDue returns when the next recipient of the kind is due; false if none.
	NextDue(ctx context.Context, local bool) (time.Time, bool, error)
	// Wake returns the channel that gets a value when rows of the kind were
	// added or became due by hand. Each kind has one, for one listener.
	Wake(local bool) <-chan struct{}
}
