package store

import (
	"context"
	"net/netip"
	"time"
)

// BanKind says how a ban came to be; a host can have one of each.
type BanKind uint8

// The kinds of bans.
const (
	// BanFailures: too many failures in a short time (B1G-BAN-01).
	BanFailures BanKind = iota
	// BanDay: too many accounts that do not exist, until the end of the day
	// (M-SEC-ADV-04).
	BanDay
	// BanManual: set by an administrator.
	BanManual
)

var banNames = [...]string{"failures", "day", "manual"}

// String returns the word of lists and traces.
func (k BanKind) String() string { return banNames[min(int(k), len(banNames)-1)] }

// BanRow is a client host that is not let in.
type BanRow struct {
	// Host is an address or network: an IPv4 address as /32, mostly. Bits
	// beyond the prefix do not count.
	Host netip.Prefix
	Kind BanKind
	// Reason is for people: what the client did.
	Reason string
	// First and Last are the first and last attempt that counted, Failures how many.
	First, Last time.Time
	Failures    int64
	// Until is zero for ever.
	Until time.Time
	// Author set it by hand, "" for the server.
	Author string
}

// Bans keeps who is not let in (B1G-BAN-03, M-SEC-ADV-04).
type Bans interface {
	// Version grows with every change by any node; Changed wakes on changes
	// made through this process.
	Version(ctx context.Context) (int64, error)
	Changed() <-chan struct{}
	// Put keeps a ban, in place of one of the same host and kind. Beyond most
	// (0: no bound) it removes those of its kind that end first, never the new one.
	Put(ctx context.Context, b BanRow, most int) error
	// Lift removes all bans of a host; ErrNotFound. LiftAll removes everything,
	// or one kind, and returns how many.
	Lift(ctx context.Context, host netip.Prefix) error
	LiftAll(ctx context.Context, kind *BanKind) (int, error)
	// All returns the bans in force, with the version they belong to.
	All(ctx context.Context, now time.Time) (rows []BanRow, version int64, err error)
	// List pages by host in text form: the bans, ended or not, of the hosts
	// after, at most limit hosts (0: 100; at most 1000). search is a part of host,
	// reason or author, whatever the case of ASCII letters.
	List(ctx context.Context, search, after string, limit int) ([]BanRow, error)
	// Sweep removes some of the bans that ended before the time and returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}
