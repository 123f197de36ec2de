// Package dkim verifies and writes DKIM signatures (RFC 6376 with RFC 8301 and
// RFC 8463), and holds what wire/arc shares with them: tag lists,
// canonical forms, hashes of the body and keys from DNS.
//
//	octets as received ─► Message ─┬ header section, kept (at most 1 MiB)
//	                               └ body ─► canonical forms ─► one hash for each form and length asked for
//	Message.Verify ─► Keys (DNS) ─► one Result for each signature
//
// A Message is written to while the content passes by on its way to the disk;
// it is read once whatever the number of signatures, and no more is kept of it
// than the header section. Only CRLF ends a line: a CR or LF alone is an octet
// of a body and makes a header section untrustworthy.
//
// The package judges signatures, not messages: whether a failed one matters,
// and whose domain it must be, is policy's. It has no clock and no sockets.
package dkim

import (
	"context"
	"io"
	"time"
)

// MaxSignatures is how many signatures of a message are verified, those nearest to
// the top; each may cost a look-up (RFC 6376 §6.1).
const MaxSignatures = 10

// Status is what became of a signature, in the words of RFC 8601 §2.7.1.
type Status uint8

// The results of a signature.
const (
	// Neutral: it makes no claim that can be checked (syntax, unknown algorithm),
	// or it is right but leaves a part of the body unsigned (l=).
	Neutral Status = iota
	Pass
	// Fail: the message is not what was signed.
	Fail
	// TempError: the key could not be looked up now.
	TempError
	// PermError: no verifier can accept it, now or later: no key, a revoked or
	// weak one, expired, From not signed.
	PermError
	statuses
)

var statusNames = [statuses]string{"neutral", "pass", "fail", "temperror", "permerror"}

// String returns the word for Authentication-Results.
func (s Status) String() string { return statusNames[min(s, statuses-1)] }

// Result is what is known of one signature.
type Result struct {
	Status Status
	// Domain is d=, lower case and in A-labels; Selector is s=. Both are empty
	// where the signature cannot be read.
	Domain, Selector string
	// Identity is i= as written, "@" and Domain if there is none.
	Identity string
	// Algorithm is a=, such as rsa-sha256; Bits the size of the key, 0 if it
	// was not found.
	Algorithm string
	Bits      int
	// Testing: the key says t=y. The caller must treat the message as if this
	// signature were not there (RFC 6376 §3.6.1).
	Testing bool
	// Signed are the field names of h=, lower case.
	Signed []string
	// Mark is the beginning of b=, which tells signatures of one domain apart
	// (header.b of RFC 6008).
	Mark string
	// Reason says in plain words why the status is not Pass. It may quote what
	// strangers wrote, in ASCII without control characters.
	Reason string
}

// Verify reads a message as received and returns a result for each signature,
// from the top. The error is r's.
func Verify(ctx context.Context, r io.Reader, keys *Keys, now time.Time) ([]Result, error) {
	m := NewMessage()
	if _, err := io.Copy(m, r); err != nil {
		return nil, err
	}
	return m.Verify(ctx, keys, now), nil
}

// fault is why a signature is not accepted.
type fault struct {
	status Status
	reason string
}

// Error returns the reason.
func (f *fault) Error() string { return f.reason }

func neutral(reason string) *fault   { return &fault{Neutral, reason} }
func failed(reason string) *fault    { return &fault{Fail, reason} }
func permanent(reason string) *fault { return &fault{PermError, reason} }
func temporary(reason string) *fault { return &fault{TempError, reason} }

// blame puts a fault into a result.
func (r Result) blame(f *fault) Result {
	r.Status, r.Reason = f.status, f.reason
	return r
}
