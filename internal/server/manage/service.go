package manage

import (
	"context"
	"net/netip"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// Options are what a Service works with.
type Options struct {
	Store     store.Store
	Settings  *setting.Book
	Directory *directory.Directory
	Records   *record.Recorder
	Pipeline  *policy.Pipeline
	Hostname  func() string
	// Rehearse makes the rules as they would be after an edit that nobody saves,
	// and tells what it changes; nil: only the live rules can be tried.
	Rehearse func(ctx context.Context, e setting.Edit) (policy.Rules, []setting.Difference, error)
	// Sources tell the rules what they ask for and change nothing.
	Sources policy.Sources
	// Seal keeps a secret under a name (seal.Box.Seal); nil: none can be kept.
	Seal func(name string, plain []byte) (string, error)
	// Access and Bans are the settings of allow and block lists and of bans; nil
	// stands for their defaults.
	Access func() *access.Settings
	Bans   func() *ban.Settings
	// Greylist is the one that sessions ask; nil is that of the store.
	Greylist GreylistKeeper
	// GreylistKey is how the greylist names a client; nil is by its address.
	GreylistKey func(netip.Addr) string
	// Advise says what an administrator should know about a change of settings;
	// nil knows nothing.
	Advise func(ctx context.Context, changes []setting.Difference) []string
	// Forget is told of an account that was removed; nil for nobody.
	Forget func(ctx context.Context, id store.AccountID)
	// Quarantine is how long mail may be held back; nil: nobody removes it.
	Quarantine func() *accept.QuarantineSettings
	// Log tells of what was changed; nil is silent.
	Log *event.Logger
	// Resolver and Addresses, the machine's own, are for the reports on DNS.
	Resolver  Resolver
	Addresses func() []netip.Addr
	Version   string
	// Node is the name that claims of the queue carry.
	Node string
	// Zone is the time zone of the server; nil is that of the process.
	Zone func() *time.Location
}

// Service runs operations. It may be used by many goroutines.
type Service struct {
	o      Options
	began  time.Time
	doors  doors
	probes probes
}

// New returns a Service.
func New(o Options) *Service { return &Service{o: o, began: time.Now()} }

// Operations lists every operation there is.
func Operations() []Operation {
	var all []Operation
	for _, list := range [][]Operation{
		domainOperations(), accountOperations(),
		aliasOperations("alias", "/aliases", false), aliasOperations("group", "/groups", true),
		relayOperations(), relayDomainOperations(),
		settingOperations(), queueOperations(), quarantineOperations(), policyOperations(),
		accessOperations(), banOperations(), greylistOperations(), reportOperations(), traceOperations(), statusOperations(), tokenOperations(), dnsOperations(),
	} {
		all = append(all, list...)
	}
	return all
}

// Began is when the service was made: the start of the process.
func (s *Service) Began() time.Time { return s.began }
