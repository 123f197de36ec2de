package policy

import (
	"context"
	"net/netip"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Sources answer what a session cannot know by itself. A source that is nil
// knows nothing: its answers are the zero values. Sessions hand in those that
// count as they answer, Try those that only look, Replay those that read a
// record. Checks ask them through the methods of Facts, which remember answers
// and put them into the record.
type Sources struct {
	// Usage answers how full an account is, Senders who owns an address.
	Usage   UsageReader
	Senders SenderOwner
	// Names asks DNS about clients, names and lists.
	Names Names
	// Authenticity asks who a message really comes from.
	Authenticity Authenticity
	// Access knows the allow and block lists, Bans who is not let in.
	Access Access
	Bans   Bans
	// Greylist and Rates remember clients across sessions.
	Greylist Greylist
	Rates    Rates
	// Regulars knows the hosts that deliver here often.
	Regulars Regulars
	// Scanners look into the content.
	Scanners Scanners
	// Filter knows what accounts call junk.
	Filter JunkFilter
}

// Regulars remembers hosts whose mail was accepted.
type Regulars interface {
	// WellKnown reports that mail of the host was accepted within 30 days.
	WellKnown(client netip.Addr) bool
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

// Names asks DNS; *evidence.Names does. Answers never carry an error: what
// could not be found out now is told apart from what is not there.
type Names interface {
	// Reverse looks up the client's name and whether it leads back.
	Reverse(ctx context.Context, client netip.Addr) Reverse
	// Domain looks up whether a name can be reached by mail.
	Domain(ctx context.Context, name string) Existence
	// Listed asks one DNS list about the client. Answers come within the
	// look-up deadline; nobody is listed by a list that does not answer.
	Listed(ctx context.Context, zone string, client netip.Addr) Listing
}

// Bans says who is not let in; *ban.Book does.
type Bans interface {
	// Banned returns the ban that holds for the address.
	Banned(client netip.Addr, now time.Time) (store.BanRow, bool)
}

// Greylist remembers who tried to deliver (B1G-GREY).
type Greylist interface {
	// Attempt notes an attempt by the row's key and says how long the client
	// must still wait, 0 when it passes.
	Attempt(ctx context.Context, a store.GreylistRow, now time.Time, r store.GreylistRules) (row store.GreylistRow, wait time.Duration, err error)
}

// Rate names what Rates counts.
type Rate uint8

// The rates.
const (
	RateConnections Rate = iota // M-SEC-CON-04
	RateMessages                // M-SEC-CON-03
	rates
)

var rateNames = [rates]string{"connections", "messages"}

// String returns the word of traces.
func (r Rate) String() string { return rateNames[r] }

// Rates counts what client hosts do (base/limit.Windows).
type Rates interface {
	// Count counts one more event of a client host in the running window of
	// length per, and says whether that is more than most: those are not
	// counted, so that the host is free again when the window ends.
	Count(r Rate, client netip.Addr, now time.Time, most int, per time.Duration) Pace
	// Look is Count without counting: what is reached is Over.
	Look(r Rate, client netip.Addr, now time.Time, most int, per time.Duration) Pace
}
