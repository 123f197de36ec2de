// Package dsn writes and reads delivery status notifications: the message that
// tells a sender what became of theirs (RFC 3464, RFC 6522, RFC 6533).
//
//	multipart/report
//	├ text/plain               for the person who wrote: what happened, what to do
//	├ message/delivery-status  for programs: fields of the message and of each recipient
//	└ message/rfc822           the message, or text/rfc822-headers
//
// flow/bounce decides who is told what. Every value may come from a stranger:
// nothing that is given in can end a line, a field or a part (reliability.md
// row 31). The package knows no queue, no clock and no randomness.
package dsn

import (
	"io"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
)

// Action is what happened to a recipient (RFC 3464 §2.3.3).
type Action uint8

// The actions.
const (
	Failed Action = iota
	Delayed
	Delivered
	Relayed
	actions
)

var actionNames = [actions]string{"failed", "delayed", "delivered", "relayed"}

// String returns the word of the Action field.
func (a Action) String() string { return actionNames[min(a, actions-1)] }

// Notice is everything a notification says.
type Notice struct {
	// Host is the reporting MTA; the notice comes from its mailer-daemon.
	Host string
	// ID is the left side of the Message-ID.
	ID string
	// Boundary separates the parts. It must be unpredictable, so that no
	// returned message holds it: letters and digits, 16 to 60.
	Boundary string
	To       mail.Address
	// Date is now; its zone is the one times are shown in.
	Date time.Time
	// UTF8 writes the internationalised forms, for a message that will be sent
	// with SMTPUTF8. A To address outside ASCII needs it.
	UTF8 bool
	// Languages are those of the text for people, in order; see Languages.
	// Unknown ones are left out; without any it is English.
	Languages []string
	// EnvelopeID is ENVID, decoded; Queue the identifier in logs.
	EnvelopeID, Queue string
	// Arrived is when the message came in.
	Arrived    time.Time
	Recipients []Recipient
	Original   Original
}

// Recipient is what happened to one recipient.
type Recipient struct {
	// Original is ORCPT, decoded: "rfc822;bob@example.test", or "".
	Original string
	Address  mail.Address
	Action   Action
	// Expired: it failed because its time was up, and not by Reply alone.
	Expired bool
	// Host is who was asked, "mx1.far.test [192.0.2.7]", "" for nobody. Reply is
	// what it said or, without it or where Ours is set, our own reason.
	Host  string
	Reply reply.Reply
	Ours  bool
	// Last is when the last attempt ended, Until how long a delayed recipient
	// is tried; zero is not shown.
	Last, Until time.Time
}

// Original is the message the notice is about.
type Original struct {
	// MessageID and References are its identifiers, oldest first, with angle
	// brackets and separated by spaces; Subject is decoded.
	MessageID, References, Subject string
	// Content is the message, nil to return nothing of it; its first Header
	// octets are the header section.
	Content      io.ReaderAt
	Size, Header int64
	// Full returns all of it, if Content is well-formed text; else the header.
	Full bool
}

// Bounds of what is written.
const (
	maxHeader     = 64 << 10 // octets of a returned header section
	maxDiagnostic = 1000     // octets of a Diagnostic-Code
	maxReferences = 20       // message identifiers
	maxColumns    = 76       // of folded fields, where words allow
	maxWord       = 900      // octets; longer words are broken
)

// subjectAction is the one that the subject tells.
func (n *Notice) subjectAction() Action {
	most := Relayed
	for i := range n.Recipients {
		most = min(most, n.Recipients[i].Action)
	}
	return most
}
