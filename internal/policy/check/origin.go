package check

import (
	"context"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Origin says what the domain of a sender must be like (M-SEC-SP).
type Origin struct {
	// Full is how the verdict counts that a sender has no full domain
	// (M-SEC-SP-01).
	Full policy.Mode `default:"enforce" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// Known is how the verdict counts that DNS does not know the sender's domain
	// as one that can get mail (M-SEC-SP-02). It concerns recipients who have no
	// mailbox here: those of relay domains and of other servers.
	Known policy.Mode `default:"enforce" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// KnownForLocal asks for mail to our own mailboxes too whether DNS knows the
	// sender's domain as one that can get mail, and judges it as
	// policy.origin.known says.
	KnownForLocal bool `default:"true" factory:"false"`
}

// full refuses senders without a full domain (M-SEC-SP-01).
func (o *Origin) full(n *Names) policy.CheckFunc {
	return func(_ context.Context, f *policy.Facts) policy.Verdict {
		d := f.Sender.Domain
		switch {
		case f.Sender.IsNull():
			return policy.Passed("the null sender")
		case !n.concerns(f):
			return policy.Aside(notJudged)
		case d == "" && strings.EqualFold(f.Sender.Local, "postmaster"):
			return policy.Passed("postmaster needs no domain")
		case strings.HasPrefix(d, "["), strings.Contains(strings.TrimSuffix(d, "."), "."):
			return policy.Passed("a full domain")
		}
		return policy.Refused(reply.New(504, reply.E(5, 5, 2), "Sender address rejected: need a fully qualified address"),
			f.Sender.Path()+" has no full domain")
	}
}

// known refuses senders whose domain cannot get mail (M-SEC-SP-02).
func (o *Origin) known(ctx context.Context, f *policy.Facts) policy.Verdict {
	switch {
	case f.Sender.IsNull() || f.Sender.Domain == "" || strings.HasPrefix(f.Sender.Domain, "["):
		return policy.Passed("no domain to look up")
	case deliverable(f) && !o.KnownForLocal:
		return policy.Passed("the recipient has a mailbox here")
	}
	e := f.Exists(ctx, f.Sender.Domain)
	if bad := e.Null || e.Finding == policy.Absent || e.Finding == policy.Astray; bad && (f.Login != nil || f.Kind != policy.MX) {
		// A domain of ours need not be in DNS to be answered. Strangers are not
		// told which senders are real.
		local, err := f.LocalSender(ctx)
		if err != nil {
			return policy.Unable("looking up the owner of the sender", err)
		}
		if local {
			return policy.Passed("the sender has a mailbox here")
		}
	}
	domain := mail.Unicode(f.Sender.Domain)
	switch {
	case e.Null:
		return policy.Refused(reply.New(550, reply.E(5, 7, 27), "Sender address rejected: domain does not accept mail (null MX)"),
			"the sender's domain "+domain+" says in DNS that it takes no mail (RFC 7505)")
	case e.Finding == policy.Absent:
		return policy.Refused(reply.New(550, reply.E(5, 1, 8), "Sender address rejected: domain not found"),
			"the sender's domain "+domain+" has neither a mail server nor an address in DNS")
	case e.Finding == policy.Astray:
		return policy.Refused(reply.New(550, reply.E(5, 1, 8), "Sender address rejected: domain has no usable mail server"),
			"the mail servers of the sender's domain "+domain+" are no host names")
	case e.Finding == policy.Failed && f.Kind != policy.Submission:
		return policy.Refused(reply.New(451, reply.E(4, 4, 3), "Sender address cannot be looked up now"), "DNS does not answer for "+domain)
	}
	return policy.Passed("DNS knows the sender's domain")
}
