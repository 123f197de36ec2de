// Package record remembers every attempt to deliver a message, accepted or
// refused, from its first octet: who connected, what was said, what each check
// looked at and decided, and what became of the message later. Traces,
// statistics and rehearsals are views of it (design.md 5).
//
// Nothing depends on it. Sessions hand records in and never wait; what comes
// faster than it can be kept is dropped, oldest first, and counted; a damaged
// file is set aside and a new one begun. Losing it loses no mail and changes
// no decision.
//
// Records are packed, because there are many and they repeat themselves:
//
//	session ── Trace ──► queue in memory ──► open segment ──► records.db
//	                     (bounded, octets)    (≤ 64 KB raw)     segment: first, last, filter, compressed records
//
// A segment is one row. Its filter answers "is there anything here about this
// address, client or id?" so that a search reads few of them. The package
// knows no policy and no store; what it keeps are words.
package record

import (
	"net/netip"
	"time"

	"posthorn/internal/base/ident"
)

// Outcome is how an attempt ended for the client.
type Outcome uint8

// The outcomes.
const (
	// Aborted: the client went away, or began anew, before the end.
	Aborted Outcome = iota
	Accepted
	Discarded // answered like success, delivered to nobody
	Deferred  // refused for now
	Refused
)

var outcomeNames = [...]string{"aborted", "accepted", "discarded", "deferred", "refused"}

// String returns the word of searches and traces.
func (o Outcome) String() string {
	if int(o) >= len(outcomeNames) {
		return "unknown"
	}
	return outcomeNames[o]
}

// MarshalText implements encoding.TextMarshaler.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// ParseOutcome reads the word String writes.
func ParseOutcome(s string) (Outcome, bool) {
	for i, name := range outcomeNames {
		if name == s {
			return Outcome(i), true
		}
	}
	return 0, false
}

// Session is what one connection has in common for all its attempts.
type Session struct {
	ID       ident.ID   `json:"session"`
	Begin    time.Time  `json:"begin"`
	Listener string     `json:"listener"`
	Client   netip.Addr `json:"client"`
	Port     uint16     `json:"port"`
	// Kind and Trust are the words of package policy.
	Kind     string `json:"kind"`
	Trust    string `json:"trust,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	Helo     string `json:"helo,omitempty"`
	// TLS is the protocol version and cipher suite, "" for plain text.
	TLS string `json:"tls,omitempty"`
	// Login is the primary address of who logged in, Account its number.
	Login   string `json:"login,omitempty"`
	Account int64  `json:"account,omitempty"`
}

// Attempt is one attempt to deliver a message, or a session that was refused
// before it began one. Times are accurate to the microsecond.
type Attempt struct {
	// ID is the accept key; the session's id where no transaction began.
	ID ident.ID `json:"id"`
	Session
	// HasSender tells a null sender from none at all.
	HasSender  bool     `json:"has_sender"`
	Sender     string   `json:"sender"`
	Recipients []string `json:"recipients,omitempty"`
	// Size and Hops are those of the content, 0 when none arrived; Authors are
	// the addresses of its From field.
	Size    int64    `json:"size,omitempty"`
	Hops    int      `json:"hops,omitempty"`
	Authors []string `json:"authors,omitempty"`
	Outcome Outcome  `json:"outcome"`
	// Complete: the steps hold their facts; attempts recorded by versions before
	// facts do not. Lost is how many steps were left out of a session that talked
	// on and on.
	Complete bool `json:"complete"`
	Lost     int  `json:"steps_lost,omitempty"`
	// End is how long after Begin it was over.
	End   time.Duration `json:"end_ns"`
	Steps []Step        `json:"steps"`
}

// Verbs of steps that are no stage of a transaction.
const (
	Command = "command" // was refused before anybody was asked; Argument has it
	End     = "end"     // a last word of ours that answers no command
	Timeout = "timeout" // the client was silent
	Stopped = "stop"    // the server, or a login, ended
)

// Step is one thing the client did and what it led to.
type Step struct {
	// After is how long after Begin the reply was decided.
	After time.Duration `json:"after_ns"`
	// Verb is the command ("MAIL"), "connect", "content" or one of the constants; Argument what came
	// with it, never a password.
	Verb     string `json:"verb"`
	Argument string `json:"argument,omitempty"`
	// Reply is what the client was told, "" for nothing.
	Reply string `json:"reply,omitempty"`
	// Check decided, "" when none did; Reason is complete and for the operator.
	// Setting is what an administrator changes to get another decision.
	Check   string        `json:"check,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Setting string        `json:"setting,omitempty"`
	Delay   time.Duration `json:"delay_ns,omitempty"`
	Checks  []Check       `json:"checks,omitempty"`
	// Facts are what the rules could look at in this step besides what the
	// session, the argument and the inputs of checks say (package policy).
	Facts []Input `json:"facts,omitempty"`
}

// Fact returns the first fact of the name.
func (s *Step) Fact(name string) (value string, ok bool) {
	for i := range s.Facts {
		if s.Facts[i].Name == name {
			return s.Facts[i].Value, true
		}
	}
	return "", false
}

// Check is one check's part in a step.
type Check struct {
	Name string `json:"name"`
	// Setting is what an administrator changes to get another verdict.
	Setting string `json:"setting,omitempty"`
	Action  string `json:"action"`
	// Mode is "" for enforce.
	Mode    string        `json:"mode,omitempty"`
	Skipped string        `json:"skipped,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Cost    time.Duration `json:"cost_ns"`
	Inputs  []Input       `json:"inputs,omitempty"`
}

// Input is a value a check looked at.
type Input struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Event is something that happened to a message after it was accepted.
type Event struct {
	ID   ident.ID  `json:"id"`
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	// Recipient is whom it concerns, "" for all.
	Recipient string `json:"recipient,omitempty"`
	// Place is the mailbox, the remote host, or the address mail goes on to.
	Place string `json:"place,omitempty"`
	// Reply is what the remote host said, or the error in words.
	Reply string `json:"reply,omitempty"`
	// By is who did it, for what people do.
	By string `json:"by,omitempty"`
	// Account and Arrived name the stored copies it is about, 0 for none: the
	// INTERNALDATE in microseconds, which copying and moving keep. Events of copies
	// have no ID when they are handed in; they join the message whose Filed event
	// names the same.
	Account int64 `json:"account,omitempty"`
	Arrived int64 `json:"arrived_us,omitempty"`
	// Owner is the first address of the account, for readers; it is not kept.
	Owner string `json:"owner,omitempty"`
	// Other is the message as which a forwarded one goes on.
	Other ident.ID `json:"other,omitzero"`
	// Next is when the next attempt is due; zero for never.
	Next time.Time `json:"next,omitzero"`
}

// EventKind says what happened.
type EventKind uint8

// The events, in the order of a message's life; files know them by their numbers.
const (
	Filed EventKind = iota
	Queued
	Delivered // a remote host took it
	Delayed   // an attempt failed for now
	Failed    // an attempt failed for good
	Expired   // the queue lifetime ran out
	Bounced   // the sender was told
	Held
	Released
	Redirected
	Removed // an administrator took it out of the queue
	Replied // an automatic reply was sent
	Read
	Moved
	Deleted
	Forwarded // sent on to Place as the message Other; to nobody without it
)

var eventNames = [...]string{
	"filed", "queued", "delivered", "delayed", "failed", "expired", "bounced", "held", "released",
	"redirected", "removed", "replied", "read", "moved", "deleted", "forwarded",
}

// String returns the event's word in the JSON form.
func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		return "unknown"
	}
	return eventNames[k]
}

// MarshalText implements encoding.TextMarshaler.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
