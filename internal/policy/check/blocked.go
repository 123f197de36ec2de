package check

import (
	"context"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
)

// Block rules (M-SEC-BW-01..08). Which of them match is found out by the
// pipeline, which also lets allow rules win.

// blockedClient refuses mail of listed clients.
func blockedClient(_ context.Context, f *policy.Facts) policy.Verdict {
	return block(f, f.Block(access.IP, access.Network), reply.New(554, reply.E(5, 7, 1), "Client host rejected: access denied"))
}

// blockedSender refuses mail of listed senders.
func blockedSender(_ context.Context, f *policy.Facts) policy.Verdict {
	return block(f, f.Block(access.Sender), reply.New(550, reply.E(5, 7, 1), "Sender address rejected: access denied"))
}

// blockedRecipient refuses mail to listed recipients.
func blockedRecipient(_ context.Context, f *policy.Facts) policy.Verdict {
	return block(f, f.Block(access.Recipient), reply.New(550, reply.E(5, 7, 1), "Recipient address rejected: access denied"))
}

// blockedAuthor applies block rules by sender that ask for it to the From field.
func blockedAuthor(_ context.Context, f *policy.Facts) policy.Verdict {
	return block(f, f.BlockAuthor(), reply.New(550, reply.E(5, 7, 1), "From address rejected: access denied"))
}

func block(f *policy.Facts, r *access.Rule, refusal reply.Reply) policy.Verdict {
	if r == nil {
		return policy.Passed("no block rule matches")
	}
	if f.Recorded == nil {
		f.Access.Hit(r)
	}
	if r.Discard {
		return policy.Verdict{Action: policy.Discard, Reason: "discarded by " + r.Describe()}
	}
	return policy.Refused(refusal, "refused by "+r.Describe())
}
