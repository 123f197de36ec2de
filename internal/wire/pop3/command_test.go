package pop3

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCommandsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want Command
		log  string
	}{
		{"USER demo@example.test", Command{Verb: User, Text: "demo@example.test"}, "USER demo@example.test"},
		{"user a b ", Command{Verb: User, Text: "a b "}, "USER a b "},
		{"PASS  se cret ", Command{Verb: Pass, Text: " se cret "}, "PASS ****"},
		{"PASS pässwörd", Command{Verb: Pass, Text: "pässwörd"}, "PASS ****"},
		{"AUTH", Command{Verb: Auth}, "AUTH"},
		{"AUTH plain", Command{Verb: Auth, Text: "PLAIN"}, "AUTH PLAIN"},
		{"AUTH PLAIN AHVzZXIAcGVuY2ls", Command{Verb: Auth, Text: "PLAIN", Initial: "AHVzZXIAcGVuY2ls"}, "AUTH PLAIN ****"},
		{"AUTH PLAIN =", Command{Verb: Auth, Text: "PLAIN", Initial: "="}, "AUTH PLAIN ****"},
		{"AUTH PLAIN " + strings.Repeat("A", 8000), Command{Verb: Auth, Text: "PLAIN", Initial: strings.Repeat("A", 8000)}, "AUTH PLAIN ****"},
		{"QUIT", Command{Verb: Quit}, "QUIT"}, {"stat ", Command{Verb: Stat}, "STAT"}, {"NOOP", Command{Verb: Noop}, "NOOP"},
		{"RSET", Command{Verb: Rset}, "RSET"}, {"CAPA", Command{Verb: Capa}, "CAPA"}, {"STLS", Command{Verb: STLS}, "STLS"}, {"UTF8", Command{Verb: UTF8}, "UTF8"},
		{"LIST", Command{Verb: List}, "LIST"}, {"LIST 1", Command{Verb: List, Message: 1}, "LIST 1"}, {"UIDL", Command{Verb: UIDL}, "UIDL"},
		{"UIDL 2147483647", Command{Verb: UIDL, Message: 2147483647}, "UIDL 2147483647"}, {"RETR 007", Command{Verb: Retr, Message: 7}, "RETR 7"},
		{"DELE 3", Command{Verb: Dele, Message: 3}, "DELE 3"}, {"TOP 1 0", Command{Verb: Top, Message: 1}, "TOP 1 0"},
		{"TOP  1  10 ", Command{Verb: Top, Message: 1, Lines: 10}, "TOP 1 10"},
		{"LANG", Command{Verb: Lang}, "LANG"}, {"LANG de", Command{Verb: Lang, Text: "de"}, "LANG de"},
		{"USER " + strings.Repeat("u", 248), Command{Verb: User, Text: strings.Repeat("u", 248)}, "USER " + strings.Repeat("u", 248)},
	} {
		got, err := ParseCommand(c.line)
		if err != nil || got != c.want {
			t.Errorf("%.60q: %+v, %v", c.line, got, err)
		}
		if got.String() != c.log {
			t.Errorf("%.60q is logged as %q", c.line, got)
		}
	}
}

func TestBadCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]error{
		"": ErrUnknown, " ": ErrUnknown, " STAT": ErrUnknown, "APOP a b": ErrUnknown, "XYZ": ErrUnknown, "GET / HTTP/1.1": ErrUnknown,
		"USER": ErrArgument, "USER ": ErrArgument, "PASS": ErrArgument, "STAT 1": ErrArgument, "QUIT now": ErrArgument, "AUTH a b c": ErrArgument,
		"LIST 0": ErrArgument, "LIST -1": ErrArgument, "LIST +1": ErrArgument, "LIST 1 2": ErrArgument, "LIST a": ErrArgument, "LIST 2147483648": ErrArgument,
		"LIST 00000000001": ErrArgument, "RETR": ErrArgument, "RETR 1x": ErrArgument, "DELE": ErrArgument, "TOP": ErrArgument, "TOP 1": ErrArgument,
		"TOP 0 1": ErrArgument, "TOP 1 -1": ErrArgument, "TOP 1 2 3": ErrArgument, "TOP x 1": ErrArgument, "LANG a b": ErrArgument, "RETR ١": ErrArgument,
		"USER a\x00b": ErrCharacter, "USER a\rb": ErrCharacter, "PASS a\tb": ErrCharacter, "STAT\x7f": ErrCharacter, "\x00": ErrCharacter, "USER a\nDELE 1": ErrCharacter,
		"USER " + strings.Repeat("u", 249): ErrTooLong, "AUTH PLAIN " + strings.Repeat("A", MaxAuthLine): ErrTooLong, strings.Repeat("A", 300): ErrTooLong,
	} {
		c, err := ParseCommand(line)
		if !errors.Is(err, want) || !Recoverable(err) {
			t.Errorf("%.40q: %+v, %v; want %v", line, c, err, want)
		}
		if want == ErrArgument && c.Verb == "" {
			t.Errorf("%q: the verb is lost", line)
		}
		if strings.Contains(err.Error(), "uuu") || len(err.Error()) > 100 {
			t.Errorf("%.40q: error shows the line: %v", line, err)
		}
	}
}

