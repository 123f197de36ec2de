package check

import (
	"context"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// recipientExists refuses addresses of our domains that lead nowhere.
func recipientExists(_ context.Context, f *policy.Facts) policy.Verdict {
	f.Saw("recipient", f.Resolution.Kind.String())
	switch f.Resolution.Kind {
	case directory.Unknown:
		return policy.Refused(
			reply.New(550, reply.E(5, 1, 1), "Recipient address rejected: no such user here"),
			nobody(f))
	case directory.Disabled:
		return policy.Refused(
			reply.New(550, reply.E(5, 2, 1), "Mailbox disabled, not accepting messages"),
			"the account of "+f.Recipient.Path()+" is switched off")
	case directory.DomainDisabled:
		return policy.Refused(
			reply.New(550, reply.E(5, 2, 1), "Domain disabled, not accepting messages"),
			"the domain "+f.Recipient.Domain+" is switched off")
	}
	return policy.Passed("the recipient exists")
}

// nobody says why an address of ours leads to nobody.
func nobody(f *policy.Facts) string {
	switch r := &f.Resolution; {
	case r.CatchAll:
		return "no account, alias or group has the address " + f.Recipient.Path() + ", and nobody has the catch-all address " + r.Via + " of its domain"
	case r.Alias != nil && r.Alias.Group:
		return "the group " + r.Via + " has no members who can get mail"
	case r.Alias != nil:
		return "the alias " + r.Via + " leads to no address that exists"
	}
	return "no account, alias or group has the address " + f.Recipient.Path() + ", and its domain has no catch-all"
}

// elsewhere reports that the recipient is in a domain that is not ours.
func elsewhere(f *policy.Facts) bool { return f.Resolution.Kind == directory.Elsewhere }

// deliverable reports that the recipient leads somewhere here.
func deliverable(f *policy.Facts) bool { return f.Resolution.Kind == directory.Local }

// oneAccount returns the account the recipient's mail is filed in, if it is
// exactly one.
func oneAccount(f *policy.Facts) (store.AccountID, bool) {
	return f.Resolution.Account, f.Resolution.Account != 0
}
