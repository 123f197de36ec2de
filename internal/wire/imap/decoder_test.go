package imap

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"
)

// client is a stream of input that notes how often it was asked to go on.
type client struct {
	*Decoder
	asked int
}

func newClient(t testing.TB, r io.Reader, l Limits) *client {
	t.Helper()
	c := &client{}
	c.Decoder = NewDecoder(r, l, func() error { c.asked++; return nil })
	return c
}

// dial makes a logged-in client that sends text.
func dial(t testing.TB, text string) *client {
	return newClient(t, strings.NewReader(text), AfterLogin(0))
}

// args makes a decoder that stands before the arguments of one command.
func args(t testing.TB, text string) *client {
	t.Helper()
	c := dial(t, "t X"+text+"\r\n")
	if _, err := c.Next(); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return c
}

// next takes a command without arguments and checks its name.
func next(t *testing.T, c *client, want string) {
	t.Helper()
	got, err := c.Next()
	if err != nil || got.Tag+" "+got.Verb != want {
		t.Fatalf("Next = %v, %v; want %s", got, err, want)
	}
}

// fault returns the *Error in err and fails without one.
func fault(t *testing.T, err error) Response {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	return e.Response
}

func TestCommandsAreReadOneByOneHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	const text = "a1 NOOP\r\na2 uid fetch 1:* (flags)\r\na3 LOGIN {5+}\r\nalice {3}\r\n\"\r\n\r\nA4 select inbox\nA5 LOGOUT\r\n"
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(text),
		"bytes": iotest.OneByteReader(strings.NewReader(text)),
		"half":  iotest.HalfReader(strings.NewReader(text)),
		"eof":   iotest.DataErrReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, r, AfterLogin(0))
			next(t, c, "a1 NOOP")
			if err := c.End(); err != nil {
				t.Fatal(err)
			}
			cmd, err := c.Next()
			if err != nil || cmd != (Command{Tag: "a2", Verb: "FETCH", UID: true}) {
				t.Fatalf("%v %v", cmd, err)
			}
			if f, err := c.Fetch(); err != nil || f.Attrs != FetchFlags || f.Set.String() != "1:*" {
				t.Fatalf("%v %v", f, err)
			}
			next(t, c, "a3 LOGIN")
			user, password, err := c.Login()
			if err != nil || user != "alice" || password != "\"\r\n" || c.asked != 1 {
				t.Fatalf("%q %q %v, asked %d times", user, password, err, c.asked)
			}
			next(t, c, "A4 SELECT")
			if s, err := c.Select(); err != nil || s.Mailbox != "INBOX" {
				t.Fatalf("%v %v", s, err)
			}
			next(t, c, "A5 LOGOUT")
			if _, err := c.Next(); err != io.EOF {
				t.Fatalf("at the end: %v", err)
			}
		})
	}
}

func TestFaultyCommandsAreSkippedWithTheirLiterals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a1 FETCH\r\n",
		"a1 NOSUCH a b c\r\n",
		"a1 FETCH {3+}\r\na2 \r\n",
		"a1 FETCH x{3+}\r\n1 2 {4+}\r\n\r\n\r\n rest\r\n",
		"a1 FETCH \"{9+}\r\nsmuggled! {4}\r\n",
		"a1 FETCH {99}\r\n",
		"a1 FETCH {99999999999999999999999999}\r\n",
		"a1 FETCH {70000+}\r\n" + strings.Repeat("x", 70000) + "\r\n",
		"a1 FETCH 1 " + strings.Repeat("(", 200000) + "\r\n",
		"a1 FETCH 1 " + strings.Repeat("x", 200000) + "{2+}\r\n\r\n\r\n",
		"a1 FETCH 1 (BODY[{0+}\r\n\r\n",
	} {
		c := dial(t, text+"a9 NOOP\r\n")
		cmd, err := c.Next()
		if cmd.Tag != "a1" {
			t.Errorf("%.40q: tag %q", text, cmd.Tag)
		}
		if err == nil {
			_, err = c.Fetch()
		}
		if r := fault(t, err); r.Status != BAD || r.Close {
			t.Errorf("%.40q: %+v", text, r)
		}
		next(t, c, "a9 NOOP")
		if c.asked != 0 {
			t.Errorf("%.40q: asked for a literal of a faulty command", text)
		}
	}
}

