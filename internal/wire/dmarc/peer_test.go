package dmarc

import (
	"slices"
	"testing"

	peer "github.com/emersion/go-msgauth/dmarc"
)

// TestCorrectRecordsMeanTheSameToOthers compares with a library that takes
// correct records only.
func TestCorrectRecordsMeanTheSameToOthers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"v=DMARC1; p=none", "v=DMARC1; p=reject; sp=none; adkim=s; aspf=r; pct=20; ri=3600; fo=1",
		"v=DMARC1; p=quarantine; rua=mailto:a@b.test,mailto:c@d.test; ruf=mailto:e@f.test", "v=DMARC1;p=reject;pct=100;",
	} {
		got, err := ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := peer.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		percent, sub := 100, want.SubdomainPolicy
		if want.Percent != nil {
			percent = *want.Percent
		}
		if sub == "" {
			sub = want.Policy
		}
		uris := func(list []Destination) (all []string) {
			for _, d := range list {
				all = append(all, d.URI)
			}
			return all
		}
		if string(got.Policy) != string(want.Policy) || string(got.Subdomain) != string(sub) || got.Percent != percent ||
			(got.DKIM == Strict) != (want.DKIMAlignment == peer.AlignmentStrict) || (got.SPF == Strict) != (want.SPFAlignment == peer.AlignmentStrict) ||
			!slices.Equal(uris(got.AggregateTo), want.ReportURIAggregate) || !slices.Equal(uris(got.FailureTo), want.ReportURIFailure) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
