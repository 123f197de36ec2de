package mime

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStringsAreLegalWhateverTheyHold(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":          `""`,
		"a b":       `"a b"`,
		`a"b\c`:     `"a\"b\\c"`,
		"\x01\x7f":  "\"\x01\x7f\"",
		"a\rb":      "{3}\r\na\rb",
		"a\nb":      "{3}\r\na\nb",
		"\xff":      "{1}\r\n\xff",
		"a\x00b":    "{2}\r\nab",
		"\x00":      "{0}\r\n",
		"ä\"\x00\\": "{4}\r\nä\"\\",
	} {
		if got := string(AppendString(nil, s)); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := string(AppendNString(nil, "")); got != "NIL" {
		t.Errorf("empty nstring: %q", got)
	}
}

func TestHostileValuesRenderLegally(t *testing.T) {
	t.Parallel()
	odd := "\"\\\x00\x80\r{3}() NIL"
	var m strings.Builder
	for _, name := range []string{
		"Date", "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID", "Content-ID", "Content-Type",
		"Content-Description", "Content-Transfer-Encoding", "Content-MD5", "Content-Disposition", "Content-Language", "Content-Location",
	} {
		value := odd
		if name == "Content-Type" || name == "Content-Disposition" {
			value = "a\x00\"/b\x80; " + odd + "=" + odd + "; c=\"" + odd
		}
		m.WriteString(name + ": " + value + "\r\n")
	}
	if err := checkStructure([]byte(m.String())); err != nil {
		t.Error(err)
	}
}

// TestDefaultsOfTheEnvelope: RFC 9051 §7.5.2 fills Sender and Reply-To from
// From, and tells absent fields from empty ones.
func TestDefaultsOfTheEnvelope(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                                    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
		"From: a@b\n":                         `(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)`,
		"From: a@b\nSender:\nReply-To: c@d\n": `(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL)`,
		"Date:\nSubject: \nTo:\nMessage-Id:\nIn-Reply-To:\n": `("" "" NIL NIL NIL NIL NIL NIL "" "")`,
		"To: root, g:;\n": `(NIL NIL NIL NIL NIL ((NIL NIL "root" "")(NIL NIL "g" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)`,
		"To: a@b\nTo: c@d\nSubject: 1\nSubject: 2\n": `(NIL "1" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)`,
	} {
		if got := string(Parse(crlf(header)).AppendEnvelope(nil)); got != want {
			t.Errorf("%q:\n got %s\nwant %s", header, got, want)
		}
	}
}

// TestDamagedStoredFormsNeverPanic changes every octet of stored forms.
func TestDamagedStoredFormsNeverPanic(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, m := range goldenMessages(t) {
		whole, _ := Parse(m).AppendBinary(nil)
		for i := range whole {
			b := append([]byte(nil), whole...)
			b[i] = byte(rng.Uint32())
			var s Structure
			if s.UnmarshalBinary(b) == nil {
				s.AppendEnvelope(s.AppendBodyStructure(nil))
				if span, ok := s.Section([]int{1}, SectionPart); ok && (span.Len() < 0 || span.End > s.Size) {
					t.Errorf("octet %d: %v of %d", i, span, s.Size)
				}
			}
		}
	}
}
