package store

import (
	"context"
	"time"
)

// GreylistRow is a client the greylist knows (B1G-GREY).
type GreylistRow struct {
	// Key is the client: an address, or a network in CIDR form.
	Key string
	// First is t0 of the table in requirements.md 1.11. Confirmed is zero while
	// no retry came in time.
	First, Confirmed time.Time
	// Last is the last attempt to deliver, Deferred how many were put off
	// and Passed how many went through.
	Last             time.Time
	Deferred, Passed int64
	// Sender, Recipient and Helo are those of the last attempt, for people: at
	// most 64 octets of each, none in a crowded greylist (GreylistRules.Most).
	Sender, Recipient, Helo string
}

// GreylistRules are the numbers of the greylist.
type GreylistRules struct {
	// Interval is how soon a retry may come, Wait how long one is awaited,
	// Expiry how long a confirmed entry lives: from the last accepted message
	// with Renew, else from t0 as FromFirst says, else from the confirmation.
	Interval, Wait, Expiry time.Duration
	Renew, FromFirst       bool
	// Most bounds the entries (0: no bound); beyond it the oldest unconfirmed go
	// first, then those not seen for longest. From a quarter of it on the texts
	// of attempts are not kept, so that a flood costs no more room than that.
	Most int
}

// GreylistFilter selects entries; zero fields match everything.
type GreylistFilter struct {
	// Search is a part of key, sender, recipient or helo, whatever the case of
	// ASCII letters.
	Search    string
	Confirmed *bool
	// Sort is "key" (default), "last" or "first"; the latter two newest first.
	Sort string
	// After is the Cursor of the last entry of the page before.
	After string
	Limit int // 0: 100; at most 1000
}

// GreylistPage is one page of entries; Next is "" at the end.
type GreylistPage struct {
	Rows []GreylistRow
	Next string
}

// Greylist keeps the greylist.
type Greylist interface {
	// Attempt notes a delivery attempt and says whether it passes, by the table
	// in requirements.md 1.11, in one transaction: of two nodes that see the
	// same retry one confirms it and both let it pass. wait is how long the
	// client must still wait, 0 when it passes, more than 0 when not. A time in
	// an entry that is ahead of now, from a clock set back, counts as now.
	Attempt(ctx context.Context, a GreylistRow, now time.Time, r GreylistRules) (row GreylistRow, wait time.Duration, err error)
	// Pass notes messages of confirmed clients that nobody asked Attempt about:
	// each row has the key, how many more passed, when the last did and whose it
	// was. gone are the keys that are confirmed no more, which it leaves alone.
	Pass(ctx context.Context, rows []GreylistRow, r GreylistRules) (gone []string, err error)
	// Get returns one entry, expired or not; ErrNotFound.
	Get(ctx context.Context, key string) (GreylistRow, error)
	// List returns a page, expired entries included; ErrInvalid for a Sort or an
	// After that never was.
	List(ctx context.Context, f GreylistFilter) (GreylistPage, error)
	// Confirm lets a client in now; it need not be known. It is confirmed from
	// now, and First is now, too.
	Confirm(ctx context.Context, key string, now time.Time) error
	// Remove forgets a client; ErrNotFound.
	Remove(ctx context.Context, key string) error
	// Reset forgets everybody and returns how many there were.
	Reset(ctx context.Context) (int, error)
	// Sweep removes some of the entries that are over by the rules and some of
	// those beyond Most, and reports how many and whether there may be more.
	Sweep(ctx context.Context, now time.Time, r GreylistRules) (removed int, more bool, err error)
	// Count returns how many there are and how many of them are confirmed.
	Count(ctx context.Context) (total, confirmed int64, err error)
}
