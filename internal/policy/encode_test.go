package policy

import (
	"encoding/json"
	"testing"
	"time"
)

// What is written by hand is what encoding/json writes, whatever strangers put in.
func TestAnswersAreWrittenAsJSONWouldBe(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)
	texts := []string{"", "a", "a b", `"`, `\`, "<a&b>", "ü", "\x00\r\n\t", "\xff", "\u2028", "\x7f", `{"`, "[", "{"}
	for i, s := range texts {
		next := texts[(i+1)%len(texts)]
		type plainSPF SPF
		type plainAuthentication Authentication
		type plainGrey grey
		type plainOpinion Opinion
		spf := SPF{Result: s, Identity: next, Domain: s, Mechanism: next, Explanation: s, Problem: next, Field: s}
		one := Signature{Result: s, Domain: next, Selector: s, Reason: next, Aligned: i%2 == 0}
		all := Authentication{Signatures: []Signature{one, {}, one}[:i%4%3+i%2], Chain: Chain{Result: next, Sealer: s, Trusted: i%2 == 0, Passed: i%3 == 0, Reason: s},
			DMARC: Conformance{Result: s, Domain: next, Policy: s, PolicyDomain: next, Sampled: i%2 == 1, Reason: s}}
		for _, c := range []struct {
			is interface{ MarshalText() ([]byte, error) }
			as any
		}{
			{Opinion{Problem: s}, plainOpinion{Problem: s}}, {Opinion{Known: true}, plainOpinion{Known: true}},
			{Opinion{Known: true, Probability: 0.25, Reasons: []string{s}}, plainOpinion{Known: true, Probability: 0.25, Reasons: []string{s}}},
			{spf, plainSPF(spf)}, {all, plainAuthentication(all)}, {Authentication{}, plainAuthentication{}}, {SPF{}, plainSPF{}},
			{&grey{First: now, At: now.Add(time.Hour), Err: s}, plainGrey{First: now, At: now.Add(time.Hour), Err: s}},
			{&grey{Confirmed: now.In(time.FixedZone("", 5400))}, plainGrey{Confirmed: now.In(time.FixedZone("", 5400))}},
		} {
			want, err := json.Marshal(c.as)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.is.MarshalText(); err != nil || string(got) != string(want) {
				t.Errorf("%s, %v\nwant %s", got, err, want)
			}
		}
	}
	if text, err := (&grey{At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).MarshalText(); err == nil {
		t.Errorf("a year of five digits is written: %s", text)
	}
}
