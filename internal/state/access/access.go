// Package access is the allow and block lists in memory (M-SEC-BW): which
// rules concern a client, a sender or a recipient. It keeps the rules of the
// store in indexes, follows changes by any node, counts hits and writes them
// back now and then.
//
// It only says which rules match. What an allow rule lifts and what a block
// rule does is policy's.
package access

import (
	"net/netip"
	"time"

	"posthorn/internal/state/store"
)

// Kind says what a rule looks at (M-SEC-BW-02..06).
type Kind string

// The kinds of rules. Domain exists for allow rules only.
const (
	IP        Kind = "ip"        // exactly this client address
	Network   Kind = "network"   // CIDR, or an IPv4 address with any mask
	Sender    Kind = "sender"    // the whole envelope sender
	Recipient Kind = "recipient" // the envelope recipient as given
	Domain    Kind = "domain"    // the sender's domain; with a leading dot those below it
)

// Rule is one rule, ready for matching.
type Rule struct {
	store.AccessRow
	Kind Kind
	// address and mask are those of an IP or Network rule.
	address, mask netip.Addr
}

// Live reports that the rule has not expired.
func (r *Rule) Live(now time.Time) bool {
	return !r.Disabled && (r.Expires.IsZero() || now.Before(r.Expires))
}

// Describe names the rule for traces: block rule "spammer" (sender eve@away.test).
func (r *Rule) Describe() string {
	list := "allow rule"
	if r.Block {
		list = "block rule"
	}
	return list + ` "` + r.Name + `" (` + string(r.Kind) + " " + r.Value + ")"
}
