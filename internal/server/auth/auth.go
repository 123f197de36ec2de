// Package auth is the one authenticator behind every login: submission, IMAP
// and POP3 ask it whether a name and a password, or a SCRAM proof, belong
// together, and whose account it is.
//
//	smtpd, imapd, pop3d ─► Guard (one connection: counts, delays, log)
//	                         ├─► Accountant (all connections: hosts, accounts, bans)
//	                         └─► Authenticator ─► directory, base/passwd
//
// A stranger learns nothing from it: an unknown name, a disabled account and a
// wrong password fail with the same error after the same work. What cannot be
// verified just now is told apart (ErrTemporary), so that no client throws its
// password away because a disk is slow.
//
// It deliberately does not know what a failure is called in each protocol, and
// never logs a password.
package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"posthorn/internal/base/event"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

var (
	// ErrCredentials says that name and password are not right together, or
	// may not log in (535 5.7.8, [AUTHENTICATIONFAILED], [AUTH]).
	ErrCredentials = sasl.ErrCredentials
	// ErrTemporary says that it cannot be verified now: too many logins at
	// once, or the store fails (454 4.7.0, [UNAVAILABLE], [SYS/TEMP]). The
	// cause is wrapped too.
	ErrTemporary = errors.New("cannot verify the login now")
	// ErrBlocked is an ErrTemporary: the client host failed too often and its
	// credentials were not looked at.
	ErrBlocked = fmt.Errorf("%w: too many failed logins from this host", ErrTemporary)
)

// Directory finds the account of a login name; *directory.Directory does.
type Directory interface {
	// Login returns store.ErrNotFound for a name nobody has. A row that is
	// Disabled must not log in.
	Login(ctx context.Context, name string) (store.AccountRow, error)
}

// Accounts keeps renewed password hashes; store.Directory does.
type Accounts interface {
	GetAccount(ctx context.Context, id store.AccountID) (store.AccountRow, error)
	// SetAccount returns store.ErrConflict if the row changed meanwhile.
	SetAccount(ctx context.Context, a store.AccountRow) error
}

// Options of an Authenticator. Directory, Passwords, Settings and Secret are needed.
type Options struct {
	Directory Directory
	// Accounts is nil where hashes are never renewed.
	Accounts  Accounts
	Passwords *passwd.Verifier
	Settings  func() *Settings
	// Secret keys the invented salts of unknown names. It is stored, and the
	// same on all nodes (passwd.UnknownScram).
	Secret []byte
	// DefaultDomain is what the directory completes short names with; nil for
	// none. Both spellings of an unknown name must get one invented salt.
	DefaultDomain func() string
	// Accountant counts failures of all connections; nil for a Limiter.
	Accountant Accountant
	Log        *event.Logger
}

// Authenticator verifies logins. It may be used by many goroutines at once.
// Sessions use it through a Guard.
type Authenticator struct {
	o          Options
	accountant Accountant
}

// New returns an Authenticator.
func New(o Options) *Authenticator {
	a := &Authenticator{o: o, accountant: o.Accountant}
	if a.accountant == nil {
		a.accountant = NewLimiter(o.Settings)
	}
	return a
}

// Offer returns the mechanisms as the administrator wants them; the session
// fills in TLS and Binding.
func (a *Authenticator) Offer() sasl.Offer {
	s := a.o.Settings()
	return sasl.Offer{PlaintextWithoutTLS: !s.PlaintextNeedsTLS, Login: s.OfferLogin, Scram: s.Scram, SHA1: s.Scram && s.ScramSHA1}
}

// Secret keys the invented salts of unknown names (sasl.Config).
func (a *Authenticator) Secret() []byte { return a.o.Secret }

// Password returns the account a name and password belong to. Errors wrap
// ErrCredentials or ErrTemporary.
func (a *Authenticator) Password(ctx context.Context, name, password string) (store.AccountRow, error) {
	row, err := a.find(ctx, name)
	if errors.Is(err, ErrCredentials) || err == nil && row.Password == "" {
		return store.AccountRow{}, a.pretend(ctx, password, err)
	}
	if err != nil {
		return store.AccountRow{}, err
	}
	upgrade, err := a.o.Passwords.Verify(ctx, accountName(row.ID), row.Password, password)
	switch {
	case errors.Is(err, passwd.ErrSyntax):
		// In the words of a wrong password, or the account would stand out.
		return store.AccountRow{}, fmt.Errorf("%w: account %d: %v", ErrCredentials, row.ID, err)
	case err != nil:
		return store.AccountRow{}, classify(err)
	}
	if upgrade {
		row = a.renew(ctx, row, password)
	}
	return row, nil
}

