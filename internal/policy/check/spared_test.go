package check

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// acquainted knows every host, proves every sender and puts everybody off.
type acquainted struct{}

func (acquainted) WellKnown(netip.Addr) bool                     { return true }
func (acquainted) SPF(context.Context, *policy.Facts) policy.SPF { return policy.SPF{Result: "pass"} }
func (acquainted) Message(context.Context, *policy.Facts) (a policy.Authentication) {
	return a
}

func (acquainted) Attempt(_ context.Context, a store.GreylistRow, _ time.Time, _ store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	return a, time.Minute, nil
}

// uncounted are lists that count nothing.
type uncounted struct{ *access.Table }

func (uncounted) Hit(*access.Rule) {}

func TestGreylistingOfRspamdKnowsOurExemptions(t *testing.T) {
	t.Parallel()
	allow, err := access.New(store.AccessRow{Name: "friends", Kind: string(access.Network), Value: "192.0.2.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(s *Settings, f *policy.Facts)
		spared bool
	}{
		"a stranger":        {func(*Settings, *policy.Facts) {}, false},
		"a login":           {func(_ *Settings, f *policy.Facts) { f.Login = &store.AccountRow{} }, true},
		"a trusted client":  {func(_ *Settings, f *policy.Facts) { f.Trust = policy.TrustedList }, true},
		"this machine":      {func(_ *Settings, f *policy.Facts) { f.Client = netip.MustParseAddr("127.0.0.1") }, true},
		"a class":           {func(_ *Settings, f *policy.Facts) { f.Class = policy.ClassNoGreylist }, true},
		"an allow rule":     {func(_ *Settings, f *policy.Facts) { f.Access = uncounted{access.NewTable([]*access.Rule{allow})} }, true},
		"a well-known host": {func(_ *Settings, f *policy.Facts) { f.Regulars = acquainted{} }, true},
		"SPF":               {func(_ *Settings, f *policy.Facts) { f.Authenticity = acquainted{} }, true},
		"SPF that skips nothing": {func(s *Settings, f *policy.Facts) {
			f.Authenticity, s.SPF.PassSkipsGreylist = acquainted{}, false
		}, false},
		"a well-known host that waits at the door, too": {func(s *Settings, f *policy.Facts) { f.Regulars, s.Door.WellKnown = acquainted{}, false }, false},
		"abuse": {func(_ *Settings, f *policy.Facts) {
			f.Recipients = []mail.Address{{Local: "Abuse", Domain: "here.test"}}
		}, true},
		"abuse and ann": {func(_ *Settings, f *policy.Facts) {
			f.Recipients = []mail.Address{{Local: "abuse", Domain: "here.test"}, {Local: "ann", Domain: "here.test"}}
		}, false},
	} {
		var s Settings
		s.Spam = Spam{URL: "http://filter.test", By: "score", Greylist: true}
		s.Greylist.Mode, s.SPF, s.Door.WellKnown = policy.Enforce, SPF{PassSkipsGreylist: true}, true
		f := &policy.Facts{Client: netip.MustParseAddr("192.0.2.1"), Recipients: []mail.Address{{Local: "ann", Domain: "here.test"}},
			Sources: policy.Sources{Greylist: acquainted{}, Scanners: &scanned{spam: policy.Spam{Opinion: policy.Suspect, Action: "greylist"}}}}
		c.change(&s, f)
		var v policy.Verdict
		check := s.Spam.check(&s)
		p := policy.NewPipeline(policy.Rules{Classify: func(*policy.Facts) {}, Table: []policy.Entry{{Stage: policy.Content, Name: "spam",
			Check: policy.CheckFunc(func(ctx context.Context, f *policy.Facts) policy.Verdict { v = check(ctx, f); return v })}}})
		p.Judge(t.Context(), policy.Connect, f) // looks the rules up
		f.Content = &policy.Message{}
		f.Recipients = append(f.Recipients, mail.Address{Local: "ann", Domain: "here.test"})
		c.change(&s, f)
		if p.Judge(t.Context(), policy.Content, f); (v.Action == policy.Pass) != c.spared {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
