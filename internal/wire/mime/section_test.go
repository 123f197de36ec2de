package mime

import "testing"

// sectionMessage is the example tree of RFC 9051 §6.4.5.1.
const sectionMessage = `H: top
Content-Type: multipart/mixed; boundary=1

--1
Content-Type: text/plain
X: part1

P1
--1
X: part2

P2
--1
Content-Type: message/rfc822
X: part3

H: inner3
Content-Type: multipart/mixed; boundary=3

--3

P3.1
--3
X: part3.2

P3.2
--3--
--1
Content-Type: multipart/mixed; boundary=4
X: part4

--4
Content-Type: image/gif

P4.1
--4
Content-Type: message/rfc822
X: part4.2

H: inner4.2
Subject: x

P4.2.1
--4--
--1
Content-Type: multipart/mixed; boundary=never

void
--1
Content-Type: message/rfc822
Content-Transfer-Encoding: base64

AAAA
--1--
`

func TestSectionsAreFound(t *testing.T) {
	t.Parallel()
	m := crlf(sectionMessage)
	s := Parse(m)
	for _, c := range []struct {
		path []int
		kind SectionKind
		want string // "-" for none
	}{
		{nil, SectionHeader, "H: top\r\nContent-Type: multipart/mixed; boundary=1\r\n\r\n"},
		{nil, SectionMIME, "-"},
		{[]int{1}, SectionPart, "P1"},
		{[]int{1}, SectionMIME, "Content-Type: text/plain\r\nX: part1\r\n\r\n"},
		{[]int{1}, SectionHeader, "-"},
		{[]int{1}, SectionText, "-"},
		{[]int{1, 1}, SectionPart, "-"},
		{[]int{2}, SectionPart, "P2"},
		{[]int{3}, SectionMIME, "Content-Type: message/rfc822\r\nX: part3\r\n\r\n"},
		{[]int{3}, SectionHeader, "H: inner3\r\nContent-Type: multipart/mixed; boundary=3\r\n\r\n"},
		{[]int{3}, SectionText, "--3\r\n\r\nP3.1\r\n--3\r\nX: part3.2\r\n\r\nP3.2\r\n--3--"},
		{[]int{3, 1}, SectionPart, "P3.1"},
		{[]int{3, 1}, SectionMIME, "\r\n"},
		{[]int{3, 2}, SectionPart, "P3.2"},
		{[]int{3, 2}, SectionMIME, "X: part3.2\r\n\r\n"},
		{[]int{3, 3}, SectionPart, "-"},
		{[]int{4, 1}, SectionPart, "P4.1"},
		{[]int{4, 2}, SectionPart, "H: inner4.2\r\nSubject: x\r\n\r\nP4.2.1"},
		{[]int{4, 2}, SectionMIME, "Content-Type: message/rfc822\r\nX: part4.2\r\n\r\n"},
		{[]int{4, 2}, SectionHeader, "H: inner4.2\r\nSubject: x\r\n\r\n"},
		{[]int{4, 2}, SectionText, "P4.2.1"},
		{[]int{4, 2, 1}, SectionPart, "P4.2.1"},
		{[]int{4, 2, 2}, SectionPart, "-"},
		{[]int{4, 2, 1, 1}, SectionPart, "-"},
		{[]int{5, 1}, SectionPart, "void"},
		{[]int{5, 1}, SectionMIME, ""},
		{[]int{5, 1}, SectionHeader, "-"},
		{[]int{5, 2}, SectionPart, "-"},
		{[]int{5, 1, 1}, SectionPart, "-"},
		{[]int{6}, SectionPart, "AAAA"},
		{[]int{6}, SectionHeader, ""},
		{[]int{6}, SectionText, "AAAA"},
		{[]int{6, 1}, SectionPart, ""},
		{[]int{7}, SectionPart, "-"},
		{[]int{0}, SectionPart, "-"},
		{[]int{-1}, SectionPart, "-"},
	} {
		got := "-"
		if span, ok := s.Section(c.path, c.kind); ok {
			got = string(m[span.Start:span.End])
		}
		if got != c.want {
			t.Errorf("%v %d: %q, want %q", c.path, c.kind, got, c.want)
		}
	}
}

func TestASimpleMessageIsItsOwnPartOne(t *testing.T) {
	t.Parallel()
	s := Parse(crlf("A: b\n\nbody\n"))
	whole, _ := s.Section(nil, SectionPart)
	text, _ := s.Section(nil, SectionText)
	one, ok := s.Section([]int{1}, SectionPart)
	mime, _ := s.Section([]int{1}, SectionMIME)
	if whole != (Span{0, 14}) || text != (Span{8, 14}) || !ok || one != text || mime != (Span{0, 8}) {
		t.Errorf("%v %v %v %v", whole, text, one, mime)
	}
	if _, ok := s.Section([]int{2}, SectionPart); ok {
		t.Error("a simple message has a part 2")
	}
	nested := Parse(crlf("Content-Type: message/rfc822\n\nA: b\n\nbody\n"))
	inner, ok := nested.Section([]int{1, 1}, SectionPart)
	if header, _ := nested.Section([]int{1}, SectionHeader); !ok || inner != (Span{40, 46}) || header != (Span{32, 40}) {
		t.Errorf("inside a message/rfc822: %v %v", inner, header)
	}
}

// TestShiftEqualsParsingWithTheTraceFields is the promise of Shift.
func TestShiftEqualsParsingWithTheTraceFields(t *testing.T) {
	t.Parallel()
	const trace = "X-Trace: by mx.example.test\r\n\tfor anna\r\n"
	for file, m := range goldenMessages(t) {
		shifted := Parse(m)
		shifted.Shift(int64(len(trace)))
		fresh := Parse(append([]byte(trace), m...))
		if shifted.Size != fresh.Size {
			t.Errorf("%s: size %d, want %d", file, shifted.Size, fresh.Size)
		}
		for i := range fresh.Parts {
			a, b := &shifted.Parts[i], &fresh.Parts[i]
			if a.Header != b.Header || a.Body != b.Body || a.Lines != b.Lines {
				t.Errorf("%s part %d: %v %v, want %v %v", file, i, a.Header, a.Body, b.Header, b.Body)
			}
		}
		if err := checkStored(shifted); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
