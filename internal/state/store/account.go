package store

import (
	"context"
	"time"
)

// Account is the mail of one account. Every statement behind it carries the
// account's id, so that no caller can reach another's (reliability.md row 36).
type Account interface {
	ID() AccountID
	// Mailboxes lists all, sorted by name, with counts.
	Mailboxes(ctx context.Context) ([]Mailbox, error)
	// Mailbox returns one; ErrNotFound.
	Mailbox(ctx context.Context, id MailboxID) (Mailbox, error)
	// FindMailbox returns one by name ("INBOX" in any case).
	FindMailbox(ctx context.Context, name string) (Mailbox, error)
	// CreateMailbox makes it and its missing parents; ErrExists, ErrLimit. A
	// role moves here from the mailbox that had it, but for INBOX's
	// (ErrInvalid). The UIDVALIDITY is one that no mailbox of any account ever
	// had: addresses go from account to account.
	CreateMailbox(ctx context.Context, name string, role Role) (Mailbox, error)
	// RenameMailbox renames with all children. INBOX: its messages move to the
	// new mailbox, INBOX stays (RFC 3501 §6.3.5).
	RenameMailbox(ctx context.Context, id MailboxID, name string) error
	// DeleteMailbox removes the mailbox and its messages; children stay.
	// ErrInvalid for INBOX.
	DeleteMailbox(ctx context.Context, id MailboxID) error
	// SetSubscribed keeps the subscription even if no such mailbox exists
	// (RFC 3501 §6.3.6); Subscriptions lists the names.
	SetSubscribed(ctx context.Context, name string, on bool) error
	Subscriptions(ctx context.Context) ([]string, error)

	// Index reads all entries in UID order, and the cursor to go on from.
	Index(ctx context.Context, mailbox MailboxID) (Index, error)
	// ChangesSince reads what happened after the cursor, in one consistent
	// view. If the log no longer reaches back, Complete is false and the
	// caller reads the Index again.
	ChangesSince(ctx context.Context, mailbox MailboxID, c Cursor) (Changes, error)
	// ExpungedSince lists UIDs expunged after a modseq (QRESYNC VANISHED).
	ExpungedSince(ctx context.Context, mailbox MailboxID, since ModSeq) (uids []UIDRange, complete bool, err error)
	// TakeRecent returns the first UID that no read-write session was told of
	// as \Recent, and marks all up to now as told (need not be durable).
	TakeRecent(ctx context.Context, mailbox MailboxID) (UID, error)

	// Append files drafts in one commit, all or nothing (MULTIAPPEND).
	Append(ctx context.Context, mailbox MailboxID, items []AppendItem) ([]Filed, error)
	// SetFlags changes flags of many messages in one commit.
	SetFlags(ctx context.Context, mailbox MailboxID, u FlagUpdate) (FlagResult, error)
	// Copy and Move keep flags, dates and keywords; the whole set or nothing.
	Copy(ctx context.Context, from MailboxID, uids []UIDRange, to MailboxID) (CopyResult, error)
	Move(ctx context.Context, from MailboxID, uids []UIDRange, to MailboxID) (CopyResult, error)
	// Retire moves messages to the mailbox for trash, which is made if the
	// account has lost it, and marks them with KeywordRetired: Store.Purge
	// removes them after until, unless they have left the mailbox or lost the
	// keyword by then. Without room for the keyword they are moved unmarked.
	// Times are remembered per until, so round it.
	Retire(ctx context.Context, from MailboxID, uids []UIDRange, until time.Time) (CopyResult, error)
	// Expunge removes the messages with these UIDs; with onlyDeleted only
	// those that carry \Deleted. It returns what went, in order.
	Expunge(ctx context.Context, mailbox MailboxID, uids []UIDRange, onlyDeleted bool) ([]UID, ModSeq, error)

	// SaveDates returns in UID order when the messages came into the mailbox
	// (RFC 8514).
	SaveDates(ctx context.Context, mailbox MailboxID, uids []UIDRange) ([]SaveDate, error)

	// Metas calls fn for each message in the order asked, with its meta
	// (valid during the call). Missing messages are left out.
	Metas(ctx context.Context, ids []MessageID, fn func(MessageID, []byte) error) error
	// MetasIn calls fn with the meta (valid during the call) of each message of
	// a mailbox in a range of UIDs, in UID order, as they were at some time
	// during the call.
	MetasIn(ctx context.Context, mailbox MailboxID, span UIDRange, fn func(UID, MessageID, []byte) error) error
	// OpenBody opens head and body of a message as one.
	OpenBody(ctx context.Context, id MessageID) (Body, error)
	// OpenBodies opens several messages at once, in the order asked; one that is
	// gone is nil. Those of up to SmallBody octets are in memory then and stay
	// as they are, so ask for few. Each is closed by the caller; on error none
	// is open.
	OpenBodies(ctx context.Context, ids []MessageID) ([]Body, error)
	// Uneven lists the messages of the account, in ascending order of their
	// ids, some of whose lines end in other than CRLF; mostly there are none.
	Uneven(ctx context.Context) ([]Uneven, error)
	// Usage returns what counts for the quota.
	Usage(ctx context.Context) (Usage, error)
}

