package imap

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendStreamsItsMessages(t *testing.T) {
	t.Parallel()
	c := dial(t, "a APPEND Sent (\\Seen draft) \" 7-Feb-2026 10:00:00 +0100\" {5}\r\nhello {3+}\r\nabc UTF8 (~{4+}\r\na\x00\r\n) (x) ~{2}\r\n{}\r\nb NOOP\r\n")
	next(t, c, "a APPEND")
	if name, err := c.AppendMailbox(); err != nil || name != "Sent" {
		t.Fatal(name, err)
	}
	type message struct {
		flags []string
		date  bool
		utf8  bool
		text  string
	}
	var got []message
	for {
		a, more, err := c.Append()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		b, err := io.ReadAll(a.Literal)
		if err != nil || int64(len(b)) != a.Literal.Size {
			t.Fatalf("%q %v", b, err)
		}
		got = append(got, message{a.Flags, !a.Date.IsZero(), a.UTF8, string(b)})
		if a.Date.IsZero() == (len(got) == 1) {
			t.Error(a.Date)
		}
	}
	want := []message{{[]string{FlagSeen, "draft"}, true, false, "hello"}, {nil, false, false, "abc"}, {nil, false, true, "a\x00\r\n"}, {[]string{"x"}, false, false, "{}"}}
	if !reflect.DeepEqual(got, want) || c.asked != 2 {
		t.Errorf("%+v, asked %d times", got, c.asked)
	}
	next(t, c, "b NOOP")
}

func TestRefusedMessagesAreNotAskedFor(t *testing.T) {
	t.Parallel()
	for text, read := range map[string]int64{
		"a APPEND x {1000000}\r\n":                                                    0,
		"a APPEND x {300000+}\r\n" + strings.Repeat("x", 300000) + "\r\n":             0,
		"a APPEND x {300000}\r\n" + strings.Repeat("x", 300000) + " {3+}\r\n\r\n\r\n": 1000,
	} {
		c := dial(t, text+"b NOOP\r\n")
		next(t, c, "a APPEND")
		if _, err := c.AppendMailbox(); err != nil {
			t.Fatal(err)
		}
		a, more, err := c.Append()
		if !more || err != nil {
			t.Fatal(more, err)
		}
		if read > 0 {
			if n, err := io.CopyN(io.Discard, a.Literal, read); n != read || err != nil {
				t.Fatal(n, err)
			}
		}
		if asked := c.asked > 0; asked != (read > 0) {
			t.Errorf("asked %d times", c.asked)
		}
		next(t, c, "b NOOP")
	}
}

func TestMessagesAreNotBuffered(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	r := io.MultiReader(strings.NewReader("a APPEND x {104857600+}\r\n"), io.LimitReader(letters{}, size), strings.NewReader("\r\nb NOOP\r\n"))
	c := newClient(t, r, AfterLogin(0))
	next(t, c, "a APPEND")
	c.AppendMailbox()
	a, _, err := c.Append()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, a.Literal); n != size || err != nil {
		t.Fatal(n, err)
	}
	if len(c.in.buf) > pageSize {
		t.Errorf("%d octets buffered", len(c.in.buf))
	}
	if _, more, err := c.Append(); more || err != nil {
		t.Error(more, err)
	}
	next(t, c, "b NOOP")
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestAppendFaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", " x", " x ", " x (a)", " x (a) ", ` x "1-Jan-2026"`, " x hello", " x UTF8 {3+}\r\nabc)", " x UTF8 (x)",
		" x {3+}\r\nabc ", " x {3+}\r\nabc{3+}\r\nabc", " x {3+}\r\nabc)", " x UTF8 (~{3+}\r\nabc", " x UTF8 (~{3+}\r\nabc x", " {1+}\r\nx", ` "&" {3+}` + "\r\nabc"} {
		c := dial(t, "a APPEND"+text+"\r\nb NOOP\r\n")
		next(t, c, "a APPEND")
		_, err := c.AppendMailbox()
		for more := true; more && err == nil; {
			var a Append
			if a, more, err = c.Append(); more {
				io.Copy(io.Discard, a.Literal)
			}
		}
		if err == nil {
			t.Errorf("%q taken", text)
		}
		next(t, c, "b NOOP")
	}
}

func TestEmptyMessageIsAnOption(t *testing.T) {
	t.Parallel()
	c := dial(t, "a APPEND x {0}\r\n\r\nb NOOP\r\n")
	next(t, c, "a APPEND")
	c.AppendMailbox()
	a, more, err := c.Append()
	if !more || err != nil || a.Literal.Size != 0 || a.Date != (time.Time{}) {
		t.Fatal(a, more, err)
	}
	if b, err := io.ReadAll(a.Literal); len(b) != 0 || err != nil || c.asked != 1 {
		t.Fatal(b, err)
	}
	if _, more, err := c.Append(); more || err != nil {
		t.Error(more, err)
	}
	next(t, c, "b NOOP")
}

func TestMessageMustBeReadBeforeTheNext(t *testing.T) {
	t.Parallel()
	c := dial(t, "a APPEND x {3+}\r\nabc\r\nb NOOP\r\n")
	next(t, c, "a APPEND")
	c.AppendMailbox()
	if _, _, err := c.Append(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Append(); err != errUnread {
		t.Error(err)
	}
}
