package store

import (
	"context"
	"time"

	"posthorn/internal/base/mail"
)

// RelayHost is another mail server and how it is talked to (M-DEL-02a-d). The
// zero RelayHost is none.
type RelayHost struct {
	// Hosts are names or addresses in the order of trying.
	Hosts []string
	Port  uint16
	// Secure demands TLS; AnyCertificate takes every certificate, Fingerprint
	// names the only one taken.
	Secure, AnyCertificate bool
	Fingerprint            string
	// User logs in with Password, which is sealed; ClearLogin even without TLS.
	User, Password string
	ClearLogin     bool
}

// RelayDomain is a domain whose mail is taken from everybody and handed on to
// its main server (M-REL-02).
type RelayDomain struct {
	Name string // unique, whatever the case of its letters
	// Domain is in normal form; with a dot before it, it stands for the
	// subdomains and not for itself.
	Domain string
	// Next is the main server; without hosts DNS names it (M-REL-03). It has no
	// login.
	Next RelayHost
	// Listed: only the recipients stored for it exist (M-REL-05).
	Listed   bool
	Disabled bool
	Created  time.Time
}

// RelayRule sends some mail another way than the general mode (M-DEL-03).
type RelayRule struct {
	Name string // unique, whatever the case of its letters
	// BySender looks at the reverse-path, otherwise the recipient decides.
	BySender bool
	// Targets are addresses, domains, and subdomains of domains (.far.test).
	Targets []string
	// Host takes the mail; without hosts it goes directly.
	Host     RelayHost
	Disabled bool
	Created  time.Time
}

// Relays are the ways of mail that does not stay here. Changes count for
// Directory.Version.
type Relays interface {
	// RelayDomains lists all, sorted by domain.
	RelayDomains(ctx context.Context) ([]RelayDomain, error)
	// PutRelayDomain inserts or replaces the one of the name if the directory's
	// version is base; ErrConflict otherwise. ErrExists when another has the
	// domain, ErrInvalid when it is hosted; PutDomain refuses a relayed one the
	// same way.
	PutRelayDomain(ctx context.Context, base int64, d RelayDomain) error
	// RemoveRelayDomain removes it with its recipients; ErrNotFound.
	RemoveRelayDomain(ctx context.Context, name string) error
	// AddRelayRecipients and DropRelayRecipients change the recipients of a
	// relay domain and ignore what is so already; ErrNotFound.
	AddRelayRecipients(ctx context.Context, name string, addrs []mail.Address) error
	DropRelayRecipients(ctx context.Context, name string, addrs []mail.Address) error
	// RelayRecipients pages by address: those after, at most limit.
	RelayRecipients(ctx context.Context, name, after string, limit int) ([]mail.Address, error)
	// HasRelayRecipient looks one up by key.
	HasRelayRecipient(ctx context.Context, name string, addr mail.Address) (bool, error)

	// RelayRules lists all in their order.
	RelayRules(ctx context.Context) ([]RelayRule, error)
	// SetRelayRules replaces all of them if the directory's version is base;
	// ErrConflict otherwise.
	SetRelayRules(ctx context.Context, base int64, rules []RelayRule) error
}
