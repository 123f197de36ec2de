package check

import (
	"context"
	"fmt"

	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
)

// Quota says how mail to a full mailbox is refused.
type Quota struct {
	// Permanent refuses mail to a full mailbox for good. Otherwise senders are
	// asked to try again, for it may be a matter of hours until the user has
	// tidied up.
	Permanent bool `default:"false"`
	// Mode is how the verdict on a full mailbox counts. An observed one only
	// moves the refusal to the end of the message: the store files nothing
	// above the quota.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// Check refuses a recipient whose mailbox cannot take the declared size.
func (q *Quota) Check(ctx context.Context, f *policy.Facts) policy.Verdict {
	account, ok := oneAccount(f)
	if !ok {
		return policy.Passed("no mailbox of its own")
	}
	if d := f.Resolution.Deliveries; len(d) == 1 && d[0].Unlimited {
		return policy.Passed("the mailbox has no quota")
	}
	u, err := f.UsageOf(ctx, account)
	if err != nil {
		return policy.Unable("looking up the usage of the mailbox", err)
	}
	size := max(int64(f.DeclaredSize), 1)
	switch {
	case u.LimitBytes > 0 && size > u.LimitBytes-u.Bytes:
		reason := fmt.Sprintf("the mailbox of %s holds %s of %s", f.Recipient, unit.Size(u.Bytes).Words(), unit.Size(u.LimitBytes).Words())
		if f.DeclaredSize > 0 {
			reason += ", and the message has " + f.DeclaredSize.Words()
		}
		return q.full(reason)
	case u.LimitMessages > 0 && u.Messages >= u.LimitMessages:
		return q.full(fmt.Sprintf("the mailbox of %s holds %d of %d messages", f.Recipient, u.Messages, u.LimitMessages))
	}
	return policy.Passed("the mailbox has room")
}

func (q *Quota) full(reason string) policy.Verdict {
	if q.Permanent {
		return policy.Refused(reply.New(552, reply.E(5, 2, 2), "Mailbox full"), reason)
	}
	return policy.Refused(reply.New(452, reply.E(4, 2, 2), "Mailbox full, try again later"), reason)
}
