package check

import (
	"context"
	"net/netip"
	"testing"

	"posthorn/internal/policy"
)

// answers is an Authenticity that was told what to say.
type answers struct{ policy.Authentication }

func (a answers) SPF(context.Context, *policy.Facts) policy.SPF { return policy.SPF{Result: "none"} }

func (a answers) Message(context.Context, *policy.Facts) policy.Authentication {
	return a.Authentication
}

func judgeOrigin(a policy.Authentication, broken bool) policy.Verdict {
	s := defaults()
	f := &policy.Facts{Kind: policy.MX, Client: netip.MustParseAddr("192.0.2.1"), FromBroken: broken, Content: &policy.Message{}, Sources: policy.Sources{Authenticity: answers{a}}}
	return s.Authentic.dmarc(context.Background(), f)
}

func TestAnUnreadableAuthorDoesNotEscapeDMARC(t *testing.T) {
	t.Parallel()
	for result, junk := range map[string]bool{"permerror": true, "none": true, "pass": false} {
		v := judgeOrigin(policy.Authentication{DMARC: policy.Conformance{Result: result}}, true)
		if got := v.Effects != nil && v.Effects.Junk != ""; got != junk || v.Action != policy.Pass {
			t.Errorf("%s: %+v", result, v)
		}
		if v = judgeOrigin(policy.Authentication{DMARC: policy.Conformance{Result: result}}, false); v.Effects != nil {
			t.Errorf("%s with an author that can be read: %+v", result, v)
		}
	}
}

func TestASealThatCannotBeVerifiedNowIsNoRefusalForGood(t *testing.T) {
	t.Parallel()
	a := policy.Authentication{DMARC: policy.Conformance{Result: "fail", Policy: "reject", Domain: "bank.test"}, Chain: policy.Chain{Result: "temperror", Trusted: true, Sealer: "list.test"}}
	if v := judgeOrigin(a, false); v.Action != policy.Defer || v.Reply.Code != 451 {
		t.Errorf("%+v", v)
	}
	a.Chain.Trusted = false
	if v := judgeOrigin(a, false); v.Action != policy.Reject {
		t.Errorf("a seal nobody believes put off: %+v", v)
	}
}
