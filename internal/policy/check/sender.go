package check

import (
	"context"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Sender says who may use which sender address.
type Sender struct {
	// Owned lets users send only as addresses of their account: its own
	// addresses and aliases and those granted to it, each also with +detail
	// (M-GEN-03). It judges the sender of the envelope and the From field.
	Owned bool `default:"true" factory:"false"`
	// SkipTrusted leaves mail of the trusted list out of the rules about senders
	// (M-GEN-04).
	// Without it a trusted client that does not log in cannot use an address
	// of an account here.
	SkipTrusted bool `default:"true"`
	// OwnSubmission refuses our own addresses to submission clients that have
	// not logged in.
	OwnSubmission bool `default:"true"`
	// OwnOutside refuses our own addresses as sender to the outside. Mailing
	// lists and forwarders bring our own mail back under our own address, so
	// switch it on only where DMARC says p=reject for the domain.
	OwnOutside bool `default:"false"`
	// Mode is how the verdicts of the rules about senders count.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// owned compares the reverse-path with the login.
func (s *Sender) owned(ctx context.Context, f *policy.Facts) policy.Verdict {
	switch {
	case !s.Owned:
		return policy.Passed("any sender is allowed")
	case f.Login == nil:
		return policy.Passed("nobody has logged in")
	case f.Sender.IsNull():
		return policy.Passed("the null sender is nobody's")
	}
	if v, skip := s.skipped(f); skip {
		return v
	}
	ok, err := f.OwnsSender(ctx, f.Sender)
	switch {
	case err != nil:
		return policy.Unable("looking up the owner of the sender", err)
	case ok:
		return policy.Passed("the sender belongs to the login")
	}
	return policy.Refused(
		reply.New(553, reply.E(5, 7, 1), "Sender address rejected: not owned by user"),
		f.Sender.Path()+" does not belong to the account "+login(f)).By("policy.sender.owned")
}

// unauthenticated guards our own addresses against clients without a login.
func (s *Sender) unauthenticated(ctx context.Context, f *policy.Facts) policy.Verdict {
	if f.Login != nil || f.Sender.IsNull() {
		return policy.Passed("logged in, or the null sender")
	}
	var setting string
	switch {
	case f.Kind == policy.Trusted || f.Trust != policy.Untrusted:
		if !s.Owned {
			return policy.Passed("any sender is allowed")
		}
		if v, skip := s.skipped(f); skip {
			return v
		}
		setting = "policy.sender.skip_trusted"
	case f.Kind == policy.Submission && s.OwnSubmission:
		setting = "policy.sender.own_submission"
	case f.Kind == policy.MX && s.OwnOutside:
		setting = "policy.sender.own_outside"
	default:
		return policy.Passed("our own addresses are free to use here")
	}
	local, err := f.LocalSender(ctx)
	switch {
	case err != nil:
		return policy.Unable("looking up the owner of the sender", err)
	case !local:
		return policy.Passed("the sender is no address of ours")
	}
	return policy.Refused(
		reply.New(553, reply.E(5, 7, 1), "Sender address rejected: not logged in"),
		f.Sender.Path()+" belongs to an account here and the client has not logged in").By(setting)
}

// skipped reports that M-GEN-02 or M-GEN-04 lifts the rule for the client.
func (s *Sender) skipped(f *policy.Facts) (policy.Verdict, bool) {
	switch {
	case f.Trust == policy.LocalNetwork:
		return policy.Passed("the client is in a local network"), true
	case f.Trust == policy.TrustedList && s.SkipTrusted:
		return policy.Passed("the client is on the trusted list"), true
	}
	return policy.Verdict{}, false
}

// author compares the addresses of the From field with the login.
func (s *Sender) author(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !s.Owned || f.Login == nil {
		return policy.Passed("any author is allowed")
	}
	if v, skip := s.skipped(f); skip {
		return v
	}
	if f.FromBroken {
		return notAuthor("the From field cannot be read, so nobody can say whose it is")
	}
	for _, a := range f.From {
		ok, err := f.OwnsSender(ctx, a)
		switch {
		case err != nil:
			return policy.Unable("looking up the owner of the author address", err)
		case !ok:
			return notAuthor("From names " + a.Path() + ", which does not belong to the account " + login(f))
		}
	}
	return policy.Passed("the author belongs to the login")
}

func notAuthor(reason string) policy.Verdict {
	return policy.Refused(reply.New(554, reply.E(5, 7, 1), "From address rejected: not owned by user"), reason)
}

// login names the account for the operator.
func login(f *policy.Facts) string {
	if len(f.Login.Addresses) == 0 {
		return "without addresses"
	}
	return f.Login.Addresses[0].String()
}
