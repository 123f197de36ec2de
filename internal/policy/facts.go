package policy

import (
	"context"
	"net/netip"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// Kind is the kind of a session (requirements.md 1.0).
type Kind uint8

// The session kinds. A port-25 session becomes Submission by AUTH.
const (
	MX Kind = iota
	Trusted
	Submission
)

var kindNames = [...]string{"mx", "trusted", "submission"}

// String returns the kind's name in settings and traces.
func (k Kind) String() string { return kindNames[k] }

// Facts is what is known about one attempt when a check is asked. Fields are
// filled as the session goes on; a check reads, it never writes.
type Facts struct {
	Time     time.Time
	Session  ident.ID
	Message  ident.ID // the accept key of the transaction, zero before MAIL
	Listener string   // "smtp", "submission", "submissions", "lmtp"
	Client   netip.Addr
	Port     uint16
	Kind     Kind
	TLS      bool
	// Hostname is the verified reverse name, "" unknown.
	Hostname string

	Helo  string
	ESMTP bool

	// Login is the account that authenticated, nil for nobody.
	Login *store.AccountRow

	// Sender is the reverse-path; null for <>.
	Sender mail.Address
	// DeclaredSize is the SIZE parameter, 0 when absent.
	DeclaredSize unit.Size
	Params       MailParams

	// Recipient and Resolution are the forward-path being judged.
	Recipient  mail.Address
	Resolution directory.Resolution
	// Accepted is the number of recipients accepted so far, Refused of those not.
	Accepted, Refused int
	// DroppedRecipients counts recipients refused for their number alone (M-GEN-09).
	OverLimit int

	// Content facts, at stage Content.
	Size        unit.Size
	Hops        int // Received fields
	DeliveredTo []string
	From        []mail.Address // author addresses of the From field
	BareCRLF    bool           // a bare CR or LF stood in the content

	// Usage answers how full an account is.
	Usage UsageReader
	// Senders answers who owns an address.
	Senders SenderOwner
	// Room is the free space of the store, looked up at MAIL.
	Room store.Room
}

// MailParams are the parameters of MAIL that policy looks at.
type MailParams struct {
	SMTPUTF8, RequireTLS bool
}

// UsageReader reads an account's usage against its quota.
type UsageReader interface {
	Usage(ctx context.Context, id store.AccountID) (store.Usage, error)
}

// SenderOwner answers questions of M-GEN-03.
type SenderOwner interface {
	// OwnsSender reports whether the account may send as the address.
	OwnsSender(ctx context.Context, account store.AccountID, addr mail.Address) (bool, error)
	// IsLocalSender reports whether some local account owns the address.
	IsLocalSender(ctx context.Context, addr mail.Address) (bool, error)
}
