package check

import (
	"context"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Names says what the names of clients must be like. All of it concerns mail
// from outside; real senders' names are often wrong, so look at what observing
// shows before enforcing.
type Names struct {
	// Reverse looks up the client's name in DNS, for logs, the Received field
	// and the checks that need it (B1G-GEN-05).
	Reverse bool `default:"true"`
	// Client is how the verdict counts that a client's address leads to no name,
	// or its name not back to the address (M-SEC-CON-01).
	Client policy.Mode `default:"observe" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// HeloFull is how the verdict counts that a HELO name is no full name with a
	// domain (M-SEC-ADV-02). An address in brackets is one.
	HeloFull policy.Mode `default:"observe" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// HeloKnown is how the verdict counts that DNS does not know a HELO name
	// (M-SEC-ADV-03).
	HeloKnown policy.Mode `default:"observe" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// HeloMatch demands that the HELO name fits the client's name in DNS:
	// "exact" that it is the same, "domain" that it is in the same domain
	// (B1G-GEN-06). RFC 5321 §4.1.4 forbids to refuse mail for this alone, and
	// exact refuses many real senders.
	HeloMatch string `default:"off" oneof:"off,domain,exact"`
	// Pipelining is how the verdict counts that a client sends on without
	// waiting where it must (M-SEC-ADV-01).
	Pipelining policy.Mode `default:"enforce" factory:"off" trial:"observe" oneof:"enforce,observe,off"`
	// Stage says when a client is told: "rcpt", so that the record names sender
	// and recipient and postmaster can be reached, or "connection", as early as
	// it is known (M-SEC-CON-05).
	Stage string `default:"rcpt" oneof:"rcpt,connection"`
	// ApplyTo says whose HELO and sender names are judged: "outside", "trusted"
	// clients too, or "everybody", users who have logged in too.
	ApplyTo string `default:"outside" oneof:"outside,trusted,everybody"`
}

// early reports that refusals are given where they occur (M-SEC-CON-05).
func (n *Names) early() bool { return n.Stage == "connection" }

// stage is where a check that looks names up is asked: as late as possible.
func (n *Names) stage(early policy.Stage) policy.Stage {
	if n.early() {
		return early
	}
	return policy.Rcpt
}

// concerns reports whether the session's names are judged.
func (n *Names) concerns(f *policy.Facts) bool {
	switch {
	case f.Login != nil || f.Kind == policy.Submission:
		return n.ApplyTo == "everybody"
	case f.Kind == policy.Trusted || f.Trust != policy.Untrusted:
		return n.ApplyTo != "outside"
	}
	return true
}

const notJudged = "names of such clients are not judged"

// prefetch begins to look the client's name up, so that it is there when it is
// needed: clients wait for the greeting meanwhile. The answer stays with the
// resolver.
func (n *Names) prefetch(ctx context.Context, f *policy.Facts) {
	if n.Reverse && f.Kind == policy.MX && f.Names != nil && f.Recorded == nil && f.Client.IsValid() {
		names, client := f.Names, f.Client.Unmap()
		f.Help(func() { names.Reverse(ctx, client) }) // without help the check waits for it
	}
}

// reverse looks the client's name up and has nothing against anybody.
func (n *Names) reverse(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !n.Reverse || !f.Client.IsValid() {
		return policy.Passed("names of clients are not looked up")
	}
	f.Reverse(ctx)
	return policy.Passed("looked up for the record")
}

// lookUp is the client's name, unknown where names are not looked up.
func (n *Names) lookUp(ctx context.Context, f *policy.Facts) policy.Reverse {
	if !n.Reverse {
		return policy.Reverse{}
	}
	return f.Reverse(ctx)
}

// client refuses clients without a name that leads back (M-SEC-CON-01).
func (n *Names) client(ctx context.Context, f *policy.Facts) policy.Verdict {
	if f.Kind != policy.MX || f.Trust != policy.Untrusted || f.Login != nil || !f.Client.IsValid() {
		return policy.Aside(notJudged)
	}
	r := n.lookUp(ctx, f)
	refuse := func(reason string) policy.Verdict {
		return policy.Refused(reply.New(550, reply.E(5, 7, 25), "Client host rejected: cannot find your host name, ["+f.Client.Unmap().String()+"]"), reason)
	}
	switch r.Finding {
	case policy.Absent:
		return refuse(f.Client.Unmap().String() + " has no name in DNS")
	case policy.Astray:
		return refuse(f.Client.Unmap().String() + " is called " + r.Name + " in DNS, and that name does not lead back to it")
	case policy.Failed:
		return policy.Refused(reply.New(450, reply.E(4, 7, 25), "Client host rejected: cannot look up your host name now"),
			"the name of "+f.Client.Unmap().String()+" cannot be looked up now")
	case policy.Unknown:
		return policy.Passed("nobody was asked")
	}
	return policy.Passed("the client is " + r.Name)
}

// literal reports a HELO name that is an address in brackets (RFC 5321 §4.1.3).
func literal(name string) bool {
	return strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]")
}

// heloFull refuses HELO names without a domain (M-SEC-ADV-02).
func (n *Names) heloFull(_ context.Context, f *policy.Facts) policy.Verdict {
	if !n.concerns(f) {
		return policy.Aside(notJudged)
	}
	f.Saw("helo", f.Helo)
	if literal(f.Helo) || full(f.Helo) {
		return policy.Passed("a full name")
	}
	return policy.Refused(reply.New(504, reply.E(5, 5, 2), "HELO name rejected: need a fully qualified host name"),
		"the client calls itself "+quote(f.Helo)+", which is no full name")
}

// full reports a name with at least two labels that is no bare address.
func full(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	d, err := mail.ParseDomain(name)
	return err == nil && strings.Contains(d, ".")
}

// heloKnown refuses HELO names that are not in DNS (M-SEC-ADV-03).
func (n *Names) heloKnown(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !n.concerns(f) {
		return policy.Aside(notJudged)
	}
	if literal(f.Helo) {
		return policy.Passed("an address needs no name in DNS")
	}
	unknown := policy.Refused(reply.New(550, reply.E(5, 7, 1), "HELO name rejected: host not found"),
		"the client calls itself "+quote(f.Helo)+", which has neither an address nor a mail server in DNS")
	name, err := mail.ParseDomain(strings.TrimSuffix(f.Helo, "."))
	if err != nil {
		return unknown
	}
	switch f.Exists(ctx, name).Finding {
	case policy.Absent:
		return unknown
	case policy.Failed:
		return policy.Refused(reply.New(451, reply.E(4, 4, 3), "HELO name cannot be looked up now"), "DNS does not answer for "+quote(f.Helo))
	case policy.Unknown:
		return policy.Passed("nobody was asked")
	}
	return policy.Passed("DNS knows the name")
}

// heloMatch compares the HELO name with the client's (B1G-GEN-06).
func (n *Names) heloMatch(ctx context.Context, f *policy.Facts) policy.Verdict {
	if n.HeloMatch == "off" || n.HeloMatch == "" {
		return policy.Passed("HELO names are not compared")
	}
	if !n.Reverse {
		return policy.Passed("names of clients are not looked up (policy.names.reverse)")
	}
	r := f.Reverse(ctx)
	name := r.Verified() // anybody can claim the others (B1G-GEN-05)
	helo := strings.ToLower(strings.TrimSuffix(f.Helo, "."))
	f.Saw("helo", helo)
	switch {
	case r.Finding == policy.Failed:
		return policy.Refused(reply.New(451, reply.E(4, 4, 3), "Your host name cannot be looked up now"), "the name of the client cannot be looked up now")
	case r.Finding == policy.Unknown, helo == name && name != "":
		return policy.Passed("the HELO name is the client's name")
	case n.HeloMatch == "domain" && name != "" && sameDomain(helo, name):
		return policy.Passed("the HELO name is in the domain of the client's name " + name)
	}
	if r.Finding == policy.Absent && n.HeloMatch != "exact" {
		return policy.Passed("the client has no name in DNS to compare with")
	}
	have := name
	if have == "" {
		have = "nothing that leads back to it"
	}
	return policy.Refused(reply.New(550, reply.E(5, 7, 1), "HELO name does not match your host name"),
		"the client calls itself "+quote(f.Helo)+" and is "+have+" in DNS")
}

// sameDomain compares the registered domains of two names.
func sameDomain(a, b string) bool {
	da, erra := publicsuffix.EffectiveTLDPlusOne(a)
	db, errb := publicsuffix.EffectiveTLDPlusOne(b)
	return erra == nil && errb == nil && da == db
}

// pipelining refuses mail of clients that did not wait (M-SEC-ADV-01).
func (n *Names) pipelining(_ context.Context, f *policy.Facts) policy.Verdict {
	f.SawNumber("forbidden input", int64(f.ForbiddenInput))
	if f.Kind != policy.MX || f.ForbiddenInput == 0 {
		return policy.Passed("the client waits where it must")
	}
	r := reply.New(503, reply.E(5, 5, 0), "Improper use of SMTP command pipelining")
	if n.early() {
		r = r.Closing()
	}
	return policy.Refused(r, "the client sent on without waiting for a reply where RFC 2920 demands it")
}

// quote bounds and quotes what a client said.
func quote(s string) string { return `"` + s[:min(len(s), 128)] + `"` }
