package check

import (
	"context"
	"fmt"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Recipients limits the recipients of one message (M-GEN-09). N are accepted,
// the next is refused; refused recipients do not count.
type Recipients struct {
	// Inbound is the most recipients of a message from outside; 0 is no limit.
	// Below 100 it offends RFC 5321 §4.5.3.1.8.
	Inbound int `default:"200" factory:"25" min:"0" max:"100000"`
	// Outbound is the most recipients of a message of users, and of trusted
	// clients to other servers; 0 is no limit.
	Outbound int `default:"100" factory:"25" min:"0" max:"100000"`
	// Excess says what happens to inbound mail above the limit: "defer"
	// accepts the first recipients and lets the sender bring the others in
	// another message, "refuse" refuses the whole message.
	Excess string `default:"defer" oneof:"defer,refuse"`
	// Mode is how the verdict on too many recipients counts.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// limit returns the limit of a direction and the setting it comes from.
func (r *Recipients) limit(outbound bool) (int, string) {
	if outbound {
		return r.Outbound, "policy.recipients.outbound"
	}
	return r.Inbound, "policy.recipients.inbound"
}

// announced is the RCPTMAX of EHLO (RFC 9422).
func (r *Recipients) announced(kind policy.Kind, trust policy.Trust) int {
	if trust == policy.TrustedClass {
		return 0 // B1G-CLS-02
	}
	switch {
	case kind == policy.Submission:
		return r.Outbound
	case kind == policy.MX:
		return r.Inbound
	case r.Inbound == 0 || r.Outbound == 0:
		return max(r.Inbound, r.Outbound)
	}
	return min(r.Inbound, r.Outbound) // the number that is safe either way
}

// whole reports that a message with too many recipients is refused whole.
func (r *Recipients) whole(f *policy.Facts) bool {
	return f.Kind == policy.Submission || f.Kind == policy.MX && r.Excess == "refuse"
}

// atRcpt counts the recipient being judged.
func (r *Recipients) atRcpt(_ context.Context, f *policy.Facts) policy.Verdict {
	outbound := f.Outbound() || f.Kind == policy.Trusted && elsewhere(f)
	limit, setting := r.limit(outbound)
	f.SawNumber("accepted so far", int64(f.Accepted))
	if limit == 0 || f.Accepted < limit {
		return policy.Passed("few enough recipients")
	}
	reason := fmt.Sprintf("%d recipients were accepted already and the limit is %d", f.Accepted, limit)
	if r.whole(f) {
		return policy.Refused(reply.New(550, reply.E(5, 5, 3), "Too many recipients"), reason).By(setting)
	}
	return policy.Refused(reply.New(452, reply.E(4, 5, 3), "Too many recipients, send the others in another message"), reason).By(setting)
}

// atData refuses the message of which recipients were refused, so that the
// author sees one clear failure instead of a partly sent message.
func (r *Recipients) atData(_ context.Context, f *policy.Facts) policy.Verdict {
	_, setting := r.limit(f.Outbound())
	f.SawNumber("over the limit", int64(f.OverLimit))
	if f.OverLimit == 0 || !r.whole(f) {
		return policy.Passed("few enough recipients")
	}
	return policy.Refused(reply.New(554, reply.E(5, 5, 3), "Too many recipients, message refused"),
		fmt.Sprintf("%d recipients were above the limit, so the whole message is refused", f.OverLimit)).By(setting)
}
