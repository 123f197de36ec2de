package evidence

import (
	"strings"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
)

// footed is what mailing lists do to messages.
func footed(text string) string {
	return strings.Replace(text, "Subject: Hi", "Subject: [list] Hi", 1) + "-- \r\nlist\r\n"
}

func TestSealsOfKnownForwardersAreBelieved(t *testing.T) {
	t.Parallel()
	signed := sign(t, author("example.org", "e"), sample)
	listed := func(results string) string { return seal(t, "list.example", results, footed(signed)) }
	const pass = "list.example; dkim=pass header.d=example.org; dmarc=pass (p=reject) header.from=Example.org"
	good := listed(pass)
	for name, c := range map[string]struct {
		text       string
		forwarders []string
		want       policy.Chain
	}{
		"no chain":             {footed(signed), []string{"list.example"}, policy.Chain{Result: "none"}},
		"known":                {good, []string{"other.example", " LIST.example. "}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true, Passed: true}},
		"stranger":             {good, []string{"other.example", "", ".", "a b"}, policy.Chain{Result: "pass", Sealer: "list.example"}},
		"nobody is known":      {good, nil, policy.Chain{Result: "pass", Sealer: "list.example"}},
		"below":                {seal(t, "mx.relay.example", pass, footed(signed)), []string{".relay.example"}, policy.Chain{Result: "pass", Sealer: "mx.relay.example", Trusted: true, Passed: true}},
		"below, not meant":     {seal(t, "mx.relay.example", pass, footed(signed)), []string{"relay.example", ".mx.relay.example"}, policy.Chain{Result: "pass", Sealer: "mx.relay.example"}},
		"DMARC failed there":   {listed("list.example; dmarc=fail header.from=example.org; dkim=pass"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true}},
		"DMARC of another":     {listed("list.example; dmarc=pass header.from=example.net"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true}},
		"no domain":            {listed("list.example; dmarc=pass"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true, Passed: true}},
		"broken domain":        {listed("list.example; dmarc=pass header.from=\"a b\""), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true}},
		"an address":           {listed("list.example; dmarc=pass header.from=joe@example.org"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true, Passed: true}},
		"broken results":       {listed("list.example; dmarc=pass (x"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true}},
		"in a comment":         {listed("list.example; dkim=fail (dmarc=pass header.from=example.org)"), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "list.example", Trusted: true}},
		"stranger behind":      {seal(t, "mx.relay.example", "mx.relay.example; arc=pass; dmarc=fail header.from=example.org", good), []string{"list.example"}, policy.Chain{Result: "pass", Sealer: "mx.relay.example"}},
		"the last one counts":  {seal(t, "mx.relay.example", "mx.relay.example; arc=pass; dmarc=fail header.from=example.org", good), []string{"list.example", "mx.relay.example"}, policy.Chain{Result: "pass", Sealer: "mx.relay.example", Trusted: true}},
		"changed on the way":   {footed(good), []string{"list.example"}, policy.Chain{Result: "fail", Reason: "the message signature of instance 1: the body was changed"}},
		"results were changed": {strings.Replace(listed("list.example; dmarc=fail header.from=example.org"), "dmarc=fail", "dmarc=pass", 1), []string{"list.example"}, policy.Chain{Result: "fail"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.org"`)
			f := judged(authenticity(z, c.forwarders...), c.text)
			f.Sender = mail.Address{Local: "bounces", Domain: "list.example"}
			r := f.Authentication(t.Context())
			got := r.Chain
			if c.want.Result == "fail" && c.want.Reason == "" {
				got.Reason, got.Sealer = "", "" // the seal is as good as its text
			}
			if got != c.want || r.DMARC.Result != "fail" {
				t.Errorf("%+v\nwant %+v\n%+v", r.Chain, c.want, r.DMARC)
			}
			said := ""
			for _, x := range results(t, r.Field) {
				if x.Method == "arc" {
					said = x.Value
				}
			}
			if want := strings.TrimPrefix(c.want.Result, "none"); said != want {
				t.Errorf("arc=%s\n%s", said, r.Field)
			}
			row, ok := Seen(f, f.SPF(t.Context()), r)
			if !ok || (row.Override == "trusted_forwarder") != c.want.Passed || (row.Disposition == "none") != c.want.Passed {
				t.Errorf("%+v", row)
			}
			r.Field, r.Outcome = "", nil
			roundTrip(t, r, &policy.Authentication{})
		})
	}
}

// A key that is only for testing makes nobody known.
func TestTestingSealsAreNotBelieved(t *testing.T) {
	t.Parallel()
	text := seal(t, "list.example", "list.example; dmarc=pass header.from=example.org", sample)
	r, _ := keys()
	z := authority.New(t, keyRecord(t, "r", "list.example", r, "t=y; "))
	if got := judged(authenticity(z, "list.example"), text).Authentication(t.Context()).Chain; got.Result != "pass" || got.Trusted || got.Passed {
		t.Errorf("%+v", got)
	}
}
