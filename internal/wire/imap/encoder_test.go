package imap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// written returns what f writes.
func written(t *testing.T, utf8 bool, f func(e *Encoder)) string {
	t.Helper()
	var b bytes.Buffer
	e := NewEncoder(&b)
	e.SetUTF8(utf8)
	f(e)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if e.page != nil || e.buf != nil {
		t.Error("buffer held after Flush")
	}
	return b.String()
}

func TestResponsesAreSpaced(t *testing.T) {
	t.Parallel()
	got := written(t, false, func(e *Encoder) {
		e.Untagged()
		e.Number(12)
		e.Atom("FETCH")
		e.Open()
		e.Atom("FLAGS")
		e.Flags([]string{FlagSeen, "$Junk"})
		e.Atom("INTERNALDATE")
		e.DateTime(time.Date(2026, 2, 7, 10, 0, 0, 0, time.FixedZone("", -3600)))
		e.Atom("ENVELOPE")
		e.Open()
		e.Nil()
		e.NText("a", true)
		e.NText("", false)
		e.Open()
		for range 2 {
			e.Open()
			e.Text("x")
			e.Close()
			e.Join()
		}
		e.Close()
		e.Open()
		e.Close()
		e.Close()
		s := Section{Path: []uint32{1}, Part: PartMIME}
		e.Appended(s.AppendResponse)
		if err := e.Literal(3, strings.NewReader("a\x00b and more")); err != nil {
			t.Error(err)
		}
		e.Close()
		e.End()
		e.Untagged()
		e.Atom("VANISHED")
		e.Set(set(t, "1:3,5"))
		e.End()
		e.Continue("idling")
	})
	const want = "* 12 FETCH (FLAGS (\\Seen $Junk) INTERNALDATE \" 7-Feb-2026 10:00:00 -0100\" ENVELOPE (NIL \"a\" NIL ((\"x\")(\"x\")) ()) " +
		"BODY[1.MIME] {3}\r\na\x80b)\r\n* VANISHED 1:3,5\r\n+ idling\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestStringsAreQuotedOrLiteral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s, plain, utf8 string
	}{
		{"", `""`, `""`},
		{`a "b" \`, `"a \"b\" \\"`, `"a \"b\" \\"`},
		{"a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
		{"a\x00b", "{3}\r\na\x80b", "{3}\r\na\x80b"},
		{"ü", "{2}\r\nü", `"ü"`},
		{"\xff", "{1}\r\n\xff", "{1}\r\n\xff"},
		{strings.Repeat("x", 5000), "{5000}\r\n" + strings.Repeat("x", 5000), "{5000}\r\n" + strings.Repeat("x", 5000)},
	} {
		for utf8, want := range map[bool]string{false: c.plain, true: c.utf8} {
			if got := written(t, utf8, func(e *Encoder) { e.Text(c.s) }); got != want {
				t.Errorf("%.20q: %.40q", c.s, got)
			}
		}
	}
}

func TestMailboxNamesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, plain, utf8 string }{
		{"INBOX", "INBOX", "INBOX"}, {"a b", `"a b"`, `"a b"`}, {"nil", `"nil"`, `"nil"`}, {"", `""`, `""`}, {"a]", `"a]"`, `"a]"`},
		{"Entwürfe", "Entw&APw-rfe", `"Entwürfe"`}, {"a&b", "a&-b", "a&b"}, {"a\rb", "a&AA0-b", "{3}\r\na\rb"},
	} {
		for utf8, want := range map[bool]string{false: c.plain, true: c.utf8} {
			got := written(t, utf8, func(e *Encoder) { e.Mailbox(c.name) })
			if got != want {
				t.Errorf("%q: %q", c.name, got)
			}
			d := args(t, " "+got)
			d.SetUTF8(utf8)
			d.SP("a mailbox name")
			if back := d.Mailbox("a mailbox name"); back != c.name || d.End() != nil {
				t.Errorf("%q read back as %q, %v", c.name, back, d.Err())
			}
		}
	}
}

func TestStatusResponses(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Response{
		"a1 OK done\r\n":                            {Status: OK, Text: "done"},
		"a1 OK [READ-WRITE] done\r\n":               {Status: OK, Code: CodeReadWrite, Text: "done"},
		"a1 NO NO\r\n":                              {Status: NO},
		"a1 OK -[ALERT] x\r\n":                      {Status: OK, Text: "[ALERT] x"},
		"a1 BAD a??b?? OK\r\n":                      {Status: BAD, Text: "a\r\nb\xc3\xbc OK"},
		"a1 OK [UIDNEXT 7] x\r\n":                   {Status: OK, Code: CodeNumber("UIDNEXT", 7), Text: "x"},
		"a1 OK [APPENDUID 3 4:5] x\r\n":             {Status: OK, Code: CodeAppendUID(3, set(t, "4,5")), Text: "x"},
		"a1 OK [COPYUID 3 1,3 4:5] x\r\n":           {Status: OK, Code: CodeCopyUID(3, set(t, "1,3"), set(t, "4:5")), Text: "x"},
		"a1 OK [MODIFIED 7,9] x\r\n":                {Status: OK, Code: CodeModified(set(t, "7,9")), Text: "x"},
		"a1 OK [MAILBOXID (F1)] x\r\n":              {Status: OK, Code: CodeMailboxID("F1"), Text: "x"},
		"a1 OK [CAPABILITY IMAP4rev1 ID] x\r\n":     {Status: OK, Code: CodeCapability([]string{"IMAP4rev1", "ID"}), Text: "x"},
		"a1 OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n": {Status: OK, Code: CodePermanentFlags([]string{FlagSeen, FlagAny}), Text: "x"},
	} {
		if got := written(t, false, func(e *Encoder) { e.Response("a1", r) }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := written(t, true, func(e *Encoder) { e.Response("", Response{Status: BYE, Text: "ü"}) }); got != "* BYE ü\r\n" {
		t.Errorf("%q", got)
	}
}

func TestBigTokensAndLiteralsPassThroughTheBuffer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 5000)
	got := written(t, false, func(e *Encoder) {
		for range 3 {
			e.Text(long)
			e.Appended(func(b []byte) []byte { return append(b, long...) })
			if err := e.Literal(int64(len(long)), iotest.HalfReader(strings.NewReader(long))); err != nil {
				t.Error(err)
			}
			if err := e.Literal8(1, strings.NewReader("\x00")); err != nil {
				t.Error(err)
			}
		}
	})
	one := "{50000}\r\n" + long + " " + long + " {50000}\r\n" + long + " ~{1}\r\n\x00"
	if got != one+" "+one+" "+one {
		t.Errorf("%d octets", len(got))
	}
}

func TestFaultsOfWritingStick(t *testing.T) {
	t.Parallel()
	e := NewEncoder(io.Discard)
	if err := e.Literal(10, strings.NewReader("short")); !errors.Is(err, ErrShortLiteral) {
		t.Error(err)
	}
	e.Atom("x")
	if err := e.Flush(); !errors.Is(err, ErrShortLiteral) || e.Err() != err {
		t.Error(err)
	}
	broken := errors.New("broken pipe")
	e = NewEncoder(writer(func([]byte) (int, error) { return 0, broken }))
	for range 100 {
		e.Text(strings.Repeat("x", 4000))
	}
	if err := e.Flush(); err != broken {
		t.Error(err)
	}
	var b bytes.Buffer
	e = NewEncoder(io.Discard)
	e.Reset(&b)
	e.Atom("x")
	if e.Flush(); b.String() != "x" {
		t.Error(b.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// fetchFlags writes 100,000 lines as a mail program asks for them first.
func fetchFlags(e *Encoder, flags [][]string) {
	for i := range uint64(100000) {
		e.Untagged()
		e.Number(i + 1)
		e.Atom("FETCH")
		e.Open()
		e.Atom("UID")
		e.Number(i + 1000)
		e.Atom("FLAGS")
		e.Flags(flags[i%uint64(len(flags))])
		e.Close()
		e.End()
	}
}

var someFlags = [][]string{{}, {FlagSeen}, {FlagSeen, FlagAnswered}, {FlagSeen, "$Forwarded", "NonJunk"}}

func TestFlagLinesAllocateNothing(t *testing.T) {
	e := NewEncoder(io.Discard)
	n := testing.AllocsPerRun(3, func() { fetchFlags(e, someFlags) })
	if n > 10 { // of 100,000 lines
		t.Errorf("%v allocations", n)
	}
	if err := e.Flush(); err != nil {
		t.Error(err)
	}
}

func BenchmarkFetchFlags100000(b *testing.B) {
	e := NewEncoder(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		fetchFlags(e, someFlags)
		if err := e.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}
