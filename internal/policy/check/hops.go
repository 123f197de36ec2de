package check

import (
	"context"
	"fmt"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Hops ends mail loops (M-GEN-10).
type Hops struct {
	// Inbound is how many Received fields a message from outside may carry.
	// RFC 5321 §6.3 wants at least 100 where only they are counted; 50 has
	// proved enough and stops a loop sooner.
	Inbound int `default:"50" min:"1" max:"1000"`
	// Outbound is how many Received fields mail of users may carry, and of
	// trusted clients to other servers.
	Outbound int `default:"50" min:"1" max:"1000"`
}

// Check counts Received fields and looks for a recipient the message was
// delivered to before. A mailbox here keeps such a message, and sends it on no
// more (docs/decisions/0017); only what nobody here could keep is refused.
func (h *Hops) Check(_ context.Context, f *policy.Facts) policy.Verdict {
	limit, setting := h.Inbound, "policy.hops.inbound"
	if f.Outbound() {
		limit, setting = h.Outbound, "policy.hops.outbound"
	}
	f.SawNumber("received fields", int64(f.Hops))
	if f.Hops > limit {
		return looping(fmt.Sprintf("the message has %d Received fields and the limit is %d", f.Hops, limit)).By(setting)
	}
	if addr, ok := deliveredBefore(f, f.SentOn); ok {
		return looping("the message was delivered to " + addr + " before: its Delivered-To field says so")
	}
	if addr, ok := deliveredBefore(f, f.Recipients); ok {
		return policy.Passed("the message was delivered to " + addr + " before: it is kept here and not sent on again")
	}
	return policy.Passed("no loop")
}

func looping(reason string) policy.Verdict {
	return policy.Refused(reply.New(554, reply.E(5, 4, 6), "Mail loop detected: too many hops"), reason)
}

// deliveredBefore finds one of the recipients among the Delivered-To fields.
func deliveredBefore(f *policy.Facts, recipients []mail.Address) (string, bool) {
	for _, text := range f.DeliveredTo {
		addr, err := mail.ParseAddress(text)
		if err != nil {
			continue // a field of another program's make
		}
		key := addr.Key()
		for _, r := range recipients {
			if r.Key() == key {
				return addr.String(), true
			}
		}
	}
	return "", false
}