func TestBadLinesCostOneLineOnly(t *testing.T) {
	t.Parallel()
	input := "USER demo\r\n" +
		"USER " + strings.Repeat("x", 100<<10) + "\r\n" + // hostile row 47
		"USER a\x00b\r\n" + "nonsense\r\n" +
		"AUTH PLAIN " + strings.Repeat("A", 4000) + "\r\n" +
		strings.Repeat("x", buffer-1) + "\n" + strings.Repeat("x", buffer) + "\n" +
		"STAT\nQUIT\r\n"
	want := []struct {
		verb Verb
		err  error
	}{{User, nil}, {"", ErrTooLong}, {"", ErrCharacter}, {"", ErrUnknown}, {Auth, nil}, {"", ErrTooLong}, {"", ErrTooLong}, {Stat, nil}, {Quit, nil}, {"", io.EOF}}
	for _, source := range []io.Reader{strings.NewReader(input), iotest.OneByteReader(strings.NewReader(input)), iotest.DataErrReader(strings.NewReader(input))} {
		r := NewReader(source)
		for i, w := range want {
			c, err := r.ReadCommand()
			if c.Verb != w.verb || !errors.Is(err, w.err) {
				t.Errorf("line %d: %s, %v", i, c.Verb, err)
			}
			if err != nil && Recoverable(err) != (err != io.EOF) {
				t.Errorf("line %d: Recoverable(%v)", i, err)
			}
		}
	}
}

func TestLinesWithoutEndAreGivenUp(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]error{
		"STAT": io.ErrUnexpectedEOF, strings.Repeat("x", 1000): io.ErrUnexpectedEOF, strings.Repeat("x", maxFlood+1): ErrFlood, "": io.EOF,
	} {
		if _, err := NewReader(strings.NewReader(input)).ReadCommand(); !errors.Is(err, want) || Recoverable(err) {
			t.Errorf("%d octets: %v, want %v", len(input), err, want)
		}
	}
	if _, err := NewReader(iotest.ErrReader(io.ErrClosedPipe)).ReadResponse(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestResponsesOfAnExchangeAreRead(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("AHVzZXIA\r\n\r\n*\r\n" + strings.Repeat("A", MaxAuthLine-2) + "\r\n" + strings.Repeat("A", MaxAuthLine) + "\r\na\x00\r\nSTAT\r\n"))
	for _, want := range []string{"AHVzZXIA", "", "*", strings.Repeat("A", MaxAuthLine-2)} {
		if got, err := r.ReadResponse(); err != nil || got != want {
			t.Errorf("%.20q, %v; want %.20q", got, err, want)
		}
	}
	for _, want := range []error{ErrTooLong, ErrCharacter} {
		if _, err := r.ReadResponse(); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if r.Buffered() != len("STAT\r\n") {
		t.Errorf("%d octets are waiting", r.Buffered())
	}
}

func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{"USER a\r\nPASS b\r\n", "TOP 1 0\r\nLIST\n", "AUTH PLAIN =\r\n", "\x00\r\n", "RETR 99999999999\r\n", strings.Repeat("x", 600) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(strings.NewReader(string(b)))
		lines := strings.Count(string(b), "\n")
		for i := 0; ; i++ {
			c, err := r.ReadCommand()
			if err != nil && !Recoverable(err) {
				if i != lines {
					t.Fatalf("%d of %d lines read, %v", i, lines, err)
				}
				return
			}
			if err == nil && (shapes[c.Verb] == 0 || c.Message < 0 || c.Lines < 0 || strings.ContainsAny(c.String(), "\x00\r\n")) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