// pretend takes as long as a verification and fails.
func (a *Authenticator) pretend(ctx context.Context, password string, cause error) error {
	if err := a.o.Passwords.Dummy(ctx, password); !errors.Is(err, ErrCredentials) {
		return classify(err)
	}
	if cause == nil {
		cause = fmt.Errorf("%w: the account has no password", ErrCredentials)
	}
	return cause
}

// find returns the account of a name if it may log in; the text of an
// ErrCredentials says why not, for the log alone.
func (a *Authenticator) find(ctx context.Context, name string) (store.AccountRow, error) {
	row, err := a.o.Directory.Login(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.AccountRow{}, fmt.Errorf("%w: unknown name", ErrCredentials)
	case err != nil:
		return store.AccountRow{}, classify(err)
	case row.Disabled:
		return store.AccountRow{}, fmt.Errorf("%w: account %d is disabled", ErrCredentials, row.ID)
	}
	return row, nil
}

// classify makes every failure that is not the client's a temporary one.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrCredentials) || errors.Is(err, ErrTemporary) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTemporary, err)
}

// Scram returns the account of a name and what its proof is held against.
// Names without a verifier get an invented one and the zero row. What cannot be
// hidden: two addresses of one account have one salt.
func (a *Authenticator) Scram(ctx context.Context, name string, h passwd.ScramHash) (store.AccountRow, passwd.Scram, error) {
	invented := passwd.UnknownScram(a.o.Secret, h, a.canonical(name))
	row, err := a.find(ctx, name)
	if errors.Is(err, ErrCredentials) {
		return store.AccountRow{}, invented, nil
	}
	if err != nil {
		return store.AccountRow{}, passwd.Scram{}, err
	}
	text := row.Scram256
	if h == passwd.SHA1 {
		text = row.Scram1
	}
	verifier, err := passwd.ParseScram(text)
	if err != nil || verifier.Hash != h {
		return store.AccountRow{}, invented, nil // as good as none
	}
	return row, verifier, nil
}

// Login returns the account of an identity that has proved itself against what
// the row held says. Its row is read anew, so that an account which was disabled
// or got another password meanwhile does not get in: a client may hold an
// exchange open for as long as it likes. The authzid must be empty or another
// address of the same account. Errors wrap ErrCredentials or ErrTemporary.
func (a *Authenticator) Login(ctx context.Context, id sasl.Identity, held store.AccountRow) (*store.AccountRow, error) {
	row, err := a.find(ctx, id.Authcid)
	if err != nil {
		return nil, err
	}
	if accountName(row.ID) != id.Account {
		return nil, fmt.Errorf("%w: the name moved to account %d", ErrCredentials, row.ID)
	}
	if proof(row) != proof(held) {
		return nil, fmt.Errorf("%w: account %d got another password meanwhile", ErrCredentials, row.ID)
	}
	if id.Authzid != "" && id.Authzid != id.Authcid {
		other, err := a.find(ctx, id.Authzid)
		if err != nil {
			return nil, err
		}
		if other.ID != row.ID {
			return nil, fmt.Errorf("%w: account %d may not act as account %d", ErrCredentials, row.ID, other.ID)
		}
	}
	return &row, nil
}

// proof is what every new password changes and a renewed hash does not, except
// where there is no verifier (as in listen.CredentialOf).
func proof(row store.AccountRow) string { return cmp.Or(row.Scram256, row.Password) }

// accountName is the account as base/passwd and SASL name it.
func accountName(id store.AccountID) string { return strconv.FormatInt(int64(id), 10) }

// canonical is the one spelling of a name by which it is counted and by which
// its salt is invented.
func (a *Authenticator) canonical(name string) string {
	name = passwd.Prepare(name)
	if !strings.Contains(name, "@") && a.o.DefaultDomain != nil {
		if domain := a.o.DefaultDomain(); domain != "" {
			name += "@" + domain
		}
	}
	if addr, err := mail.ParseAddress(name); err == nil {
		return addr.Key()
	}
	return strings.ToLower(name)
}
