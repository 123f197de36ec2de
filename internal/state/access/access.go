// Package access is the allow and block lists in memory (M-SEC-BW): which
// rules concern a client, a sender or a recipient. It keeps the rules of the
// store in indexes, follows changes by any node, counts hits and writes them
// back now and then.
//
//	store.Access ──load──► Table (indexes, never changed) ──► policy asks Lists
//	     ▲                                                        │
//	     └──────────── hits, every ten seconds ◄──────────────────┘
//
// It only says which rules match. What an allow rule lifts and what a block
// rule does is policy's.
package access

import (
	"net/netip"
	"time"

	"posthorn/internal/base/mail"
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

// Kinds lists the kinds.
func Kinds() []Kind { return []Kind{IP, Network, Sender, Recipient, Domain} }

// Most is how many live rules the lists are made for.
const Most = 100_000

// Settings are what holds for the allow and block lists.
type Settings struct {
	// RequireAuthentication lets new allow rules by sender or domain count only
	// when the sender's domain is authenticated, unless the rule says otherwise.
	// Such rules skip the virus scan, and anybody can write any sender (M-SEC-BW-12).
	RequireAuthentication bool `default:"true" factory:"false"`
}

// Rule is one rule, ready for matching. Make it with New.
type Rule struct {
	store.AccessRow
	Kind Kind
	// What the value means, by kind.
	client  netip.Addr   // IP
	network netip.Prefix // Network in CIDR form
	masked  masked       // Network with any other mask
	address mail.Address // Sender, Recipient
}

// Live reports that the rule has not expired.
func (r *Rule) Live(now time.Time) bool {
	return !r.Disabled && (r.Expires.IsZero() || now.Before(r.Expires))
}

// Describe names the rule for traces: block rule "spammer" (sender eve@away.test).
func (r *Rule) Describe() string {
	return r.List() + ` rule "` + r.Name + `" (` + string(r.Kind) + " " + r.Value + ")"
}

// List names the list the rule is on: "allow" or "block".
func (r *Rule) List() string {
	if r.Block {
		return "block"
	}
	return "allow"
}

// Forgeable reports an allow rule by what every client can claim. It may ask
// that the sender's domain is authenticated.
func (r *Rule) Forgeable() bool { return !r.Block && (r.Kind == Sender || r.Kind == Domain) }
