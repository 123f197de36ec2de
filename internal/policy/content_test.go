package policy

import (
	"strings"
	"testing"

	"posthorn/internal/wire/mime"
)

// M-GEN-03 judges the From field: one that was not read to its end must not
// pass for the part that was.
func TestAuthorsAreKnownWholeOrNotAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		head   string
		broken bool
	}{
		"one":             {"From: me@own.example\r\n", false},
		"none":            {"Subject: x\r\n", false},
		"two fields":      {"From: me@own.example\r\nFrom: ceo@corp.example\r\n", true},
		"no address":      {"From: undisclosed:;\r\n", true},
		"hidden by limit": {strings.Repeat("A: b\r\n", mime.MaxHeaderFields) + "From: ceo@corp.example\r\n", true},
		"hidden in list":  {"To: " + strings.Repeat("a@b, ", mime.MaxAddresses-1) + "\r\nFrom: me@own.example, ceo@corp.example\r\n", true},
	} {
		var f Facts
		f.ReadContent(mime.Parse([]byte(c.head + "\r\nbody\r\n")))
		if f.FromBroken != c.broken {
			t.Errorf("%s: broken %v, authors %v", name, f.FromBroken, f.From)
		}
	}
}
