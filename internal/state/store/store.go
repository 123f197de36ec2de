// Package store is what the house remembers of mail, people and settings: the
// seam between the program and its database. One method is one transaction
// and speaks the domain; no SQL and no transaction handle leave the engines
// (state/store/sqlstore: SQLite and PostgreSQL). state/store/storetest is the
// suite that every engine passes.
//
// What a caller may rely on: when a method that changes something returns nil,
// the change is durable. When it returns an error other than ErrUnknownOutcome,
// nothing changed, but after ErrReadOnly a restart may show that it did. A notification (Watch) is only a hint that rows are there.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"posthorn/internal/base/ident"
)

// Identifiers of rows. An engine never uses one again.
type (
	// AccountID names an account; every key of account data starts with it.
	AccountID int64
	// MailboxID names a mailbox of one account; it survives renaming
	// (MAILBOXID of RFC 8474).
	MailboxID int64
	// MessageID names a stored message of one account: its octets and its
	// structure. Copies in several mailboxes share it (EMAILID of RFC 8474).
	MessageID int64
	// UID is the IMAP unique identifier (RFC 3501 §2.3.1.1).
	UID uint32
	// ModSeq is a step of the account's change sequence; it serves as the
	// modification sequence of RFC 7162.
	ModSeq uint64
)

// Errors that callers tell apart. Engines wrap them.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("exists already")
	ErrOverQuota = errors.New("over quota")
	// ErrFull: the disk has no room; deleting still works.
	ErrFull = errors.New("no room on disk")
	// ErrReadOnly: a sync failed; nothing is accepted until an administrator has
	// looked (reliability.md row 7). The commit that was under way counts as not
	// done, and may yet be there after a restart.
	ErrReadOnly = errors.New("store is read-only after an input/output error")
	// ErrUnavailable: the database does not answer; trying later may help.
	ErrUnavailable = errors.New("store unavailable")
	// ErrUnknownOutcome: the commit may or may not have happened. Repeating
	// the same call with the same key finds out (design.md 3).
	ErrUnknownOutcome = errors.New("outcome of the commit is unknown")
	// ErrLimit: a documented bound is reached, such as keywords in a mailbox.
	ErrLimit = errors.New("limit reached")
	// ErrConflict: the row changed since it was read (version mismatch).
	ErrConflict = errors.New("changed by somebody else meanwhile")
	// ErrInvalid: the request contradicts itself or the rules; the text names the field.
	ErrInvalid = errors.New("invalid")
	// ErrLastAdministrator is an ErrInvalid: without the account nobody could
	// administer the server any more.
	ErrLastAdministrator = fmt.Errorf("%w: it is the last administrator; make another account one first", ErrInvalid)
)

// Store is one open database. All methods may be called by many goroutines.
type Store interface {
	// NewDraft opens a place for a message that is arriving. size is the
	// announced size in octets or 0.
	NewDraft(ctx context.Context, size int64) (Draft, error)
	// Accept makes everything a message causes durable in one commit
	// (design.md 3). Repeating a call with the same Key is harmless: for a week
	// after the Key's time, and as long as a message is queued whose ID begins
	// with the same eight octets. What has not begun when ctx ends never
	// happens; a commit that has begun is waited for.
	Accept(ctx context.Context, a *Acceptance) (Accepted, error)
	// Account returns the handle through which one account's mail is reached.
	// It does no I/O; an unknown id shows as ErrNotFound in the methods.
	Account(id AccountID) Account
	Directory() Directory
	Settings() Settings
	Tokens() Tokens
	Queue() Queue
	Access() Access
	Greylist() Greylist
	Bans() Bans
	Regulars() Regulars
	Reports() Reports
	// Purge removes for good some of the messages whose time Account.Retire
	// set has come, in one commit, and reports whether there may be more. The
	// time is that of the queue: it outlasts jumps of the clock.
	Purge(ctx context.Context) (removed int, more bool, err error)
	// Watch wakes whenever the account may have changed.
	Watch(id AccountID) *Watch
	// Room reports free octets where bodies and database live, and whether the
	// store has turned read-only.
	Room(ctx context.Context) (Room, error)
	// KeyMark returns the mark of the key file that the stored secrets are
	// sealed with (seal.Box.Mark); 0 where none was set.
	KeyMark(ctx context.Context) (int64, error)
	// SetKeyMark keeps the mark. Without replace one that is there stays.
	SetKeyMark(ctx context.Context, mark int64, replace bool) error
	// Stats returns counters since opening, for metrics and benchmarks.
	Stats() Stats
	Close() error
}

// Draft is the content of a message on its way in. It keeps a bounded part in
// memory and the rest where bodies live, so that a message of any size costs
// the same. It belongs to one goroutine.
type Draft interface {
	io.Writer
	// Size is the number of octets written.
	Size() int64
	// Open reads what was written, for scanners; no Write may follow.
	Open() (Body, error)
	// Discard gives the space back unless Accept or Append took the draft; it
	// may be called always and more than once.
	Discard()
}

// Body is the content of a stored message. Reads cost no open transaction.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Acceptance is everything one message causes.
type Acceptance struct {
	Key  ident.ID
	Time time.Time
	// Body is the content as received; each use puts its own Head before it.
	Body Draft
	// Account gets the filings; zero when there are none. Local recipients of
	// further accounts go through the queue.
	Account AccountID
	Filings []Filing
	// Queue is nil when no recipient is left.
	Queue *QueueMessage
}

// Filing puts the message into one mailbox.
type Filing struct {
	// Mailbox is the target; when zero, the mailbox with Role.
	Mailbox  MailboxID
	Role     Role
	Flags    Flags
	Keywords []string
	// Head is put before the body (Return-Path, Delivered-To, Received): whole
	// lines that end in CRLF.
	Head []byte
	// Meta is the structure of Head and body together (wire/mime), opaque here.
	Meta []byte
	// Internal is the INTERNALDATE.
	Internal time.Time
}

// Accepted is the outcome of Accept and Append.
type Accepted struct {
	Filed []Filed
	// Repeated: an earlier call with the same key had succeeded already.
	Repeated bool
}

// Filed says where a filing went.
type Filed struct {
	Mailbox     MailboxID
	UIDValidity uint32
	UID         UID
	ModSeq      ModSeq
	Message     MessageID
}

// Room is what is left to write.
type Room struct {
	Free     int64 // octets free for everybody
	Total    int64
	ReadOnly error // not nil: the failure that made the store read-only
}

// Stats counts the engine's work since it was opened.
type Stats struct {
	Commits   int64 // transactions made durable
	Writes    int64 // operations in them
	Syncs     int64 // fsync or fdatasync calls issued by the store, -1 unknown
	BodyBytes int64 // octets written to bodies
	LastBatch int
	MaxBatch  int
	// CommitSizes are the operations in a commit, CommitTimes the seconds it took.
	CommitSizes, CommitTimes Histogram
}

// Histogram counts observations by size. Bounds are upper bounds, rising;
// Counts has one more, for what is above them.
type Histogram struct {
	Bounds []float64
	Counts []int64
	Sum    float64
}
