package authres

import (
	"strings"
	"testing"

	peer "github.com/emersion/go-msgauth/authres"
)

// TestReadersWithoutQuotesAreNotMisled reads our fields with a library that
// splits at every semicolon and space.
func TestReadersWithoutQuotesAreNotMisled(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"bob@sender.test", `"a b"@c.test`, "x; dkim=pass header.d=bank.test", `"x header.d=bank.test "@evil.test`, "x\r\n; dmarc=pass", `a";dmarc=pass;"`} {
		f := Field{ID: "mx.test", Results: []Result{
			{Method: "spf", Value: "fail", Comment: s, Reason: s, Properties: []Property{{"smtp", "mailfrom", s}}},
			{Method: "dkim", Value: "fail", Properties: []Property{{"header", "i", s}, {"header", "d", "evil.test"}}},
		}}
		text := strings.TrimPrefix(strings.ReplaceAll(f.String(), "\r\n", ""), Name+":")
		id, results, err := peer.Parse(text)
		if err != nil || id != "mx.test" || len(results) != 2 {
			t.Errorf("%q: %q reads as %s %v, %v", s, text, id, results, err)
			continue
		}
		spf, ok1 := results[0].(*peer.SPFResult)
		dkim, ok2 := results[1].(*peer.DKIMResult)
		if !ok1 || !ok2 || spf.Value != peer.ResultFail || dkim.Value != peer.ResultFail || dkim.Domain != "evil.test" {
			t.Errorf("%q: %+v, %+v", s, spf, dkim)
		}
	}
}