// SmallBody is up to how many octets OpenBodies reads a message at once.
const SmallBody = 16 << 10

// Role is the special use of a mailbox (RFC 6154).
type Role uint8

// The roles. Every account has one mailbox for each but None.
const (
	RoleNone Role = iota
	RoleInbox
	RoleDrafts
	RoleSent
	RoleJunk
	RoleTrash
	RoleArchive
)

// Attribute returns the LIST attribute such as \Drafts; "" for none and inbox.
func (r Role) Attribute() string {
	if r <= RoleInbox || int(r) >= len(roles) {
		return ""
	}
	return `\` + roles[r]
}

// Name returns the name a new account's mailbox of the role gets.
func (r Role) Name() string {
	if int(r) >= len(roles) {
		return ""
	}
	return roles[r]
}

var roles = [...]string{"", "INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"}

// Mailbox is one mailbox and its counts.
type Mailbox struct {
	ID            MailboxID
	Name          string // UTF-8 (NFC), levels divided by "/"
	Role          Role
	UIDValidity   uint32
	UIDNext       UID
	HighestModSeq ModSeq
	Messages      int
	Unseen        int
	Deleted       int
	Size          int64
	Subscribed    bool
	// Keywords are the names behind the flag bits from FirstKeyword on.
	Keywords []string
}

// Flags are the flags of a message in one mailbox: the system flags of
// RFC 3501 §2.3.2 and, from FirstKeyword on, the mailbox's keywords.
type Flags uint64

// System flags. \Recent is not stored (see TakeRecent).
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft
)

// FirstKeyword is the bit of a mailbox's first keyword; the bits below are
// system flags. MaxKeywords is how many a mailbox can have.
const (
	FirstKeyword = 8
	MaxKeywords  = 64 - FirstKeyword
	SystemFlags  = FlagSeen | FlagAnswered | FlagFlagged | FlagDeleted | FlagDraft
)

// KeywordRetired marks what Retire put into the mailbox for trash. Who takes
// it off a message keeps the message.
const KeywordRetired = "$POP3Deleted"

// Entry is one message of a mailbox as the index knows it.
type Entry struct {
	UID      UID
	ModSeq   ModSeq
	Flags    Flags
	Size     int64
	Internal int64 // INTERNALDATE, UTC microseconds
	Message  MessageID
}

// Uneven is a message that grows by More octets once every line of it ends in
// CRLF: one for a CR or an LF without the other, two for a last line without
// an end.
type Uneven struct {
	Message MessageID
	More    int64
}

// SaveDate is when a message came into its mailbox.
type SaveDate struct {
	UID   UID
	Saved time.Time
}

// Cursor is a point in a mailbox's stream of changes.
type Cursor struct {
	UIDNext UID
	ModSeq  ModSeq
}

// Index is a consistent reading of a whole mailbox.
type Index struct {
	Mailbox Mailbox
	Entries []Entry
	Cursor  Cursor
}

// Changes is what happened in a mailbox between two cursors.
type Changes struct {
	Complete bool
	Arrived  []Entry // UID order
	Changed  []Entry // flags changed, known before the cursor
	Expunged []UID
	Keywords []string
	Gone     bool // the mailbox was deleted
	Cursor   Cursor
}

// UIDRange is First..Last, both included.
type UIDRange struct{ First, Last UID }

// AppendItem is one message to append.
type AppendItem struct {
	Body     Draft
	Flags    Flags
	Keywords []string
	Meta     []byte
	Internal time.Time
}

// FlagOp says what SetFlags does with the flags given.
type FlagOp uint8

// The three forms of STORE.
const (
	FlagsReplace FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// FlagUpdate changes the flags of the messages in UIDs.
type FlagUpdate struct {
	UIDs     []UIDRange
	Op       FlagOp
	Flags    Flags // system flags
	Keywords []string
	// UnchangedSince skips messages with a greater modseq (RFC 7162 §3.1.3)
	// when HasUnchangedSince.
	UnchangedSince    ModSeq
	HasUnchangedSince bool
}

// FlagResult is what SetFlags did. Messages whose flags were so already keep
// their modseq and are in neither list.
type FlagResult struct {
	Changed  []Entry
	Modified []UID // skipped by UnchangedSince
	Keywords []string
	ModSeq   ModSeq
}

// CopyResult pairs old and new UIDs (COPYUID of RFC 4315).
type CopyResult struct {
	UIDValidity uint32
	From, To    []UID
	ModSeq      ModSeq
}

// Usage is what an account stores and may store; 0 limits mean none.
type Usage struct {
	Bytes, Messages           int64
	LimitBytes, LimitMessages int64
}
