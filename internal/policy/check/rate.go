package check

import (
	"context"
	"fmt"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Rate limits what one client host, an IPv4 address or IPv6 /64, does in a
// minute. A minute begins with the first event that counts; so many are
// allowed, the next is refused, and the host is free again when it ends.
type Rate struct {
	// Connections is how many new connections a host may open in a minute on
	// port 25; 0 is no limit (M-SEC-CON-04).
	Connections int `default:"0" min:"0" max:"1000000"`
	// ConnectionsExemptTrusted leaves trusted clients out of the limit of
	// connections.
	ConnectionsExemptTrusted bool `default:"true"`
	// Messages is how many messages a host may send in a minute; 0 is no limit
	// (M-SEC-CON-03).
	Messages int `default:"0" min:"0" max:"1000000"`
	// MessagesCount says which messages count: "every" one, or "outgoing", those
	// of trusted clients and of users who have logged in.
	MessagesCount string `default:"every" oneof:"every,outgoing"`
	// MessagesExemptTrusted leaves trusted clients out of the limit of messages.
	MessagesExemptTrusted bool `default:"false"`
	// MessagesExemptLogin leaves users who have logged in out of the limit of
	// messages.
	MessagesExemptLogin bool `default:"false"`
	// Mode is how the verdicts of the limits count.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// minute is the window of both limits.
const minute = time.Minute

// atConnect refuses hosts that connect too often, or are blocked for their
// messages.
func (r *Rate) atConnect(_ context.Context, f *policy.Facts) policy.Verdict {
	users := f.Kind == policy.Submission && r.MessagesExemptLogin // who has yet to log in
	if r.Messages > 0 && !users && r.messagesOf(f) && !(r.MessagesExemptTrusted && f.Trust != policy.Untrusted) {
		if p := f.Reached(policy.RateMessages, r.Messages, minute); p.Over {
			return refuseRate(f, p, "message rate exceeded", fmt.Sprintf("the host has sent %d messages in this minute; the limit is %d", p.Count, r.Messages)).By("policy.rate.messages")
		}
	}
	switch {
	case r.Connections == 0 || f.Listener != "smtp":
		return policy.Passed("no limit of connections here")
	case r.ConnectionsExemptTrusted && f.Trust != policy.Untrusted:
		return policy.Passed("the client is trusted")
	}
	p := f.Pace(policy.RateConnections, r.Connections, minute)
	if !p.Over {
		return policy.Passed(fmt.Sprintf("%d of %d connections in this minute", p.Count, r.Connections))
	}
	return refuseRate(f, p, "connection rate exceeded", fmt.Sprintf("the host has opened %d connections in this minute; the limit is %d", p.Count, r.Connections)).By("policy.rate.connections")
}

func refuseRate(f *policy.Facts, p policy.Pace, text, reason string) policy.Verdict {
	if p.Shared {
		reason += " (the table of hosts is full: it is counted together with its neighbours)"
	}
	wait := max(1, int((p.Until.Sub(f.Time)+time.Second-1)/time.Second))
	r := reply.New(421, reply.E(4, 7, 0), fmt.Sprintf("%s from %s, retry in %d s", text, f.Client.Unmap(), wait))
	return policy.Refused(r.Closing(), reason)
}

// atMail refuses messages beyond the limit (M-SEC-CON-03).
func (r *Rate) atMail(_ context.Context, f *policy.Facts) policy.Verdict {
	switch {
	case r.Messages == 0:
		return policy.Passed("no limit of messages")
	case r.MessagesExemptTrusted && f.Trust != policy.Untrusted:
		return policy.Passed("the client is trusted")
	case r.MessagesExemptLogin && f.Login != nil:
		return policy.Passed("the client has logged in")
	case !r.messagesOf(f):
		return policy.Passed("only outgoing messages count")
	}
	p := f.Pace(policy.RateMessages, r.Messages, minute)
	if !p.Over {
		return policy.Passed(fmt.Sprintf("%d of %d messages in this minute", p.Count, r.Messages))
	}
	return policy.Refused(reply.New(450, reply.E(4, 7, 1), "Too much mail from "+f.Client.Unmap().String()),
		fmt.Sprintf("the host has sent %d messages in this minute; the limit is %d", p.Count, r.Messages))
}

// messagesOf reports that messages of this session count, as far as is known.
func (r *Rate) messagesOf(f *policy.Facts) bool {
	return r.MessagesCount == "every" || f.Kind != policy.MX
}
