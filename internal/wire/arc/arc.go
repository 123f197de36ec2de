// Package arc verifies and extends Authenticated Received Chains (RFC 8617): what
// earlier hosts found out about a message before they changed it.
//
//	ARC set i ─┬ ARC-Authentication-Results   what host i found
//	           ├ ARC-Message-Signature        the message as it left host i; a DKIM signature but for i=
//	           └ ARC-Seal                     signs sets 1 to i, and says whether the chain was right (cv=)
//
//	dkim.Message ─► Verify ─► Chain ─► Sealer.Seal ─► three fields to put on top
//
// A chain that passes says only that nobody broke it: whether its hosts are to
// be believed is policy's. Octets, canonical forms and keys are wire/dkim's.
package arc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"posthorn/internal/wire/dkim"
)

// MaxSets is how long a chain may be (RFC 8617 §4.2.1).
const MaxSets = 50

// Status is the chain's validation status (RFC 8617 §4.4), and TempError.
type Status uint8

// The results of a chain.
const (
	// None: there is no chain.
	None Status = iota
	Pass
	Fail
	// TempError: a key could not be looked up now. RFC 8617 knows no such cv=;
	// a Sealer writes it as fail.
	TempError
	statuses
)

var statusNames = [statuses]string{"none", "pass", "fail", "temperror"}

// String returns the word for cv= and Authentication-Results.
func (s Status) String() string { return statusNames[min(s, statuses-1)] }

// Set is one host's part of a chain.
type Set struct {
	Instance int
	// Results is the ARC-Authentication-Results without its i=, folded as
	// received: an authserv-id and what it found.
	Results string
	// CV is what the host says of the chain before it.
	CV Status
	// Seal and Message are the two signatures. Seal.Domain is who vouches for
	// the set. Both are the zero Result where they were not verified, because
	// the chain had failed already.
	Seal, Message dkim.Result

	results, message, seal int // places in the message's fields
	sealed                 dkim.Claim
}

// Chain is what is known of a message's chain.
type Chain struct {
	Status Status
	// Reason says in plain words why the status is Fail or TempError.
	Reason string
	// Sets are in order, the first is instance 1; nil if the sets are not whole.
	Sets []Set
	// OldestPass is the instance of the oldest ARC-Message-Signature that is
	// still right, all newer ones being so too; 0 when all are (RFC 8617 §5.2).
	OldestPass int
	// Testing: a key of the chain is only for testing (t=y).
	Testing bool

	highest int  // instance, also of a broken chain
	ended   bool // the last host has sealed it as failed
}

// Verify ends the message and judges its chain (RFC 8617 §5.2). ctx bounds the
// look-ups of keys.
func Verify(ctx context.Context, m *dkim.Message, keys *dkim.Keys, now time.Time) Chain {
	_ = m.Close() // never fails
	c := collect(m)
	if c.Status == Fail || len(c.Sets) == 0 {
		return c
	}
	newest := &c.Sets[len(c.Sets)-1]
	newest.Message = m.Check(ctx, keys, now, newest.message)
	if !c.judge(newest, newest.Message, "message signature") {
		return c
	}
	c.fetch(ctx, keys)
	for i := len(c.Sets) - 1; i >= 0; i-- {
		s := &c.Sets[i]
		s.Seal = keys.Verify(ctx, s.sealed, sealDigest(m.Fields(), c.Sets[:i+1]))
		if !c.judge(s, s.Seal, "seal") {
			return c
		}
	}
	c.Status = Pass
	c.lookBack(ctx, m, keys, now)
	return c
}

// judge takes a signature's result into account; false ends the validation.
func (c *Chain) judge(s *Set, r dkim.Result, what string) bool {
	c.Testing = c.Testing || r.Testing
	switch r.Status {
	case dkim.Pass:
		return true
	case dkim.TempError:
		c.Status = TempError
	default:
		c.Status = Fail
	}
	c.Reason = fmt.Sprintf("the %s of instance %d: %s", what, s.Instance, r.Reason)
	return false
}

// fetch looks up the keys of all seals at the same time.
func (c *Chain) fetch(ctx context.Context, keys *dkim.Keys) {
	claims := make([]dkim.Claim, 0, len(c.Sets))
	for _, s := range c.Sets {
		claims = append(claims, s.sealed)
	}
	keys.Fetch(ctx, claims)
}

// lookBack finds how far back the message is unchanged. That an older message
// signature is broken is the point of ARC, and no failure.
func (c *Chain) lookBack(ctx context.Context, m *dkim.Message, keys *dkim.Keys, now time.Time) {
	for i := len(c.Sets) - 2; i >= 0; i-- {
		s := &c.Sets[i]
		s.Message = m.Check(ctx, keys, now, s.message)
		if s.Message.Status != dkim.Pass {
			c.OldestPass = s.Instance + 1
			return
		}
	}
}

// sealDigest hashes what the seal of the last set signs: all sets in order, each
// as results, message signature, seal (RFC 8617 §5.1.1).
func sealDigest(fields []dkim.Field, sets []Set) [sha256.Size]byte {
	h := sha256.New()
	var text []byte
	for i, s := range sets {
		for _, place := range []int{s.results, s.message} {
			text = append(dkim.Relaxed.AppendField(text[:0], fields[place].Raw), "\r\n"...)
			h.Write(text)
		}
		seal := fields[s.seal].Raw
		if i == len(sets)-1 {
			h.Write(dkim.Relaxed.AppendField(text[:0], dkim.WithoutSignature(seal)))
			break
		}
		text = append(dkim.Relaxed.AppendField(text[:0], seal), "\r\n"...)
		h.Write(text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// String describes the chain for Authentication-Results: cv= and, when it is not
// pass, nothing else; reasons may quote strangers.
func (c Chain) String() string {
	if c.Status == Pass && c.OldestPass > 0 {
		return "pass (oldest-pass=" + strconv.Itoa(c.OldestPass) + ")"
	}
	return c.Status.String()
}
