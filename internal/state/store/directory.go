package store

import (
	"context"
	"time"

	"posthorn/internal/base/mail"
)

// DomainRow is a domain whose mail is received here.
type DomainRow struct {
	Name string // normal form (mail.ParseDomain)
	// CatchAll gets mail to unknown local parts; null: they are refused.
	CatchAll mail.Address
	// Separator divides a subaddress from the local part ("+"); "" switches it off.
	Separator string
	Disabled  bool
	// Forwarding says whether its accounts may forward mail (M-GEN-05).
	Forwarding Choice
	Created    time.Time
}

// Choice is a yes or no that may be left to the level above.
type Choice uint8

// The choices.
const (
	Inherit Choice = iota
	Yes
	No
)

// Of returns the choice, or what the level above says.
func (c Choice) Of(above bool) bool { return c == Yes || c == Inherit && above }

// AccountRow is a person's login. Addresses are in order; the first is the
// primary address and the display name of the login. All of them log in
// (SYS-DOM-02).
type AccountRow struct {
	ID        AccountID
	Addresses []mail.Address
	FullName  string
	// Password is an argon2id hash in PHC form; Scram256 and Scram1 are
	// SCRAM verifiers in the text form of base/passwd, "" where there are none.
	Password, Scram256, Scram1 string
	Admin                      bool
	Disabled                   bool
	QuotaBytes, QuotaMessages  int64 // 0: no limit
	// Forward are addresses that mail for the account goes on to; with
	// ForwardOnly no copy stays here. Forwarding says whether it may, Inherit
	// asks the domain of the primary address.
	Forward     []mail.Address
	ForwardOnly bool
	Forwarding  Choice
	Created     time.Time
	Version     int64 // for ErrConflict
}

// AliasRow sends mail for one address to others; Group marks a list of members
// kept as such (a group may also be a sender grant).
type AliasRow struct {
	Address mail.Address
	Targets []mail.Address
	Group   bool
	Title   string
	// SendAs lets members use the address as sender (M-GEN-03).
	SendAs  bool
	Created time.Time
}

// AddressOwner is what an address leads to: an account or an alias.
type AddressOwner struct {
	Account  AccountID
	Disabled bool // the account is
	// Unlimited: the account has no quota, so nobody need ask for its usage.
	Unlimited bool
	// Forwards: the account has addresses to forward to.
	Forwards bool
	Alias    *AliasRow
}

// AnyVersion is the base of a change to the directory that does not build on
// what is stored; it replaces what it meets.
const AnyVersion int64 = -1

// Directory keeps domains, accounts, aliases, groups and relays. Address keys are
// unique over accounts and aliases. state/directory puts rules and a cache on
// top of it.
type Directory interface {
	// Version grows with every change by any node; Changed wakes on changes
	// made through this process.
	Version(ctx context.Context) (int64, error)
	Changed() <-chan struct{}

	// Domains lists all, sorted by name; Domain returns one or ErrNotFound.
	Domains(ctx context.Context) ([]DomainRow, error)
	Domain(ctx context.Context, name string) (DomainRow, error)
	// PutDomain inserts or replaces it, PutAlias does so for aliases, if the
	// directory's version is base; ErrConflict otherwise.
	PutDomain(ctx context.Context, base int64, d DomainRow) error
	// RemoveDomain refuses with ErrInvalid while addresses exist in it.
	RemoveDomain(ctx context.Context, name string) error

	// AddAccount inserts the account, its addresses and its special mailboxes
	// (all roles) in one transaction; ErrExists names the address.
	AddAccount(ctx context.Context, a AccountRow) (AccountID, error)
	// SetAccount replaces the row; ErrConflict if Version is not the stored one,
	// ErrLastAdministrator if nobody would be left who is one and can log in: is
	// not disabled, nor are the domains of all of its addresses. So do
	// RemoveAccount and PutDomain.
	SetAccount(ctx context.Context, a AccountRow) error
	// RemoveAccount removes account and mail, in bounded steps.
	RemoveAccount(ctx context.Context, id AccountID) error
	GetAccount(ctx context.Context, id AccountID) (AccountRow, error)
	// Administrators lists the accounts that are Admin and not Disabled, oldest first.
	Administrators(ctx context.Context) ([]AccountID, error)
	// ListAccounts pages by primary address: those after, at most limit.
	ListAccounts(ctx context.Context, domain, after string, limit int) ([]AccountRow, error)

	PutAlias(ctx context.Context, base int64, a AliasRow) error
	RemoveAlias(ctx context.Context, addr mail.Address) error
	ListAliases(ctx context.Context, domain, after string, limit int) ([]AliasRow, error)

	// Owner looks an address up by key; ErrNotFound.
	Owner(ctx context.Context, addr mail.Address) (AddressOwner, error)
	// GroupsOf lists the aliases that name the address as a target.
	GroupsOf(ctx context.Context, addr mail.Address) ([]AliasRow, error)

	Relays
}

// SettingRow is the stored value of one setting; absent rows have defaults.
type SettingRow struct {
	Name    string
	Value   string // text form; sealed secrets start with "sealed:"
	Version int64  // of the change that set it
}

// SettingChange is one saved change, all or nothing.
type SettingChange struct {
	Version int64
	Time    time.Time
	Author  string
	Comment string
	// Items pair old and new; an empty New with Unset means back to default.
	Items []SettingItem
	// Undoes is the version this change takes back, 0 for none.
	Undoes int64
	// ConfirmBy is set while the change is on trial: it returns by itself
	// unless confirmed before (commit-confirm). Zero otherwise.
	ConfirmBy time.Time
}

// SettingItem is the change of one setting.
type SettingItem struct {
	Name            string
	Old, New        string
	WasUnset, Unset bool
}

// Settings keeps stored values and their history.
type Settings interface {
	// Version grows with every Save and Confirm by any node; 0 before the first.
	Version(ctx context.Context) (int64, error)
	// Load returns the version and all stored rows.
	Load(ctx context.Context) (int64, []SettingRow, error)
	// Save applies the change if the stored version is base; ErrConflict
	// otherwise. It returns the new version.
	Save(ctx context.Context, base int64, c SettingChange) (int64, error)
	// Confirm ends the trial of a version and raises Version, so that a Save
	// that meant to take the change back conflicts. ErrNotFound when the
	// version is not on trial.
	Confirm(ctx context.Context, version int64) error
	// History returns changes, newest first, before the version (0: all).
	History(ctx context.Context, before int64, limit int) ([]SettingChange, error)
	// Changed wakes after a Save or Confirm through this process.
	Changed() <-chan struct{}
}
