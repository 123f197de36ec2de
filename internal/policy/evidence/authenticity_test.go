package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/testkit/authority"
	"posthorn/internal/wire/dmarc"
)

// spfZone lets the client send for example.org.
const spfZone = "example.org. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"

func TestAnHonestMessagePassesEverything(t *testing.T) {
	t.Parallel()
	z := authority.New(t, everybody(t), spfZone, `_dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:d@example.org"`)
	text := sign(t, author("example.org", "r"), sign(t, author("example.org", "e"), sample))
	f := judged(authenticity(z), text)
	f.Hostname = "mx.example.org"
	got := f.Authentication(t.Context())
	o := got.Outcome
	if o == nil || o.Result != dmarc.Pass || !o.SPF || !o.DKIM {
		t.Fatalf("%+v", got)
	}
	want := "Authentication-Results: mx.example.test;\r\n" +
		"\tspf=pass smtp.mailfrom=joe@example.org;\r\n" +
		"\tdkim=pass (2048-bit key) header.d=example.org header.s=r\r\n\theader.a=rsa-sha256 header.b=*;\r\n" +
		"\tdkim=pass (256-bit key) header.d=example.org header.s=e\r\n\theader.a=ed25519-sha256 header.b=*;\r\n" +
		"\tdmarc=pass (p=reject) header.from=example.org;\r\n" +
		"\tiprev=pass (mx.example.org) policy.iprev=192.0.2.1\r\n"
	if shown := regexp.MustCompile(`header\.b=[^\s;]+`).ReplaceAllString(got.Field, "header.b=*"); shown != want {
		t.Errorf("%s\nwant\n%s", shown, want)
	}
	results(t, got.Field)
	for line := range strings.SplitSeq(got.Field, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
	for i, s := range got.Signatures {
		if s != (policy.Signature{Result: "pass", Domain: "example.org", Selector: "re"[i : i+1], Aligned: true}) {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if got.DMARC != (policy.Conformance{Result: "pass", Domain: "example.org", Policy: "reject", PolicyDomain: "example.org"}) {
		t.Errorf("%+v", got.DMARC)
	}
	got.Field, got.Outcome = "", nil
	roundTrip(t, got, &policy.Authentication{})
	if changed := judged(authenticity(z), strings.Replace(text, "Hello", "Hallo", 1)).Authentication(t.Context()); changed.Signatures[0].Result != "fail" || changed.DMARC.Result != "pass" {
		t.Errorf("%+v", changed) // SPF is still aligned
	}
}

func TestDMARCJoinsWhatWasFound(t *testing.T) {
	t.Parallel()
	text := sign(t, author("example.org", "e"), sample)
	from := func(field string) string {
		return strings.Replace(text, "From: Joe <joe@example.org>\r\n", field, 1)
	}
	below := sign(t, author("mail.example.org", "e"), sample)
	strange := sign(t, author("example.net", "e"), sample)
	const reject = `_dmarc.example.org. TXT "v=DMARC1; p=reject"` + "\n"
	for name, c := range map[string]struct {
		text, sender, zone, broken string
		tree                       bool
		want                       string // result policy of author at publisher, aligned signatures
	}{
		"no record":              {text: text, want: "none  of example.org at  true"},
		"signed":                 {text: text, zone: reject, want: "pass reject of example.org at example.org true"},
		"SPF only":               {text: sample, sender: "example.org", zone: reject, want: "pass reject of example.org at example.org"},
		"SPF of another":         {text: sample, sender: "example.net", zone: reject, want: "fail reject of example.org at example.org"},
		"nothing":                {text: sample, zone: reject, want: "fail reject of example.org at example.org"},
		"signed by another":      {text: strange, zone: reject, want: "fail reject of example.org at example.org false"},
		"signed below":           {text: below, zone: reject, want: "pass reject of example.org at example.org true"},
		"signed below, tree":     {text: below, zone: reject, tree: true, want: "pass reject of example.org at example.org true"},
		"by another, tree":       {text: strange, zone: reject, tree: true, want: "fail reject of example.org at example.org false"},
		"below, strict":          {text: below, zone: `_dmarc.example.org. TXT "v=DMARC1; p=reject; adkim=s"`, want: "fail reject of example.org at example.org false"},
		"below, no record":       {text: below, want: "none  of example.org at  true"},
		"changed":                {text: strings.Replace(text, "Hello", "Hallo", 1), zone: reject, want: "fail reject of example.org at example.org true"},
		"sp":                     {text: from("From: a@sub.example.org\r\n"), zone: `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=quarantine"`, want: "fail quarantine of sub.example.org at example.org true"},
		"pct=0":                  {text: sample, zone: `_dmarc.example.org. TXT "v=DMARC1; p=reject; pct=0"`, want: "fail reject of example.org at example.org sampled"},
		"pct=100":                {text: sample, zone: `_dmarc.example.org. TXT "v=DMARC1; p=reject; pct=100"`, want: "fail reject of example.org at example.org"},
		"t=y, tree":              {text: sample, zone: `_dmarc.example.org. TXT "v=DMARC1; p=reject; t=y"`, tree: true, want: "fail reject of example.org at example.org sampled"},
		"psd=n ends the tree":    {text: from("From: a@a.b.example.org\r\n"), zone: reject + `_dmarc.b.example.org. TXT "v=DMARC1; p=quarantine; psd=n"`, tree: true, want: "fail quarantine of a.b.example.org at b.example.org false"},
		"psd=n is not known":     {text: from("From: a@a.b.example.org\r\n"), zone: reject + `_dmarc.b.example.org. TXT "v=DMARC1; p=quarantine; psd=n"`, want: "fail reject of a.b.example.org at example.org true"},
		"no From":                {text: from(""), zone: reject, want: "permerror  of  at  false"},
		"two authors":            {text: from("From: a@example.net, joe@example.org\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"two fields":             {text: from("From: a@example.net\r\nFrom: joe@example.org\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"two fields, no record":  {text: from("From: a@example.net\r\nFrom: joe@example.org\r\n"), want: "permerror  of example.net at  false"},
		"half a From":            {text: from("From: joe@example.org, \"x\" <joe@b..c>\r\n"), sender: "example.org", zone: reject, want: "permerror reject of example.org at example.org true"},
		"no name":                {text: from("From: <@example.org>\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"too long a name":        {text: from("From: " + strings.Repeat("x", 300) + "@example.org\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"no name, another's too": {text: from("From: a@example.net, \"j\x01e\"@example.org\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"no name, signed":        {text: from("From: <@example.org>\r\n"), sender: "example.org", zone: reject, want: "permerror reject of example.org at example.org true"},
		"no name, no record":     {text: from("From: <@example.org>\r\n"), want: "permerror  of example.org at  true"},
		"long name":              {text: from("From: " + strings.Repeat("x", 80) + "@example.org\r\n"), zone: reject, want: "fail reject of example.org at example.org true"},
		"no domain":              {text: from("From: root\r\n"), zone: reject, want: "permerror  of  at  false"},
		"literal":                {text: from("From: a@[192.0.2.1]\r\n"), zone: reject, want: "none  of [192.0.2.1] at  false"},
		"broken record":          {text: text, zone: `_dmarc.example.org. TXT "v=DMARC1; p=x"`, want: "permerror  of example.org at example.org true"},
		"record cannot be had":   {text: text, zone: reject, broken: "_dmarc.example.org", want: "temperror  of example.org at example.org true"},
		"key cannot be had":      {text: text, zone: reject, broken: "e._domainkey.example.org", want: "temperror reject of example.org at example.org true"},
		"key of another":         {text: strange, zone: reject, broken: "e._domainkey.example.net", want: "fail reject of example.org at example.org false"},
		"SPF cannot be had":      {text: sample, sender: "example.org", zone: reject, broken: "example.org", want: "temperror reject of example.org at example.org"},
		"SPF of another, broken": {text: sample, sender: "example.net", zone: reject, broken: "example.net", want: "fail reject of example.org at example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := authority.New(t, everybody(t), spfZone, "example.net. TXT \"v=spf1 +all\"", c.zone)
			if c.broken != "" {
				z.Behave(c.broken, servfail)
			}
			a := authenticity(z)
			a.o.TreeWalk = func() bool { return c.tree }
			f := judged(a, c.text)
			f.Sender.Domain = c.sender
			if c.sender == "" {
				f.Sender, f.Helo = mail.Address{}, "unknown.example"
			}
			r := f.Authentication(t.Context())
			d := r.DMARC
			got := fmt.Sprintf("%s %s of %s at %s", d.Result, d.Policy, d.Domain, d.PolicyDomain)
			for _, s := range r.Signatures {
				got += fmt.Sprint(" ", s.Aligned)
			}
			if d.Sampled {
				got += " sampled"
			}
			if got != c.want {
				t.Errorf("%s\nwant %s\n%+v", got, c.want, r)
			}
			if (d.Reason != "") != strings.HasSuffix(d.Result, "error") {
				t.Errorf("reason %q", d.Reason)
			}
			if r.Outcome.Result != dmarc.Result(d.Result) || r.Outcome.Sampled != d.Sampled {
				t.Errorf("outcome %+v", r.Outcome)
			}
			results(t, r.Field)
			r.Field, r.Outcome = "", nil
			roundTrip(t, r, &policy.Authentication{})
		})
	}
}

func TestSPFIsAskedOfTheRightDomain(t *testing.T) {
	t.Parallel()
	zone := spfZone + `helo.example. TXT "v=spf1 a:mx.example.org -all"` + "\n" + `fail.example. TXT "v=spf1 -all exp=why.fail.example"` + "\n" +
		`why.fail.example. TXT "%{i} may not send for %{d}"` + "\n" + `broken.example. TXT "v=spf1 frob"` + "\nmx.example.org. A 192.0.2.1"
	for name, c := range map[string]struct {
		sender mail.Address
		helo   string
		want   policy.SPF
		field  string
	}{
		"sender": {mail.Address{Local: "joe", Domain: "example.org"}, "x.example", policy.SPF{Result: "pass", Identity: "mailfrom", Domain: "example.org", Mechanism: "ip4:192.0.2.1"}, "spf=pass smtp.mailfrom=joe@example.org"},
		"null":   {mail.Address{}, "helo.example", policy.SPF{Result: "pass", Identity: "helo", Domain: "helo.example", Mechanism: "a:mx.example.org"}, "spf=pass smtp.helo=helo.example"},
		"fail":   {mail.Address{Local: "a", Domain: "fail.example"}, "x", policy.SPF{Result: "fail", Identity: "mailfrom", Domain: "fail.example", Mechanism: "-all", Explanation: "192.0.2.1 may not send for fail.example"}, "spf=fail smtp.mailfrom=a@fail.example"},
		"none":   {mail.Address{Local: "a", Domain: "nowhere.example"}, "x", policy.SPF{Result: "none", Identity: "mailfrom", Domain: "nowhere.example", Problem: "spf: the domain has no record"}, "spf=none smtp.mailfrom=a@nowhere.example"},
		"broken": {mail.Address{Local: "a", Domain: "broken.example"}, "x", policy.SPF{Result: "permerror", Identity: "mailfrom", Domain: "broken.example"}, "spf=permerror"},
		"down":   {mail.Address{Local: "a", Domain: "down.example"}, "x", policy.SPF{Result: "temperror", Identity: "mailfrom", Domain: "down.example"}, "spf=temperror"},
		"helo":   {mail.Address{}, "[192.0.2.1]\r\nX: y", policy.SPF{Result: "none", Identity: "helo", Problem: "spf: no domain name to judge"}, `spf=none smtp.helo="[192.0.2.1]?X:?y"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := authority.New(t, zone)
			z.Behave("down.example", servfail)
			a := authenticity(z)
			f := judged(a, sample)
			f.Sender, f.Helo = c.sender, c.helo
			got := f.SPF(t.Context())
			roundTrip(t, got, &policy.SPF{})
			if r := got.Result; r == "permerror" || r == "temperror" {
				if got.Problem == "" {
					t.Errorf("no problem is told")
				}
				got.Problem = ""
			}
			if got != c.want {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
			field := f.Authentication(t.Context()).Field
			if results(t, field); !strings.Contains(field, "\t"+c.field) {
				t.Errorf("%s\nwant %s", field, c.field)
			}
			a.o.SPFField = func() bool { return true }
			if field := a.SPF(t.Context(), f).Field; !strings.HasPrefix(field, "Received-SPF: "+c.want.Result) || strings.Count(field, "\n") != strings.Count(field, "\r\n\t")+1 {
				t.Errorf("%q", field)
			}
		})
	}
}

// A domain that tests is treated as one that does not sign.
func TestTestingKeysCountForNothing(t *testing.T) {
	t.Parallel()
	s := author("example.org", "r")
	s.Selector = "t"
	z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
	for _, text := range []string{sign(t, s, sample), strings.Replace(sign(t, s, sample), "Hello", "Hallo", 1)} {
		f := judged(authenticity(z), text)
		f.Sender.Domain = "example.net"
		got := f.Authentication(t.Context())
		if got.Signatures[0].Result != "neutral" || !strings.Contains(got.Signatures[0].Reason, "t=y") || got.DMARC.Result != "fail" {
			t.Errorf("%+v", got)
		}
	}
}

func TestWeakKeysCanBeRefused(t *testing.T) {
	t.Parallel()
	z := authority.New(t, everybody(t))
	a := authenticity(z)
	a.o.MinRSABits = 3072
	got := judged(a, sign(t, author("example.org", "r"), sample)).Authentication(t.Context())
	if got.Signatures[0].Result != "permerror" || !strings.Contains(got.Signatures[0].Reason, "3072") {
		t.Errorf("%+v", got.Signatures)
	}
}

func TestOnlyMailFromOutsideIsMarked(t *testing.T) {
	t.Parallel()
	z := authority.New(t, everybody(t), spfZone, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
	for _, kind := range []policy.Kind{policy.Trusted, policy.Submission} {
		f := judged(authenticity(z), sign(t, author("example.org", "e"), sample))
		f.Kind = kind
		got := f.Authentication(t.Context())
		if got.Field != "" || got.DMARC.Result != "" || got.Outcome != nil || got.Signatures[0].Result != "pass" {
			t.Errorf("%v: %+v", kind, got)
		}
		if n := z.Queries("example.org", mdns.TypeTXT); n > 0 {
			t.Errorf("%v: SPF was asked", kind)
		}
	}
	nameless := NewAuthenticity(Options{Resolver: resolver(z)})
	if got := judged(nameless, sample).Authentication(t.Context()); got.Field != "" || got.DMARC.Result != "pass" {
		t.Errorf("%+v", got)
	}
}

// counted counts what is read of a message, and fails behind some of it.
type counted struct {
	io.ReaderAt
	read, most int64
}

var errDisk = errors.New("disk fault")

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	if c.most > 0 && at+int64(len(p)) > c.most {
		return 0, errDisk
	}
	c.read += int64(len(p))
	return c.ReaderAt.ReadAt(p, at)
}

func TestTheBodyIsReadOnceAndOnlyForSignatures(t *testing.T) {
	t.Parallel()
	z := authority.New(t, everybody(t))
	long := sample + strings.Repeat("0123456789\r\n", 20<<10)
	for name, c := range map[string]struct {
		text string
		most int64
	}{
		"not signed":        {long, bufferSize},
		"no header section": {"\r\n" + long, int64(len(long) + 2)},
		"no end of it":      {"From: a@example.org\r\nX: " + strings.Repeat("x", 100<<10), 100<<10 + 100},
		"signed":            {sign(t, author("example.org", "e"), sign(t, author("example.net", "e"), long)), 300 << 10},
		"sealed":            {seal(t, "list.example", "a; none", long), 300 << 10},
		"bare LF":           {strings.Replace(long, "\r\n\r\n", "\n\n", 1), 300 << 10},
		"empty":             {"", 0},
	} {
		f := judged(authenticity(z), c.text)
		r := &counted{ReaderAt: f.Content.Body}
		f.Content.Body = r
		got := f.Authentication(t.Context())
		if r.read > c.most || strings.HasSuffix(got.DMARC.Result, "temperror") {
			t.Errorf("%s: %d octets read, %+v", name, r.read, got)
		}
		if name == "signed" && (got.Signatures[0].Result != "pass" || got.Signatures[1].Result != "pass") {
			t.Errorf("%+v", got.Signatures)
		}
		results(t, got.Field)
	}
}

func TestContentThatCannotBeReadIsNotHeldAgainstAnybody(t *testing.T) {
	t.Parallel()
	z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
	long := sign(t, author("example.org", "e"), sample+strings.Repeat("0123456789\r\n", 20<<10))
	for name, change := range map[string]func(f *policy.Facts) context.Context{
		"disk": func(f *policy.Facts) context.Context {
			f.Content.Body = &counted{f.Content.Body, 0, 100 << 10}
			return t.Context()
		},
		"cut":       func(f *policy.Facts) context.Context { f.Content.Size++; return t.Context() },
		"hanged up": func(*policy.Facts) context.Context { c, cancel := context.WithCancel(t.Context()); cancel(); return c },
	} {
		f := judged(authenticity(z), long)
		f.Sender.Domain = "example.net"
		got := f.Authentication(change(f))
		if got.DMARC.Result != "temperror" || got.Outcome.Action != dmarc.PolicyNone || len(got.Signatures) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if r := results(t, got.Field); r[1].Method != "dkim" || r[1].Value != "temperror" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Keys that nobody answers for cost their own time, not DMARC's: forged mail is
// found out all the same.
func TestSlowKeysDoNotSaveForgedMail(t *testing.T) {
	t.Parallel()
	text := sample
	for i := range 12 {
		text = sign(t, author(fmt.Sprintf("slow%d.example", i), "e"), text)
	}
	synctest.Test(t, func(t *testing.T) {
		z := authority.New(t, everybody(t), `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
		for i := range 12 {
			z.Behave(fmt.Sprintf("e._domainkey.slow%d.example", i), authority.Behaviour{Drop: true})
		}
		z.Behave("slow.example", authority.Behaviour{Delay: time.Hour})
		f := judged(authenticity(z), text)
		f.Sender.Domain = "slow.example"
		start := time.Now()
		got := f.Authentication(t.Context())
		if got.DMARC.Result != "fail" || got.Signatures[0].Result != "temperror" || len(got.Signatures) != 11 {
			t.Errorf("%+v", got)
		}
		if took := time.Since(start); took > 60*time.Second {
			t.Errorf("it took %v", took)
		}
		results(t, got.Field)
		time.Sleep(time.Minute)
	})
}

// Each of the three parts ends in its time, however long the resolver would try.
func TestNoPartTakesLongerThanItMay(t *testing.T) {
	t.Parallel()
	text := sign(t, author("example.org", "r"), sample)
	synctest.Test(t, func(t *testing.T) {
		z := authority.New(t)
		z.Behave("*", authority.Behaviour{Drop: true})
		a := authenticity(z)
		a.o.Timeout = time.Second
		start := time.Now()
		got := judged(a, text).Authentication(t.Context())
		if took := time.Since(start); took != 3*time.Second || got.DMARC.Result != "temperror" {
			t.Errorf("%v, %+v", took, got)
		}
		time.Sleep(time.Minute)
	})
}

// An outage is temperror everywhere, and nothing else.
func TestAnOutageRefusesNobody(t *testing.T) {
	t.Parallel()
	text := seal(t, "list.example", "a; dmarc=pass", sign(t, author("example.org", "r"), sample))
	for name, b := range map[string]authority.Behaviour{"SERVFAIL": servfail, "silence": {Drop: true}, "garbage": {Garbage: true}, "refused": {Rcode: mdns.RcodeRefused}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				z := authority.New(t, everybody(t), spfZone, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`)
				z.Behave("*", b)
				got := judged(authenticity(z, "list.example"), text).Authentication(t.Context())
				if got.Signatures[0].Result != "temperror" || got.Chain.Result != "temperror" || got.DMARC.Result != "temperror" || got.Chain.Passed {
					t.Errorf("%+v", got)
				}
				for _, r := range results(t, got.Field) {
					if r.Value != "temperror" {
						t.Errorf("%+v", r)
					}
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// The sample is the same whenever the message is judged, and as large as pct says.
func TestSamplesAreOfTheMessage(t *testing.T) {
	t.Parallel()
	below := 0
	for i := range 10000 {
		f := &policy.Facts{Message: ident.ID{0: 1, 1: 150, 8: byte(i >> 8), 15: byte(i)}}
		n := sampled(f)
		if n != sampled(f) || n < 0 || n > 99 {
			t.Fatal(n)
		}
		if n < 30 {
			below++
		}
	}
	if below < 2700 || below > 3300 {
		t.Errorf("%d of 10000 are in 30%%", below)
	}
}