func TestStrangersCannotSendLongLinesOrLiterals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a1 LOGIN {4294967296}\r\n",
		"a1 LOGIN {8193}\r\n",
		"a1 LOGIN {8193+}\r\n",
		"a1 LOGIN ~{8193+}\r\n",
		"a1 LOGIN x {99999999999999999999}\r\n",
		"a1 LOGIN " + strings.Repeat("(", 1000000),
		"a1 LOGIN " + strings.Repeat("x", 8<<10) + "\r\n",
		strings.Repeat("A", 1000000),
	} {
		src := strings.NewReader(text + strings.Repeat("y", 100000))
		size := src.Len()
		c := newClient(t, src, BeforeLogin())
		_, err := c.Next()
		if r := fault(t, err); r.Status != BAD || !r.Close {
			t.Errorf("%.30q: %+v", text, r)
		}
		if read := size - src.Len(); read > 16<<10 {
			t.Errorf("%.30q: %d octets read", text, read)
		}
		if _, again := c.Next(); again != err {
			t.Errorf("%.30q: the stream goes on after a closing fault: %v", text, again)
		}
	}
}

func TestLimitsWidenAtLogin(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20000)
	c := newClient(t, strings.NewReader("a1 LOGIN a b\r\na2 X "+long+" {20000+}\r\n"+long+"\r\n"), BeforeLogin())
	next(t, c, "a1 LOGIN")
	c.SetLimits(AfterLogin(0))
	next(t, c, "a2 X")
	for range 2 {
		c.SP("a string")
		if s := c.AString("a string"); s != long {
			t.Fatal(len(s), c.Err())
		}
	}
	if err := c.End(); err != nil {
		t.Error(err)
	}
}

func TestLiteralsOfStrangersAddUp(t *testing.T) {
	t.Parallel()
	part := "{8000+}\r\n" + strings.Repeat("x", 8000)
	c := newClient(t, strings.NewReader("a1 X "+part+" "+part+" "+part+"\r\n"), BeforeLogin())
	next(t, c, "a1 X")
	for range 3 {
		c.SP("a string")
		c.AString("a string")
	}
	if r := fault(t, c.End()); !r.Close {
		t.Errorf("%+v", r)
	}
}

func TestSkippingEndsTheConnectionAtItsLimit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a1 X {9000000000+}\r\n",
		"a1 X " + strings.Repeat("x", 3<<20),
		"a1 X " + strings.Repeat("{65000+}\r\n"+strings.Repeat("x", 65000), 40),
	} {
		c := dial(t, text)
		c.Next()
		_, err := c.Next()
		if r := fault(t, err); !r.Close {
			t.Errorf("%.30q: %+v", text, r)
		}
		if len(c.in.buf) > 256<<10 {
			t.Errorf("%.30q: %d octets buffered", text, len(c.in.buf))
		}
	}
}

func TestBadTagsAndVerbsAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "Expected a tag",
		" NOOP":                  "Expected a tag",
		"+ NOOP":                 "Expected a tag",
		"a1":                     "Expected a command",
		"a1 ":                    "Expected a command",
		"a1  NOOP":               "Expected a command",
		"a1 UID":                 "Expected a command after UID",
		"a1\x00NOOP":             "Expected a space before a command",
		"a1 {5+}\r\nhello":       "Expected a command",
		"\"a1\" NOOP":            "Expected a tag",
		"a\xff NOOP":             "Expected a space before a command",
		strings.Repeat("a", 300): "Tag too long",
	} {
		c := dial(t, text+"\r\nz NOOP\r\n")
		_, err := c.Next()
		if r := fault(t, err); r.Status != BAD || r.Text != want {
			t.Errorf("%q: %+v", text, r)
		}
		next(t, c, "z NOOP")
	}
}

func TestInputThatEndsInsideACommandIsNoOrderlyEnd(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a", "a1 LOGIN x", "a1 LOGIN {5+}\r\nabc", "a1 LOGIN {3+}\r\nabc", "a1 LOGIN {3+}\r\nabc y"} {
		c := dial(t, text)
		_, err := c.Next()
		if err == nil {
			_, _, err = c.Login()
		}
		if err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", text, err)
		}
		if _, again := c.Next(); again != io.ErrUnexpectedEOF {
			t.Errorf("%q: then %v", text, again)
		}
	}
}

