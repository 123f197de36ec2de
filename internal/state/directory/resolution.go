package directory

import (
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// Kind is what an address leads to.
type Kind uint8

// The kinds of a recipient address.
const (
	// Elsewhere: the domain is not ours.
	Elsewhere Kind = iota
	// Local: deliverable here; Deliveries and Forwards say to whom.
	Local
	// Unknown: the domain is ours, the address is nobody's.
	Unknown
	// Disabled: the only account behind the address is disabled.
	Disabled
	// DomainDisabled: the domain is ours and takes no mail for now.
	DomainDisabled
	// Relay: a relay domain, handed on to its main server.
	Relay
)

var kindNames = [...]string{"elsewhere", "local", "unknown", "disabled", "domain disabled", "relay"}

// String returns the kind in the words of traces.
func (k Kind) String() string { return kindNames[k] }

// Resolution is what a recipient address leads to.
type Resolution struct {
	Kind Kind
	// Account is the one account behind the address; zero when there are
	// several recipients, or none. For Disabled it is the disabled one.
	Account store.AccountID
	// Deliveries are the accounts that get the message, without repetition.
	Deliveries []Delivery
	// Forwards are addresses elsewhere that get it: targets of aliases, and
	// those that accounts forward to.
	Forwards []mail.Address
	// Away are the accounts that keep no copy of what they forward.
	Away []Delivery
	// Via is the alias, group or catch-all that was expanded, "" for none.
	Via string
	// Alias describes the alias or group of the address; nil when it has none.
	Alias *Alias
	// CatchAll says that only the domain's catch-all takes the address.
	CatchAll bool
	// System marks postmaster and mailer-daemon without an address of their
	// own (ORD-04); Copies get a copy of such mail (M-GEN-12).
	System bool
	Copies []mail.Address
	// Return marks an address we wrote as the reverse-path of forwarded mail;
	// it leads to the sender (package srs).
	Return bool
	// Dangling are targets that lead nowhere, for the log.
	Dangling []mail.Address
}

// Alias describes an alias or group.
type Alias struct {
	Address mail.Address
	Group   bool
	Title   string
	SendAs  bool
}

// Delivery is one account that gets a message.
type Delivery struct {
	Account store.AccountID
	// Address is the account's address the mail is for, Detail the subaddress
	// ("news" in user+news@).
	Address mail.Address
	Detail  string
	// Unlimited: the account has no quota.
	Unlimited bool
	// Forwarded: another account sends its mail on to this one, which does not
	// make the address theirs.
	Forwarded bool
}

// Keeps reports that a mailbox here can take the message, even one that usually
// keeps no copy of what it forwards.
func (r Resolution) Keeps() bool { return r.Kind == Local && len(r.Deliveries)+len(r.Away) > 0 }

// Hosted reports that the address is in a domain of ours, whether or not
// anybody is behind it; relay domains are not hosted.
func (r Resolution) Hosted() bool { return r.Kind != Elsewhere && r.Kind != Relay }
