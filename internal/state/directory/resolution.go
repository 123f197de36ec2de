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
	// several, or none. For Disabled it is the disabled one.
	Account store.AccountID
	// Deliveries are the accounts that get the message, without repetition.
	Deliveries []Delivery
	// Forwards are addresses elsewhere that get it (targets of aliases).
	Forwards []mail.Address
	// Via is the alias, group or catch-all that was expanded, "" for none.
	Via string
}

// Delivery is one account that gets a message.
type Delivery struct {
	Account store.AccountID
	// Address is the account's address the mail is for, Detail the subaddress
	// ("news" in user+news@).
	Address mail.Address
	Detail  string
}

// Hosted reports that the address is in a domain of ours, whether or not
// anybody is behind it; relay domains are not hosted.
func (r Resolution) Hosted() bool { return r.Kind != Elsewhere && r.Kind != Relay }
