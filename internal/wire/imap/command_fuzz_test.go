package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// serve takes the arguments of a command as imapd does and returns what they
// were, so that two ways of reading the same input can be compared.
func serve(c *client, cmd Command) string {
	var v any
	var err error
	d := c.Decoder
	switch cmd.Verb {
	case "FETCH":
		v, err = d.Fetch()
	case "STORE":
		v, err = d.Store()
	case "SEARCH":
		v, err = d.Search()
	case "SORT":
		v, err = d.Sort()
	case "THREAD":
		v, err = d.Thread()
	case "STATUS":
		v, err = d.MailboxStatus()
	case "LIST":
		v, err = d.List()
	case "LSUB":
		v, err = d.Lsub()
	case "SELECT", "EXAMINE":
		var sel Select
		sel, err = d.Select()
		resync := sel.Resync
		sel.Resync = nil // a pointer prints as its address
		v = fmt.Sprintf("%+v %+v", sel, resync)
	case "CREATE":
		v, err = d.Create()
	case "RENAME":
		var from, to string
		from, to, err = d.Rename()
		v = from + " " + to
	case "DELETE":
		v, err = d.MailboxArg()
	case "COPY", "MOVE":
		v, err = d.Copy()
	case "EXPUNGE":
		v, err = d.SetArg()
	case "LOGIN":
		var user, password string
		user, password, err = d.Login()
		v = user + " " + password
	case "AUTHENTICATE":
		if v, err = d.Authenticate(); err == nil {
			v, err = d.AuthResponse()
		}
	case "IDLE":
		err = d.Done()
	case "ENABLE":
		v, err = d.Enable()
	case "ID":
		v, err = d.ID()
	case "GETQUOTA":
		v, err = d.QuotaRoot()
	case "SETQUOTA":
		err = d.SetQuota()
	case "COMPRESS":
		v, err = d.Compress()
	case "APPEND":
		v, err = serveAppend(d)
	default:
		err = d.End()
	}
	return fmt.Sprintf("%v %+v %v", cmd, v, err)
}

// serveAppend reads the messages, and refuses those larger than 100 octets.
func serveAppend(d *Decoder) (string, error) {
	name, err := d.AppendMailbox()
	for err == nil {
		var a Append
		var more bool
		if a, more, err = d.Append(); !more || err != nil {
			break
		}
		if a.Literal.Size > 100 {
			return name, errors.New("too large")
		}
		b, readErr := io.ReadAll(a.Literal)
		name += fmt.Sprintf(" %v %v %q", a.Flags, a.Date, b)
		err = readErr
	}
	return name, err
}

// session serves all of the input and returns what was seen of it.
func session(t *testing.T, r io.Reader, l Limits, size int) []string {
	c := newClient(t, r, l)
	var seen []string
	for range size + 2 {
		cmd, err := c.Next()
		if err == nil {
			seen = append(seen, serve(c, cmd))
			continue
		}
		seen = append(seen, fmt.Sprint(cmd, err))
		var e *Error
		if !errors.As(err, &e) || e.Response.Close {
			return seen
		}
		if len(c.in.buf) > 2*max(l.Line, pageSize) {
			t.Fatalf("%d octets buffered", len(c.in.buf))
		}
	}
	t.Fatal("more commands than octets")
	return nil
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"a UID FETCH 1:* (FLAGS BODY.PEEK[1]<0.5>) (CHANGEDSINCE 7)\r\nb NOOP\r\n",
		"a LOGIN {5+}\r\nalice {3}\r\nbob\r\nb APPEND x (\\Seen) {3}\r\nabc ~{2+}\r\nxy\r\n",
		"a SEARCH CHARSET UTF-8 OR NOT SEEN (1 UID 2) TEXT {2+}\r\nab\r\n",
		"a STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (x \\Seen)\r\na LIST (SUBSCRIBED) \"\" (% *) RETURN (STATUS (UNSEEN))\r\n",
		"a SELECT x (QRESYNC (1 2 3 (4 5)))\r\na AUTHENTICATE PLAIN =\r\nAAAA\r\na IDLE\r\nDONE\r\n",
		"a ID (\"a\" NIL)\r\na ENABLE X\r\na CREATE x (USE (\\Sent))\r\na FOO {3+}\r\n{9}\r\n",
		"a GETQUOTA \"\"\r\nb SETQUOTA {1+}\r\nx (STORAGE 512 MESSAGE 1)\r\n",
		"a APPEND x UTF8 (~{1+}\r\nx)\r\na APPEND x {999+}\r\n", "a SORT (DATE) UTF-8 ALL\na THREAD REFS UTF-8 1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, l := range []Limits{AfterLogin(0), BeforeLogin(), {Line: 100, Literal: 20, Literals: 30, Skip: 200}} {
			whole := session(t, bytes.NewReader(text), l, len(text))
			bits := session(t, iotest.OneByteReader(bytes.NewReader(text)), l, len(text))
			if fmt.Sprint(whole) != fmt.Sprint(bits) {
				t.Fatalf("%q differs by the size of reads:\n%q\n%q", text, whole, bits)
			}
		}
		inStep(t, string(text))
	})
}

// inStep sends the text as one line, followed by the literal it may announce,
// and expects the next command to be found.
func inStep(t *testing.T, text string) {
	line := strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
	var l Literal
	rest := ""
	if _, ok := l.parse([]byte(line)); ok && l.NonSync {
		if l.Size > 1000 {
			return
		}
		rest = strings.Repeat("\n", int(l.Size)) + "\r\n"
	}
	c := dial(t, line+"\r\n"+rest+"zz NOOP\r\n")
	cmd, err := c.Next()
	if err == nil && cmd.Verb != "APPEND" && cmd.Verb != "IDLE" && cmd.Verb != "AUTHENTICATE" {
		serve(c, cmd)
	}
	if c.asked > 0 {
		return // the line after a literal that was asked for is its content
	}
	if cmd, err := c.Next(); err != nil || cmd != (Command{Tag: "zz", Verb: "NOOP"}) {
		t.Fatalf("%q: out of step: %v %v", line, cmd, err)
	}
}
