// Package directory knows who is here: hosted domains, accounts with their
// addresses, aliases, groups and the addresses that always exist. It puts the
// rules of mail and a cache on top of the rows of store.Directory.
//
// In a message's way it answers at MAIL ("may this account use that sender?"),
// at RCPT ("who gets mail for this address?", thousands of times a second),
// at AUTH ("whose login is this?") and in the queue, when an alias is taken
// apart. It does not verify passwords, does not know quotas in use, and sends
// nothing.
package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/state/store"
)

// Settings of the directory.
type Settings struct {
	// DefaultDomain completes login names without a domain: with
	// "example.test" here, "bob" logs in as bob@example.test. Empty refuses
	// such names.
	DefaultDomain string `default:"" kind:"domain"`
	// Postmaster gets the mail to postmaster and mailer-daemon at every hosted
	// domain that has no such address of its own (ORD-04). Empty, or when
	// nobody has the address any more: the oldest administrator's mailbox.
	Postmaster mail.Address `default:""`
	// ExternalPostmaster lists addresses elsewhere that get a copy of the mail to
	// postmaster and mailer-daemon (M-GEN-12).
	ExternalPostmaster []mail.Address `default:"" max:"50"`
	// Forwarding lets mail for an account go on to the addresses it names,
	// unless its domain or the account say otherwise (M-GEN-05). Without it
	// such addresses stay, and the mail stays in the mailbox. Aliases, groups
	// and relay rules are not affected.
	Forwarding bool `default:"true"`
	// MinPassword is how many characters a new password must have.
	MinPassword int `default:"8" min:"1" max:"128"`
	// ScramSHA1 keeps SCRAM-SHA-1 verifiers of new passwords too, for old
	// clients. Passwords set before stay without until they are set again.
	ScramSHA1 bool `default:"false"`
}

// Options of a Directory.
type Options struct {
	// Settings returns the values in force (setting.Handle.Get).
	Settings func() *Settings
	// Passwords makes what is stored of new passwords.
	Passwords *passwd.Verifier
	// HostName returns this server's name; postmaster there is ours even when
	// the domain is not hosted. nil: none.
	HostName func() string
	// CacheSize bounds the cache; a resolution counts one and one for each
	// account or address in it. 0 means 100,000.
	CacheSize int
}

// Bounds of an expansion and how long other nodes' changes may stay unseen.
const (
	// MaxNesting is how many aliases may lead to one another.
	MaxNesting = 10
	// MaxMembers is how many recipients and aliases one address may stand for.
	MaxMembers = 10_000

	pollAfter  = 500 * time.Millisecond // one of the callers looks for changes
	pollAtMost = time.Second            // all callers wait for that
)

var (
	// ErrExpansion says that an alias stands for more than MaxMembers, or is
	// nested deeper than MaxNesting. It stays until an administrator repairs it.
	ErrExpansion = errors.New("alias expands too far")
	// ErrNoPostmaster says that there is no administrator to get system mail;
	// try again later.
	ErrNoPostmaster = errors.New("no postmaster address and no administrator account")
)

// Directory answers from its cache or the store. It may be used by many
// goroutines.
type Directory struct {
	store store.Directory
	o     Options
	cache *cache

	start   time.Time
	polling sync.Mutex   // held by the one who polls
	version int64        // of what the cache holds; guarded by polling
	polled  atomic.Int64 // when, since start
	stale   atomic.Bool  // something changed here

	forwarding atomic.Bool // Settings.Forwarding as the cache knows it
	routes     atomic.Pointer[routes]
	returns    atomic.Pointer[Returns]
}

// New returns a Directory over a store.
func New(s store.Directory, o Options) *Directory {
	if o.CacheSize <= 0 {
		o.CacheSize = 100_000
	}
	d := &Directory{store: s, o: o, cache: newCache(o.CacheSize), start: time.Now()}
	d.stale.Store(true)
	d.forwarding.Store(o.Settings().Forwarding)
	return d
}

// current makes sure that the cache is not older than pollAtMost and returns
// its generation. Nothing is asked while nobody asks.
func (d *Directory) current(ctx context.Context) (generation uint64, err error) {
	select {
	case <-d.store.Changed():
		d.stale.Store(true)
	default:
	}
	if now := d.o.Settings().Forwarding; now != d.forwarding.Load() && d.forwarding.CompareAndSwap(!now, now) {
		d.cache.reset()
	}
	switch age := time.Since(d.start) - time.Duration(d.polled.Load()); {
	case d.stale.Load() || age >= pollAtMost:
		d.polling.Lock()
	case age < pollAfter || !d.polling.TryLock():
		return d.cache.current(), nil
	}
	defer d.polling.Unlock()
	now := time.Since(d.start)
	if !d.stale.Load() && now-time.Duration(d.polled.Load()) < pollAfter { // another was faster
		return d.cache.current(), nil
	}
	stale := d.stale.Swap(false)
	v, err := d.store.Version(ctx)
	if err != nil {
		d.stale.Store(stale)
		return 0, fmt.Errorf("directory: %w", err)
	}
	if v != d.version {
		d.version = v
		d.cache.reset()
	}
	d.polled.Store(int64(now))
	return d.cache.current(), nil
}

// Domain returns a hosted domain; store.ErrNotFound.
func (d *Directory) Domain(ctx context.Context, name string) (store.DomainRow, error) {
	generation, err := d.current(ctx)
	if err != nil {
		return store.DomainRow{}, err
	}
	row, hosted, err := d.domain(ctx, generation, name)
	if err == nil && !hosted {
		err = fmt.Errorf("domain %s: %w", name, store.ErrNotFound)
	}
	return row, err
}

// Hosts reports whether the domain is hosted here, disabled or not.
func (d *Directory) Hosts(ctx context.Context, name string) (bool, error) {
	generation, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	_, hosted, err := d.domain(ctx, generation, name)
	return hosted, err
}

// Domains lists all hosted domains.
func (d *Directory) Domains(ctx context.Context) ([]store.DomainRow, error) {
	return d.store.Domains(ctx)
}

func (d *Directory) domain(ctx context.Context, generation uint64, name string) (store.DomainRow, bool, error) {
	if name == "" || mail.IsLiteral(name) {
		return store.DomainRow{}, false, nil
	}
	key := "@" + name // no address begins so
	if e, ok := d.cache.get(key); ok {
		return e.domain, e.hosted, nil
	}
	row, err := d.store.Domain(ctx, name)
	hosted := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, false, fmt.Errorf("directory: %w", err)
	}
	d.cache.put(generation, key, entry{domain: row, hosted: hosted, cost: 1})
	return row, hosted, nil
}
