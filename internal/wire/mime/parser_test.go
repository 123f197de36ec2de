package mime

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func TestAwkwardMessagesKeepAllPromises(t *testing.T) {
	t.Parallel()
	for _, m := range awkward {
		if err := checkStructure([]byte(m)); err != nil {
			t.Errorf("%q: %v", m, err)
		}
	}
}

// TestSplitsDoNotMatter writes random messages made of the pieces a parser
// may stumble over, cut at random.
func TestSplitsDoNotMatter(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"\r\n", "\n", "\r", "--a", "--b", "--a--", "--", "-", "a", " ", "\t", "\x00", "\xe4", "\r\n--a\r\n", "\r\n--b\r\n", "\r\n--a--\r\n",
		"Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: multipart/digest; boundary=\"b\"\r\n",
		"Content-Type: message/rfc822\r\n", "Subject: x\r\n y\r\n", "From: a@b\r\n", "To: x: <a@b>;\r\n", "\r\n\r\n",
		strings.Repeat("x", bodyLineCap-1), strings.Repeat("y", 7),
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var m strings.Builder
		for range rng.IntN(30) {
			m.WriteString(pieces[rng.IntN(len(pieces))])
		}
		if err := checkStructure([]byte(m.String())); err != nil {
			t.Fatalf("%q: %v", m.String(), err)
		}
	}
}

func TestLongLinesAreCutAlikeHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-2, -1, 0, 1, 2} {
		for _, end := range []string{"\r\n", "\n", "\r\r\n", ""} {
			subject := "Subject: " + strings.Repeat("s", headerLineCap+n-9) + end + "\r\n"
			delimiter := "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", maxBoundary) +
				"\r\n\r\n--" + strings.Repeat("b", bodyLineCap-2+n) + end
			for _, m := range []string{subject, delimiter} {
				if err := checkStructure([]byte(m)); err != nil {
					t.Fatalf("%d %q: %v", n, end, err)
				}
			}
		}
	}
}

func TestParserIsReadyForTheNextMessage(t *testing.T) {
	t.Parallel()
	p := NewParser()
	for file, m := range goldenMessages(t) {
		p.Write(m[:len(m)/2])
		p.Reset()
		p.Write(m)
		if s := p.Close(); !reflect.DeepEqual(s, Parse(m)) {
			t.Errorf("%s: differs with a used parser", file)
		}
	}
	if s := p.Close(); len(s.Parts) != 1 || s.Size != 0 {
		t.Errorf("empty message: %+v", s)
	}
}

func TestFactsForAcceptance(t *testing.T) {
	t.Parallel()
	s := Parse(crlf(`Return-Path: <x@example.org>
Received: a
Received: b
	; date
Delivered-To: one@example.test
delivered-to : two@example.test
Auto-Submitted: auto-generated (vacation)
List-Id: <l.example.org>
Precedence: Bulk
MIME-Version: 1.0
From: a@example.org, "B C" <b@example.org>
From: group: "d e"@example.org;
Message-ID: <1@example.org>
References: <r1@example.org>
 <r2@example.org>
Date: today

body
`))
	want := HasReturnPath | HasAutoSubmitted | HasListID | HasBulkPrecedence | HasMIMEVersion
	if s.Flags != want {
		t.Errorf("flags %b, want %b", s.Flags, want)
	}
	if s.Received != 2 || s.FromFields != 2 || s.Fields != 14 {
		t.Errorf("Received %d From %d Fields %d", s.Received, s.FromFields, s.Fields)
	}
	if want := []string{"one@example.test", "two@example.test"}; !reflect.DeepEqual(s.DeliveredTo, want) {
		t.Errorf("Delivered-To %q", s.DeliveredTo)
	}
	if want := []string{"a@example.org", "b@example.org", `"d e"@example.org`}; !reflect.DeepEqual(s.Authors(), want) {
		t.Errorf("authors %q", s.Authors())
	}
	if want := []string{"<r1@example.org>", "<r2@example.org>"}; !reflect.DeepEqual(Identifiers(s.References), want) {
		t.Errorf("references %q", s.References)
	}
	e := s.Envelope()
	if e.Present != PresentDate|PresentMessageID || e.Date != "today" || e.MessageID != "<1@example.org>" {
		t.Errorf("envelope %+v", e)
	}
	if Parse(crlf("Auto-Submitted: No\n\n")).Flags != 0 {
		t.Error("Auto-Submitted: no counts as automatic (RFC 3834 §5.2)")
	}
}

