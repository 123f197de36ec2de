package check

import (
	"context"
	"strings"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Authentic says what follows from signatures and from the wishes of the
// author's domain (DKIM, ARC, DMARC). Only mail from outside is judged.
type Authentic struct {
	// Verify verifies signatures and applies DMARC, and writes the results into
	// an Authentication-Results field.
	Verify bool `default:"true"`
	// RefuseBroken refuses mail whose every DKIM signature is broken. RFC 6376
	// §6.3 advises against it: mailing lists break signatures of honest mail.
	RefuseBroken bool `default:"false"`
	// Reject is what happens to mail that fails DMARC when its domain asks for
	// rejection: it is refused, filed in Junk, or only marked.
	Reject string `default:"refuse" oneof:"refuse,junk,mark"`
	// Quarantine is what happens when the domain asks for quarantine.
	Quarantine string `default:"junk" oneof:"refuse,junk,mark"`
	// Forwarders are domains whose seal is believed (ARC): mail that passed DMARC
	// when it came to them is not refused for failing it here.
	Forwarders []string `default:"" kind:"domain"`
	// TreeWalk finds the policy domain by walking up the labels, as the coming
	// DMARC standard does, instead of by the list of public suffixes.
	TreeWalk bool `default:"false"`
	// Mode is how the verdicts on signatures and DMARC count.
	Mode policy.Mode `default:"enforce" trial:"observe" oneof:"enforce,observe,off"`
}

// results writes what is known of the message's origin into its header.
func (a *Authentic) results(s *SPF) policy.CheckFunc {
	return func(ctx context.Context, f *policy.Facts) policy.Verdict {
		if !authenticated(f) {
			return policy.Passed("only mail from outside is judged")
		}
		var e policy.Effects
		if a.Verify {
			if r := f.Authentication(ctx); r.Field != "" {
				e.Fields = append(e.Fields, r.Field)
			}
		}
		if s.Mode != policy.Off && s.Field {
			if r := f.SPF(ctx); r.Field != "" {
				e.Fields = append(e.Fields, r.Field)
			}
		}
		v := policy.Passed("the results are in the header")
		if len(e.Fields) > 0 {
			v.Effects = &e
		}
		return v
	}
}

// signatures refuses broken ones, if that is wanted (M-SEC-BW-13).
func (a *Authentic) signatures(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !a.Verify || !authenticated(f) {
		return policy.Passed("signatures are not judged")
	}
	all := f.Authentication(ctx).Signatures
	if len(all) == 0 {
		return policy.Passed("there is no signature")
	}
	broken := policy.Signature{}
	for _, s := range all {
		switch s.Result {
		case "pass":
			return policy.Passed("signed by " + s.Domain)
		case "temperror":
			return policy.Passed("the key of " + s.Domain + " cannot be looked up now")
		case "fail":
			broken = s
		}
	}
	if broken.Result == "" || !a.RefuseBroken {
		return policy.Passed("no signature passes")
	}
	return policy.Refused(reply.New(550, reply.E(5, 7, 20), "No DKIM signature of the message passes"),
		"the signature of "+broken.Domain+" is broken: "+broken.Reason)
}

// undecided reports that DMARC neither proves nor disproves the author's domain.
func undecided(d policy.Conformance) bool { return d.Result != "pass" && d.Result != "fail" }

// dmarc does what the author's domain asks for (M-SEC-BW-14).
func (a *Authentic) dmarc(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !a.Verify || !authenticated(f) {
		return policy.Passed("DMARC is not applied")
	}
	r := f.Authentication(ctx)
	d := r.DMARC
	if f.FromBroken && undecided(d) && a.Quarantine != "mark" {
		// What readers show may name a domain that asks for protection.
		v := policy.Passed("the From field cannot be read, so nobody can say whose policy applies")
		v.Effects = &policy.Effects{Junk: "a From field that cannot be read"}
		return v
	}
	if d.Result != "fail" {
		return policy.Passed(strings.TrimSpace("DMARC says " + d.Result + " " + d.Reason))
	}
	if r.Chain.Result == "pass" && r.Chain.Trusted && r.Chain.Passed {
		return policy.Passed("DMARC passed when the message came to " + r.Chain.Sealer + ", whose seal is believed")
	}
	if r.Chain.Trusted && r.Chain.Result == "temperror" {
		return policy.Refused(reply.New(451, reply.E(4, 7, 0), "The seal of the forwarder cannot be verified now"), "the key of "+r.Chain.Sealer+", whose seal would be believed, cannot be looked up now")
	}
	wish := ""
	switch {
	case d.Sampled && d.Policy == "reject":
		wish = a.Quarantine // RFC 7489 §6.6.4: one step less
	case d.Sampled:
		return policy.Passed("the domain leaves this message out of its policy (pct)")
	case d.Policy == "reject":
		wish = a.Reject
	case d.Policy == "quarantine":
		wish = a.Quarantine
	}
	reason := "the author's domain " + d.Domain + " asks to " + d.Policy + " mail that fails DMARC, and nothing authenticates this as its mail"
	switch wish {
	case "refuse":
		return policy.Refused(reply.New(550, reply.E(5, 7, 26), "Message rejected by the DMARC policy of "+d.Domain), reason)
	case "junk":
		v := policy.Passed(reason)
		v.Effects = &policy.Effects{Junk: "DMARC policy of " + d.Domain}
		return v
	}
	return policy.Passed("DMARC fails; the domain " + d.Domain + " asks for " + d.Policy)
}
