package check

import (
	"context"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Auth says who must log in (M-GEN-01).
type Auth struct {
	// Enabled offers SMTP authentication. Without it nobody can log in to send:
	// only trusted clients can send mail to the outside.
	Enabled bool `default:"true" factory:"true"`
	// Everywhere demands a login in every session of clients that are not
	// trusted, on port 25 too. The server then receives no mail from outside.
	Everywhere bool `default:"false"`
}

// Check refuses MAIL before a login where one is demanded.
func (a *Auth) Check(_ context.Context, f *policy.Facts) policy.Verdict {
	f.Saw("session", f.Kind.String())
	switch {
	case f.Login != nil:
		return policy.Passed("logged in")
	case f.Kind == policy.Trusted:
		return policy.Passed("the client is trusted")
	case f.Kind == policy.Submission:
		return loginRequired("on the submission ports everybody has to log in").By("policy.trust.local")
	case a.Everywhere:
		return loginRequired("every session needs a login, whatever the port").By("policy.auth.everywhere")
	}
	return policy.Passed("mail from outside needs no login")
}

// loginRequired is the reply of RFC 4954 §6.
func loginRequired(reason string) policy.Verdict {
	return policy.Refused(reply.New(530, reply.E(5, 7, 0), "Authentication required"), reason)
}
