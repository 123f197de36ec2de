package policy

import (
	"encoding"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posthorn/internal/state/store"
)

// Answers are read back from records: what is written must be what is read.

type text interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// returns writes an answer and reads it into an empty one.
func returns(t *rapid.T, answer, empty text) {
	b, err := answer.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := empty.UnmarshalText(b); err != nil || !reflect.DeepEqual(answer, empty) {
		t.Fatalf("%+v became %q and that %+v, %v", answer, b, empty, err)
	}
}

var (
	words  = rapid.StringMatching(`[ -~äé]{0,20}`)
	domain = rapid.StringMatching(`[a-z]{1,5}(\.[a-z]{1,5}){0,3}`)
	code   = rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{127, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), rapid.Byte().Draw(t, "d")})
	})
	moment = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "seconds"), 0).UTC()
	})
)

func TestAnswersReadBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	finding := rapid.SampledFrom([]Finding{Unknown, Found, Absent, Astray, Failed})
	for name, check := range map[string]func(*rapid.T){
		"reverse": func(t *rapid.T) {
			returns(t, &Reverse{finding.Draw(t, "finding"), rapid.OneOf(rapid.Just(""), domain).Draw(t, "name")}, &Reverse{})
		},
		"existence": func(t *rapid.T) {
			returns(t, &Existence{finding.Draw(t, "finding"), rapid.Bool().Draw(t, "null")}, &Existence{})
		},
		"listing": func(t *rapid.T) {
			l := &Listing{Finding: finding.Draw(t, "finding"), Text: words.Draw(t, "text")}
			if l.Finding == Found {
				l.Codes = rapid.SliceOfN(code, 1, 4).Draw(t, "codes")
			}
			returns(t, l, &Listing{})
		},
		"pace": func(t *rapid.T) {
			p := &Pace{Count: rapid.Int().Draw(t, "count"), Over: rapid.Bool().Draw(t, "over"), Shared: rapid.Bool().Draw(t, "shared"), Until: moment.Draw(t, "until")}
			returns(t, p, &Pace{})
		},
		"spf": func(t *rapid.T) {
			returns(t, &SPF{Result: words.Draw(t, "result"), Identity: words.Draw(t, "identity"), Domain: domain.Draw(t, "domain"), Mechanism: words.Draw(t, "mechanism"),
				Explanation: words.Draw(t, "explanation"), Problem: words.Draw(t, "problem")}, &SPF{})
		},
		"authentication": func(t *rapid.T) { returns(t, authentications.Draw(t, "authentication"), &Authentication{}) },
		"yes": func(t *rapid.T) {
			y := &yes{value: rapid.Bool().Draw(t, "value")}
			if rapid.Bool().Draw(t, "failed") {
				y = &yes{err: "x" + words.Draw(t, "error")}
			}
			returns(t, y, &yes{})
		},
		"mark": func(t *rapid.T) {
			returns(t, rapid.SampledFrom([]*mark{{}, {text: words.Draw(t, "text")}, {err: "x" + words.Draw(t, "error")}}).Draw(t, "mark"), &mark{})
		},
		"ban": func(t *rapid.T) {
			b := &ban{}
			if rapid.Bool().Draw(t, "held") {
				*b = ban{Held: true, Row: store.BanRow{Host: netip.PrefixFrom(code.Draw(t, "host"), 32), Kind: store.BanKind(rapid.IntRange(0, 2).Draw(t, "kind")),
					Reason: words.Draw(t, "reason"), Until: moment.Draw(t, "until"), Failures: rapid.Int64().Draw(t, "failures")}}
			}
			returns(t, b, &ban{})
		},
		"greylist": func(t *rapid.T) {
			returns(t, &grey{First: moment.Draw(t, "first"), Confirmed: moment.Draw(t, "confirmed"), At: moment.Draw(t, "at"), Err: words.Draw(t, "error")}, &grey{})
		},
		"usage": func(t *rapid.T) {
			u := &usage{Usage: store.Usage{Bytes: rapid.Int64().Draw(t, "bytes"), LimitBytes: rapid.Int64().Draw(t, "limit"),
				Messages: rapid.Int64().Draw(t, "messages"), LimitMessages: rapid.Int64().Draw(t, "limit")}}
			returns(t, u, &usage{})
		},
		"class": func(t *rapid.T) {
			c := Class(rapid.IntRange(0, len(classNames)-1).Draw(t, "class"))
			returns(t, &c, new(Class))
		},
	} {
		t.Run(name, rapid.MakeCheck(check))
	}
}

var authentications = rapid.Custom(func(t *rapid.T) *Authentication {
	a := &Authentication{
		Chain: Chain{Result: words.Draw(t, "arc"), Sealer: domain.Draw(t, "sealer"), Trusted: rapid.Bool().Draw(t, "trusted"), Passed: rapid.Bool().Draw(t, "passed"), Reason: words.Draw(t, "reason")},
		DMARC: Conformance{Result: words.Draw(t, "dmarc"), Domain: domain.Draw(t, "author"), Policy: words.Draw(t, "policy"), PolicyDomain: domain.Draw(t, "where"), Sampled: rapid.Bool().Draw(t, "sampled")},
	}
	for range rapid.IntRange(0, 3).Draw(t, "signatures") {
		a.Signatures = append(a.Signatures, Signature{Result: words.Draw(t, "dkim"), Domain: domain.Draw(t, "signer"), Selector: domain.Draw(t, "selector"), Reason: words.Draw(t, "why"), Aligned: rapid.Bool().Draw(t, "aligned")})
	}
	return a
})

func TestAnswersThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for text, into := range map[string]encoding.TextUnmarshaler{
		"perhaps":           &Reverse{},
		"":                  &Existence{},
		"found x":           &Listing{},
		"found 127.0.0.2,":  &Listing{},
		"many":              &Pace{},
		"1 until yesterday": &Pace{},
		"no json":           &SPF{},
		"[]":                &Authentication{},
		"maybe":             &ban{},
		"never":             &grey{},
		"friend":            new(Class),
	} {
		if err := into.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a %T: %+v", text, into, into)
		}
	}
}

// FuzzAnswers feeds what a damaged record may hold.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{"found mail.away.test", "astray null-mx", "found 127.0.0.2,127.0.0.4 text", "3 over shared until 2026-01-01T00:00:00Z", `{"result":"pass"}`, "failed x", "yes"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, into := range []text{&Reverse{}, &Existence{}, &Listing{}, &Pace{}, &SPF{}, &Authentication{}, &yes{}, &mark{}, &ban{}, &grey{}, &usage{}, new(Class)} {
			if into.UnmarshalText(b) != nil {
				continue
			}
			again, err := into.MarshalText()
			if err != nil {
				t.Fatalf("%T of %q cannot be written: %v", into, b, err)
			}
			if err := into.UnmarshalText(again); err != nil {
				t.Fatalf("%T of %q became %q: %v", into, b, again, err)
			}
		}
	})
}
