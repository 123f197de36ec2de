package check

import (
	"context"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// SPF says what follows from whether the sender's domain names the client as
// one of its servers (RFC 7208, B1G-SPF). Clients that are trusted or have
// logged in are not judged.
type SPF struct {
	// RefuseFail refuses mail of which the sender's domain says that it does not
	// come from its servers, and tells the domain's own explanation. No other
	// result is ever refused (B1G-SPF-04).
	RefuseFail bool `default:"true"`
	// DeferError puts mail off while the domain's records cannot be looked up.
	DeferError bool `default:"false"`
	// PassSkipsGreylist lifts the greylist for a client that the sender's
	// domain names (B1G-SPF-03).
	PassSkipsGreylist bool `default:"true"`
	// Field writes the Received-SPF field (B1G-SPF-02).
	Field bool `default:"true"`
	// Mode is how the verdict of SPF counts; off looks nothing up (B1G-SPF-01).
	Mode policy.Mode `default:"enforce" trial:"observe" oneof:"enforce,observe,off"`
}

// check refuses result fail.
func (s *SPF) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	if !authenticated(f) {
		return policy.Passed("only mail from outside is judged")
	}
	r := f.SPF(ctx)
	switch {
	case r.Result == "fail" && s.RefuseFail:
		text := "SPF: " + r.Domain + " does not allow your host to send for it"
		if r.Explanation != "" {
			text = r.Domain + " explains: " + r.Explanation
		}
		return policy.Refused(reply.New(550, reply.E(5, 7, 23), text), "SPF of "+r.Domain+" says fail by "+r.Mechanism)
	case r.Result == "temperror" && s.DeferError:
		return policy.Refused(reply.New(451, reply.E(4, 7, 24), "SPF records cannot be looked up now"), "SPF of "+r.Domain+": "+r.Problem)
	case r.Result == "":
		return policy.Passed("nobody was asked")
	}
	return policy.Passed("SPF says " + r.Result)
}

// authenticated reports that the session's mail comes from outside, so that
// its origin is judged.
func authenticated(f *policy.Facts) bool {
	return f.Kind == policy.MX && f.Login == nil && f.Trust == policy.Untrusted && f.Client.IsValid()
}
