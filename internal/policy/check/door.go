package check

import (
	"context"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

// Door says how a client from outside is received before it may speak.
type Door struct {
	// GreetingDelay is how long the greeting is held back. A client that speaks
	// before it is no proper sender: it is told 554 and disconnected
	// (B1G-LIM-01). 0 is no delay and no test. Trusted clients, users' ports and
	// clients with an allow rule by address or network do not wait.
	GreetingDelay time.Duration `default:"5s" trial:"0s" min:"0s" max:"60s"`
	// WellKnown lets hosts whose mail was accepted within the last 30 days, and
	// this machine, in without a delay.
	WellKnown bool `default:"true" factory:"false"`
	// Mode is how the verdict on clients that speak too early counts. When it
	// is off, nobody waits.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// rejected sends clients of class reject away (B1G-CLS-04).
func rejected(_ context.Context, f *policy.Facts) policy.Verdict {
	f.Saw("class", f.Class.String())
	f.SawLists()
	if f.Class != policy.ClassReject {
		return policy.Passed("the class of the client is " + f.Class.String())
	}
	return policy.Refused(reply.New(554, reply.E(5, 7, 1), "No service for your host"),
		f.ClassBy+" puts the client into class reject")
}

// dialUp demands a login from clients of class dial-up (B1G-CLS-03).
func (a *Auth) dialUp(_ context.Context, f *policy.Facts) policy.Verdict {
	if f.Class != policy.ClassDialUp {
		return policy.Passed("the class of the client is " + f.Class.String())
	}
	reason := f.ClassBy + " puts the client into class dial-up, and it has not logged in"
	if !a.Enabled {
		return policy.Refused(reply.New(554, reply.E(5, 7, 1), "Dial-up hosts may not send mail here"), reason)
	}
	return policy.Refused(reply.New(530, reply.E(5, 7, 0), "Authentication required"), reason)
}

// bannedByHand sends away whom an administrator banned; no rule lifts that.
func bannedByHand(_ context.Context, f *policy.Facts) policy.Verdict {
	return judgeBan(f, func(k store.BanKind) bool { return k == store.BanManual })
}

// banned sends away whom the server banned by itself (B1G-BAN, M-SEC-ADV-04).
func banned(_ context.Context, f *policy.Facts) policy.Verdict {
	return judgeBan(f, func(k store.BanKind) bool {
		return k == store.BanDay || k == store.BanFailures && f.Class != policy.ClassNoGreylistNoBan
	})
}

func judgeBan(f *policy.Facts, concerns func(store.BanKind) bool) policy.Verdict {
	b, ok := f.Banned()
	if !ok || !concerns(b.Kind) {
		return policy.Passed("no such ban")
	}
	until := "until somebody lifts it"
	if !b.Until.IsZero() {
		until = "until " + b.Until.UTC().Format(time.RFC3339)
	}
	return policy.Refused(reply.New(554, reply.E(5, 7, 1), "Your host is blocked"),
		b.Host.String()+" is banned "+until+": "+b.Reason)
}

// greeting asks for the delay, and ends with whoever did not wait (B1G-LIM-01).
func (d *Door) greeting(_ context.Context, f *policy.Facts) policy.Verdict {
	switch {
	case f.Kind != policy.MX || f.Listener != "smtp":
		return policy.Passed("no greeting delay here")
	case d.GreetingDelay == 0:
		return policy.Passed("the greeting delay is off")
	case f.SpokeFirst:
		return policy.Refused(reply.New(554, reply.E(5, 5, 1), "Synchronization error, you spoke before the greeting").Closing(),
			"the client sent commands before it was greeted")
	case d.WellKnown && f.Client.Unmap().IsLoopback():
		return policy.Passed("the client is this machine")
	case d.WellKnown && f.WellKnown():
		return policy.Passed("the host's mail was accepted within the last 30 days")
	}
	v := policy.Passed("the client waits for the greeting")
	v.Delay = d.GreetingDelay
	return v
}