func TestProceedFaultsReachTheHandler(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	d := NewDecoder(strings.NewReader("a LOGIN {1}\r\nx y\r\n"), AfterLogin(0), func() error { return broken })
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Login(); err != broken {
		t.Errorf("%v", err)
	}
}

func TestIdleDecodersHoldNoPage(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Decoder{}); size > 400 {
		t.Errorf("a Decoder takes %d octets", size)
	}
	text := fmt.Sprintf("a1 X %s\r\na2 X %s\r\n", strings.Repeat("x", 3000), strings.Repeat("y", 30000))
	c := newClient(t, lineReader(text), AfterLogin(0))
	for range 2 {
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
		if len(c.in.buf) < 3000 {
			t.Fatal("the test does not fill a page")
		}
	}
	if _, err := c.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if c.in.page != nil || len(c.in.buf) != smallSize {
		t.Errorf("%d octets held while waiting", len(c.in.buf))
	}
}

// lineReader never returns octets of two lines at once.
func lineReader(text string) io.Reader {
	var parts []io.Reader
	for line := range strings.Lines(text) {
		parts = append(parts, strings.NewReader(line))
	}
	return io.MultiReader(parts...)
}

func TestPlaintextBehindStartTLSIsSeenAndForgotten(t *testing.T) {
	t.Parallel()
	c := dial(t, "a1 STARTTLS\r\na2 NOOP\r\n")
	next(t, c, "a1 STARTTLS")
	if c.Buffered() == 0 {
		t.Error("injected plaintext not seen")
	}
	c.Reset(strings.NewReader("a3 NOOP\r\n"))
	next(t, c, "a3 NOOP")
	if c.Buffered() != 0 {
		t.Error("octets left")
	}
}

func TestTokensForVerbsWithoutAMethod(t *testing.T) {
	t.Parallel()
	c := args(t, ` (STORAGE 512 "a\"b") NIL nilly {2+}`+"\r\n\xff\xfe atom")
	c.SP("resources")
	if !c.Open() || c.Keyword("a resource") != "STORAGE" {
		t.Fatal(c.Err())
	}
	c.SP("a limit")
	if n := c.Number("a limit"); n != 512 {
		t.Fatal(n, c.Err())
	}
	if !c.More() || c.Text("a string") != `a"b` || !c.Close() || !c.More() {
		t.Fatal(c.Err())
	}
	if _, ok := c.NText("a string"); ok {
		t.Error("NIL is no string")
	}
	c.SP("a string")
	if s := c.AString("a string"); s != "nilly" {
		t.Error(s)
	}
	c.SP("a string")
	if s, ok := c.NText("a string"); !ok || s != "\xff\xfe" {
		t.Errorf("%q %v", s, ok)
	}
	c.SP("an atom")
	if s := c.Atom("an atom"); s != "atom" || c.End() != nil {
		t.Error(s, c.Err())
	}
}

func TestStringsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, ` `, ` "abc`, ` "a\bc"`, ` "a\`, " \"a\x00\"", " \"a\rb\"", " \"\xff\"", " a\x00", " a\xc3\xa9", " {3+}\r\na\x00b", " ~{3+}\r\nabc", ` "a" b`, ` (`, ` a(`, ` "a"b`, ` a{1+}` + "\r\nx"} {
		c := args(t, text)
		c.SP("a string")
		c.AString("a string")
		if err := c.End(); err == nil {
			t.Errorf("%q taken", text)
		}
	}
}

func TestNumbersHaveBounds(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"0": true, "4294967295": true, "4294967296": false, "99999999999999999999999": false, "-1": false, "": false, "1a": false, "007": true,
	} {
		c := args(t, " "+text)
		c.SP("a number")
		c.Number("a number")
		if err := c.End(); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	c := args(t, " 9223372036854775807 9223372036854775808")
	c.SP("a number")
	if n := c.Number64("a number"); n != 1<<63-1 {
		t.Error(n)
	}
	c.SP("a number")
	if c.Number64("a number"); c.Err() == nil {
		t.Error("64 bits taken")
	}
}
