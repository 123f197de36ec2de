package store

import (
	"context"
	"time"
)

// AccessRow is a rule of the allow and block lists (M-SEC-BW).
type AccessRow struct {
	ID int64 // set by the store, never used again
	// Name is unique, whatever its case.
	Name string
	// Block refuses what matches; otherwise the rule allows it.
	Block bool
	// Kind is "ip", "network", "sender", "recipient" or "domain"; Value in the
	// normal form of state/access.
	Kind, Value string
	// Discard answers like success and delivers nothing; for block rules.
	Discard bool
	// FromField: a sender rule also looks at the From field.
	FromField bool
	// Authenticated: an allow rule by sender or domain counts only when the
	// sender's domain is authenticated (M-SEC-BW-12).
	Authenticated bool
	Disabled      bool
	// Owner answers for the rule and Reason says why it is there; both are for people.
	Owner, Reason string
	// Author made it, at Created.
	Author  string
	Created time.Time
	// Expires is zero when it stays until removed.
	Expires time.Time
	// Hits is how often it took part in a decision, LastHit when.
	Hits    int64
	LastHit time.Time
	Version int64 // for ErrConflict
}

// AccessChange is a change of many rules at once.
type AccessChange struct {
	Remove []int64
	Set    []AccessRow
	Add    []AccessRow
}

// AccessFilter selects rules; zero fields match everything.
type AccessFilter struct {
	Block  *bool
	Kind   string
	Search string // a part of name, value, owner or reason, whatever its case
	After  string // for paging: names after this one
	Limit  int    // 0: 100; at most 1000
}

// Access keeps the allow and block lists.
type Access interface {
	// Version grows with every change by any node, not with hits; Changed wakes
	// on changes made through this process.
	Version(ctx context.Context) (int64, error)
	Changed() <-chan struct{}
	// Add keeps a new rule and returns its ID; ErrExists when the name is taken,
	// ErrInvalid when there is none. ID, hits and version of r do not count.
	Add(ctx context.Context, r AccessRow) (int64, error)
	// Set replaces a rule by ID; hits stay. ErrNotFound, ErrExists, and
	// ErrConflict if Version is not the stored one.
	Set(ctx context.Context, r AccessRow) error
	// Remove takes a rule away; ErrNotFound.
	Remove(ctx context.Context, id int64) error
	// Apply does all of a change or nothing: removals first, then changes, then
	// additions, each as Remove, Set and Add would.
	Apply(ctx context.Context, c AccessChange) error
	// Get finds a rule by name, whatever its case; ErrNotFound.
	Get(ctx context.Context, name string) (AccessRow, error)
	// List pages by name, disabled and expired rules included.
	List(ctx context.Context, f AccessFilter) ([]AccessRow, error)
	// All returns every rule that is neither disabled nor expired, with the
	// version they belong to.
	All(ctx context.Context, now time.Time) (rows []AccessRow, version int64, err error)
	// Hit adds hits by rule; rules removed meanwhile are passed over.
	Hit(ctx context.Context, hits map[int64]int64, last time.Time) error
	// Sweep removes some of the rules that expired before the time and returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}
