package queue

import (
	"context"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// Job is recipients of one claimed message that go to one destination.
type Job struct {
	// Claim's Message.Recipients are those of the job only.
	Claim store.Claim
	// To is where they go; zero for mailboxes here.
	To route.Destination
	// Hurry: the delivery must not take long until the host has the content,
	// for it holds a place that is kept for others, or its sender is the null
	// one: where that goes strangers may choose.
	Hurry bool
}

// Action is what a notice reports about a recipient (RFC 3464 §2.3.3).
type Action uint8

// The actions.
const (
	ActionFailed Action = iota
	ActionDelayed
	ActionDelivered
	ActionRelayed
)

// Report is one recipient in a notice.
type Report struct {
	Recipient store.QueueRecipient
	Action    Action
	// Expired: it failed because its time was up.
	Expired bool
	// Host, Reply and Ours are those of the last attempt, as in Result.
	Host  string
	Reply reply.Reply
	Ours  bool
	// At is when the last attempt ended.
	At time.Time
}

// Notice is what a sender is to be told about a message: one message a claim,
// whatever its recipients' fates.
type Notice struct {
	Message store.QueueMessage
	Body    func(ctx context.Context) (store.Body, error)
	Reports []Report
}

// Notices writes notices; flow/bounce does.
type Notices interface {
	// Notice returns the message that tells the sender, or nil where nobody is
	// told: the null reverse-path, NOTIFY=NEVER. The queue commits it together
	// with the recipients it reports; its Body is the caller's to discard.
	Notice(ctx context.Context, n Notice) (*store.Acceptance, error)
}
