package store

import (
	"context"
	"net/netip"
	"time"
)

// TokenRow is a secret by which a program calls the API. The secret itself is
// not kept: Hash is its SHA-256.
type TokenRow struct {
	Name string
	Hash [32]byte
	// Role is a name that server/manage knows.
	Role string
	// Networks are where it may be used from; none: everywhere.
	Networks []netip.Prefix
	// Author made it, at Created.
	Author  string
	Created time.Time
	// Expires is zero when it is good until removed.
	Expires time.Time
	// Used is about when it was used last; zero: never.
	Used time.Time
}

// Tokens keeps the API's tokens.
type Tokens interface {
	// Add keeps a new one; ErrExists when the name is taken.
	Add(ctx context.Context, t TokenRow) error
	// Remove takes it away; ErrNotFound. No Find after it returns the token.
	Remove(ctx context.Context, name string) error
	Get(ctx context.Context, name string) (TokenRow, error)
	// List pages by name: those after, at most limit.
	List(ctx context.Context, after string, limit int) ([]TokenRow, error)
	// Find returns the token with the hash, expired or not; ErrNotFound.
	Find(ctx context.Context, hash [32]byte) (TokenRow, error)
	// Touch notes a use. A token removed meanwhile is none of its business.
	Touch(ctx context.Context, name string, used time.Time) error
}
