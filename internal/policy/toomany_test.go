package policy

import (
	"context"
	"testing"

	"posthorn/internal/base/reply"
)

// Only our own limit lets the message through for the others (M-GEN-09): a
// milter may use the same status for reasons of its own.
func TestOnlyOurLimitCountsRecipientsAsTooMany(t *testing.T) {
	for name, want := range map[string]int{recipientLimit: 1, "milter": 0} {
		for _, r := range []reply.Reply{reply.New(452, reply.E(4, 5, 3), "no"), reply.New(552, reply.E(5, 5, 3), "no")} {
			f := &Facts{}
			e := Entry{Stage: Rcpt, Name: name, Check: CheckFunc(func(context.Context, *Facts) Verdict { return Refused(r, "because") })}
			if d := judge(t, Rcpt, f, e); !d.Refuses() || f.OverLimit != want {
				t.Errorf("%s %s: %d counted", name, r.String(), f.OverLimit)
			}
		}
	}
}
