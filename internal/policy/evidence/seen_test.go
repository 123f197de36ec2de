package evidence

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/dmarc"
)

func TestRowsOfOurReportsSayWhatWasSeen(t *testing.T) {
	t.Parallel()
	const rua = "; rua=mailto:d@example.org"
	signed := sign(t, author("example.net", "r"), sign(t, author("mail.example.org", "e"), sample))
	const defaults = "; np=reject; adkim=r; aspf=r; pct=100; ri=86400; fo=0; rua=mailto:d@example.org"
	day := time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	base := store.DMARCSeen{Day: day, Domain: "example.org", Source: v4, HeaderFrom: "example.org", EnvelopeFrom: "example.org", Count: 1,
		Disposition: "none", DKIM: "fail", SPF: "pass", SPFDomain: "example.org", SPFRaw: "pass", Policy: "v=DMARC1; p=reject; sp=reject" + defaults}
	for name, c := range map[string]struct {
		text, record string
		change       func(*policy.Facts)
		want         func(*store.DMARCSeen)
	}{
		"SPF": {text: sample, record: "p=reject" + rua, want: func(*store.DMARCSeen) {}},
		"mapped client": {text: sample, record: "p=reject" + rua, want: func(*store.DMARCSeen) {},
			change: func(f *policy.Facts) { f.Client = netip.MustParseAddr("::ffff:192.0.2.1") }},
		"the aligned signature of two": {text: signed, record: "p=reject" + rua, want: func(s *store.DMARCSeen) {
			s.DKIM, s.DKIMDomain, s.DKIMSelector, s.DKIMRaw = "pass", "mail.example.org", "e", "pass"
		}},
		"the first, none is aligned": {text: signed, record: "p=reject; adkim=s" + rua, want: func(s *store.DMARCSeen) {
			s.DKIMDomain, s.DKIMSelector, s.DKIMRaw = "example.net", "r", "pass"
			s.Policy = "v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=r; pct=100; ri=86400; fo=0; rua=mailto:d@example.org"
		}},
		"the one that passes": {text: strings.Replace(signed, "d=example.net; s=r", "d=example.net; s=x", 1), record: "p=reject; adkim=s" + rua, want: func(s *store.DMARCSeen) {
			s.DKIMDomain, s.DKIMSelector, s.DKIMRaw = "mail.example.org", "e", "pass"
			s.Policy = "v=DMARC1; p=reject; sp=reject; np=reject; adkim=s; aspf=r; pct=100; ri=86400; fo=0; rua=mailto:d@example.org"
		}},
		"fail": {text: sample, record: "p=reject" + rua, change: func(f *policy.Facts) { f.Sender = mail.Address{} }, want: func(s *store.DMARCSeen) {
			s.EnvelopeFrom, s.SPF, s.SPFDomain, s.SPFRaw, s.Disposition = "", "fail", "mx.example.org", "none", "reject"
		}},
		"sampled": {text: sample, record: "p=reject; pct=0" + rua, change: func(f *policy.Facts) { f.Sender = mail.Address{} }, want: func(s *store.DMARCSeen) {
			s.EnvelopeFrom, s.SPF, s.SPFDomain, s.SPFRaw, s.Disposition, s.Override = "", "fail", "mx.example.org", "none", "quarantine", "sampled_out"
			s.Policy = "v=DMARC1; p=reject; sp=reject; np=reject; adkim=r; aspf=r; pct=0; ri=86400; fo=0; rua=mailto:d@example.org"
		}},
		"nobody wants to know": {text: sample, record: "p=reject"},
		"broken":               {text: sample, record: "p=x"},
		"no author":            {text: "To: a\r\n\r\n", record: "p=reject" + rua},
		"another kind":         {text: sample, record: "p=reject" + rua, change: func(f *policy.Facts) { f.Kind = policy.Trusted }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := authority.New(t, everybody(t), spfZone, `_dmarc.example.org. TXT "v=DMARC1; `+c.record+`"`)
			f := judged(authenticity(z), c.text)
			if c.change != nil {
				c.change(f)
			}
			row, ok := Seen(f, f.SPF(t.Context()), f.Authentication(t.Context()))
			want := store.DMARCSeen{}
			if c.want != nil {
				want = base
				c.want(&want)
			}
			if ok != (c.want != nil) || !reflect.DeepEqual(row, want) {
				t.Errorf("%+v\nwant %+v", row, want)
			}
		})
	}
}

func TestRecordsAreWrittenAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"v=DMARC1; p=none",
		"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=s; pct=7; t=y; psd=n; ri=3600; fo=1:d:s; rua=mailto:a@example.org!10m,https://example.org/x!5,mailto:b@example.net!1000k; ruf=mailto:c@example.org",
		"v=DMARC1; p=reject; psd=y; rua=mailto:a@example.org!4194303",
		"v=DMARC1; p=reject; rua=mailto:a@example.org!4194303t",
	} {
		want, err := dmarc.ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		want.FailureTo = nil
		got, err := dmarc.ParseRecord(recordText(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s becomes %s: %v\n%+v\n%+v", text, recordText(want), err, got, want)
		}
	}
}