func TestReferencesKeepTheNearestAncestors(t *testing.T) {
	t.Parallel()
	var m strings.Builder
	m.WriteString("References:")
	for i := range 500 {
		fmt.Fprintf(&m, " <%d@example.org>\r\n", i)
	}
	s := Parse([]byte(m.String()))
	ids := Identifiers(s.References)
	if len(ids) < 100 || ids[len(ids)-1] != "<499@example.org>" || !strings.HasPrefix(s.References, "<") {
		t.Errorf("%d identifiers: %q", len(ids), s.References)
	}
	if s.Opaque != LimitValue {
		t.Errorf("opaque %b", s.Opaque)
	}
}

func TestContentFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, want string }{
		{"Content-Type: text/html", "text/html []"},
		{"Content-Type: TEXT/HTML;charset=UTF-8", "text/html [{charset UTF-8 false}]"},
		{"Content-Type: text (c) / (c) html (c) ; (c) a (c) = (c) b (c) ; x=y", "text/html [{a b false} {x y false}]"},
		{"Content-Type: text", "text/plain [{charset us-ascii false}]"},
		{"Content-Type: /html", "text/plain [{charset us-ascii false}]"},
		{"Content-Type:", "text/plain [{charset us-ascii false}]"},
		{"Content-Type: text/", "text/plain [{charset us-ascii false}]"},
		{"Content-Type: a/b; name=my file.txt; x", "a/b [{name my file.txt false}]"},
		{`Content-Type: a/b; name="a\"b;c"; d="`, `a/b [{name a"b;c false} {d  false}]`},
		{"Content-Type: a/b; ; =x; n=", "a/b [{n  false}]"},
		{"Content-Type: a/b; n*1=b; n*0=a; n*3=d", "a/b [{n ab false}]"},
		{"Content-Type: a/b; n*1=b", "a/b []"},
		{"Content-Type: a/b; n*=utf-8'en'%C3%A4; n=ae", "a/b [{n utf-8'en'%C3%A4 true} {n ae false}]"},
		{"Content-Type: a/b; n*0*=utf-8''%C3; n*1*=%A4; n*2=\" %'\"", "a/b [{n utf-8''%C3%A4%20%25%27 true}]"},
		{"Content-Type: a/b; n*x=1; n*1234=2", "a/b [{n*x 1 false} {n*1234 2 false}]"},
		{"Content-Type: a/b; n=1\r\nContent-Type: c/d", "a/b [{n 1 false}]"},
	} {
		s := Parse([]byte(c.field + "\r\n\r\n"))
		p := &s.Parts[0]
		if got := fmt.Sprintf("%s/%s %v", p.Type, p.Subtype, p.Params); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.field, got, c.want)
		}
	}
}

func TestFileNamesAreDecoded(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Content-Disposition: attachment; filename*=iso-8859-1'de'%DCbersicht.pdf; filename=U.pdf": "Übersicht.pdf",
		"Content-Disposition: attachment; filename=\"=?utf-8?Q?=C3=9C?= x\"":                       "Ü x",
		"Content-Type: a/b; name=\"\xdc.txt\"":                                                     "Ü.txt",
		"Content-Disposition: ; filename=a":                                                        "",
		"Content-Disposition: filename=a":                                                          "a",
		"Content-Type: a/b; name*=%41":                                                             "A",
	} {
		if got := Parse([]byte(header + "\r\n\r\n")).Parts[0].Filename(); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// TestDelimiters shows how lines that look like delimiters are understood.
func TestDelimiters(t *testing.T) {
	t.Parallel()
	const head = "Content-Type: multipart/mixed; boundary=b\n\n"
	for _, c := range []struct{ name, body, want string }{
		{"ordinary", "--b\n\none\n--b\n\ntwo\n--b--\nepilogue", "one|two"},
		{"trailing white space", "--b \t\n\none\n--b-- \n", "one"},
		{"closed twice", "--b\n\none\n--b--\n--b\n\ntwo\n--b--\n", "one"},
		{"never closed", "--b\n\none", "one"},
		{"longer line", "--b!\n\none\n--b--!\n", "one"},
		{"not at the start of a line", "--b\n\none --b\n --b\n--b--", "one --b\r\n --b"},
		{"empty parts", "--b\n--b\n\n--b\n\n\n--b--", "||"},
		{"only preamble", "--\n-b\n--a\n", ""},
	} {
		m := crlf(head + c.body)
		s := Parse(m)
		var got []string
		for i := range s.Children(0) {
			b := s.Parts[i].Body
			got = append(got, string(m[b.Start:b.End]))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExactDelimiterBeatsLongerPrefix(t *testing.T) {
	t.Parallel()
	m := crlf("Content-Type: multipart/mixed; boundary=b-x\n\n--b-x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b-x\n\n2\n--b-x--\n")
	s := Parse(m)
	if len(s.Parts) != 4 || s.end(1) != 3 {
		t.Errorf("parts %+v", s.Parts)
	}
}
