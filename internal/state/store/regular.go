package store

import (
	"context"
	"net/netip"
	"time"
)

// RegularKind says what a host is remembered for.
type RegularKind uint8

// The kinds of regulars.
const (
	// RegularMail: good mail was accepted from the host (B1G-LIM-01).
	RegularMail RegularKind = iota
	// RegularAdministrator: an administrator logged in from there (B1G-BAN-02).
	RegularAdministrator
)

var regularNames = [...]string{"mail", "administrator"}

// String returns the word of counters and errors.
func (k RegularKind) String() string { return regularNames[min(int(k), len(regularNames)-1)] }

// RegularRow is a client host that did well.
type RegularRow struct {
	// Host is an IPv4 address or IPv6 /64, mostly. Bits beyond the prefix do not count.
	Host netip.Prefix
	Kind RegularKind
	// Last is when it did so last, as far as was told.
	Last time.Time
}

// Regulars keeps client hosts that did well. It is told in batches, seldom: a
// crash may cost the last of them, and nobody but greeting delays and bans notices.
type Regulars interface {
	// Note keeps hosts of one kind. Beyond most of the kind (0: no bound) those go
	// that did well longest ago, some at a time.
	Note(ctx context.Context, kind RegularKind, rows []RegularRow, most int) error
	// Since returns the hosts noted by any node after a version, those that did
	// well last first, with the version they belong to. For version 0 it is all
	// hosts, at most limit of a kind (0: no bound).
	Since(ctx context.Context, version int64, limit int) (rows []RegularRow, now int64, err error)
	// Sweep removes some hosts of a kind that did well before the time last, and
	// returns how many.
	Sweep(ctx context.Context, kind RegularKind, before time.Time) (int, error)
}
