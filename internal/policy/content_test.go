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

// A forger must not choose what is made of a forgery: the domain that readers
// show is judged, whatever stands before it.
func TestTheDomainOfAnUnreadableAuthorIsKnown(t *testing.T) {
	for from, want := range map[string]string{
		"joe@corp.example": "", "joe..x@corp.example": "", "@Corp.Example": "corp.example", "<j\xffe@corp.example>": "corp.example", "<" + strings.Repeat("x", 300) + "@corp.example>": "corp.example",
		"<@a.example>, \"j\x01e\"@b.example, c@c.example": "a.example b.example", "<corp.example>": "", "joe@corp..example": "",
		"\"Joe@corp.example\" <@>": "", "<x@y@corp.example>": "",
	} {
		var f Facts
		f.ReadContent(mime.Parse([]byte("From: " + from + "\r\n\r\nbody\r\n")))
		if got := strings.Join(f.FromDomains, " "); got != want || want != "" && !f.FromBroken {
			t.Errorf("%s: %q, broken %v", from, got, f.FromBroken)
		}
	}
	f := Facts{FromDomains: []string{"old.example"}}
	if f.ReadContent(mime.Parse([]byte("From: joe@corp.example\r\n\r\n"))); f.FromDomains != nil {
		t.Error("the domain of another message is kept")
	}
}
