package check

import (
	"context"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// relaying refuses to carry strangers' mail to others (M-GEN-01).
func relaying(_ context.Context, f *policy.Facts) policy.Verdict {
	f.Saw("session", f.Kind.String())
	if f.Login != nil || f.Kind == policy.Trusted {
		return policy.Passed("logged in or trusted")
	}
	if elsewhere(f) {
		return policy.Refused(
			reply.New(550, reply.E(5, 7, 1), "Relay access denied"),
			mail.Unicode(f.Recipient.Domain)+" is not a domain of this server, and the client has neither logged in nor is it trusted")
	}
	if routed(f.Recipient.Local) && !deliverable(f) {
		return policy.Refused(
			reply.New(554, reply.E(5, 7, 1), "Relay access denied"),
			f.Recipient.Path()+" asks to be passed on to another host")
	}
	return policy.Passed("the domain is ours")
}

// routed reports a local part that names a further host: user%host, host!user
// or "user@host" (RFC 5321 §3.6.1 and appendix F.2).
func routed(local string) bool { return strings.ContainsAny(local, "%!@") }
