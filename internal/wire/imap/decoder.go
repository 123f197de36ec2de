package imap

import (
	"bytes"
	"io"
	"strings"
)

// Decoder reads the commands of one client. After Next the handler of the
// verb takes the arguments, usually with the one method that bears the verb's
// name. Methods that take a single token are sticky: after the first fault
// they return zero values, and End or Err tells the fault.
//
// A Decoder may be used by one goroutine at a time; an Encoder of the same
// connection may be used by another. While it waits for a command it holds
// about 300 octets.
type Decoder struct {
	in       input
	limits   Limits
	proceed  func() error
	utf8     bool
	line     []byte // the current line up to a literal announcement
	pos      int
	used     int   // octets of the command's lines so far
	literals int64 // octets of its argument literals so far
	rest     rest
	literal  Literal
	err      error
	// Of APPEND: the messages so far, and whether ")" is due behind the last.
	messages  int
	closeUTF8 bool
}

// rest says what of the command still stands in the input behind line.
type rest uint8

const (
	restNone    rest = iota
	restLine         // a line, or the end of one that was too long
	restLiteral      // the literal that line announced
)

// NewDecoder returns a Decoder that reads from r. proceed is called when an
// argument needs a literal the client waits to send: it writes a continuation
// request ("+ ") and flushes.
func NewDecoder(r io.Reader, limits Limits, proceed func() error) *Decoder {
	d := &Decoder{limits: limits, proceed: proceed}
	d.in.src = r
	d.in.release()
	d.literal.d = d
	return d
}

// maxTag bounds what every response must repeat.
const maxTag = 255

// Command is the beginning of a command. UID tells `UID FETCH` from `FETCH`;
// Verb is in upper case and never "UID".
type Command struct {
	Tag  string
	Verb string
	UID  bool
}

// SetLimits changes the limits from the next command on.
func (d *Decoder) SetLimits(l Limits) { d.limits = l }

// SetUTF8 says that mailbox names come as UTF-8 instead of modified UTF-7,
// once UTF8=ACCEPT (RFC 6855) or IMAP4rev2 (RFC 9051) is enabled.
func (d *Decoder) SetUTF8(on bool) { d.utf8 = on }

// Buffered returns how many octets were received behind the current line.
// After STARTTLS it must be 0, else somebody tries to smuggle commands into
// the protected session (CVE-2011-0411).
func (d *Decoder) Buffered() int { return d.in.w - d.in.r }

// Reset makes the Decoder read from r, as after STARTTLS or COMPRESS, and
// forgets everything received.
func (d *Decoder) Reset(r io.Reader) {
	d.in.r, d.in.w = 0, 0
	d.in.src = r
	d.begin()
}

// Next skips what is left of the last command and reads the tag and verb of
// the next one; flush the last response first, because it waits for the
// client. It returns io.EOF when the client is gone between commands.
// With an *Error the Tag is set as far as it could be read; the session goes
// on with the next Next unless Response.Close is set.
func (d *Decoder) Next() (Command, error) {
	if err := d.skip(); err != nil {
		d.err = err
		return Command{}, err
	}
	d.begin()
	d.load()
	if d.err != nil && len(d.line) == 0 {
		return Command{}, d.err
	}
	fault, rest := d.err, d.rest
	if fault == nil {
		return d.command(), d.err
	}
	d.err, d.rest = nil, restNone // the tag of the line that is refused
	c := d.command()
	d.err, d.rest = fault, rest
	return c, fault
}

// command reads tag and verb; one string holds both.
func (d *Decoder) command() (c Command) {
	tag := d.word(isTagChar)
	switch {
	case len(tag) == 0:
		d.fail(expected("a tag"))
		return c
	case len(tag) > maxTag:
		d.fail(bad("Tag too long"))
		return c
	}
	d.arg("a command")
	verb := d.keyword("a command")
	if c.UID = string(verb) == "UID"; c.UID {
		d.arg("a command after UID")
		verb = d.keyword("a command after UID")
	}
	if d.err != nil {
		c.Tag = string(tag)
		return c
	}
	line := string(d.line[:d.pos])
	c.Tag, c.Verb = line[:len(tag)], line[len(line)-len(verb):]
	return c
}

// begin forgets the last command and its buffer.
func (d *Decoder) begin() {
	d.line, d.pos, d.used, d.literals, d.rest, d.err = nil, 0, 0, 0, restNone, nil
	d.messages, d.closeUTF8 = 0, false
	d.in.release()
}

// load reads the next line of the command and looks for a literal at its end.
func (d *Decoder) load() {
	first := d.used == 0
	line, ok, err := d.in.line(max(0, d.limits.Line-d.used))
	d.line, d.pos = nil, 0
	switch {
	case err != nil && !first:
		d.fail(unexpected(err))
	case err != nil:
		d.fail(err)
	case !ok:
		d.line, d.rest = line, restLine
		d.fail(d.excess("Command line too long"))
	default:
		d.used += len(line) + 2
		d.line, d.rest = line, restNone
		d.announce(line)
	}
}

// announce takes a literal announcement off the end of the line. A line that
// ends like one announces a literal whatever stands before, so that a faulty
// command cannot put the stream out of step.
func (d *Decoder) announce(line []byte) {
	at, ok := d.literal.parse(line)
	if !ok {
		return
	}
	d.line, d.rest = line[:at], restLiteral
	if d.limits.Close && d.literal.Size > d.limits.Literal {
		d.fail(closing("Literal too long"))
	}
}

// excess is the fault for something over a limit.
func (d *Decoder) excess(text string) *Error {
	e := bad(text)
	e.Response.Code, e.Response.Close = CodeTooBig, d.limits.Close
	return e
}

// skip throws away what the last command left in the input.
func (d *Decoder) skip() error {
	if e, ok := d.err.(*Error); d.err != nil && (!ok || e.Response.Close) {
		return d.err
	}
	budget := d.limits.Skip
	for {
		switch d.rest {
		case restNone:
			return nil
		case restLine:
			tail, err := d.in.dropLine(&budget)
			if err != nil {
				return err
			}
			d.rest = restNone
			if _, ok := d.literal.parse(tail); ok {
				d.rest = restLiteral
			}
		case restLiteral:
			if d.literal.waiting() {
				d.rest = restNone // the client sees the refusal instead of "+"
				return nil
			}
			budget -= d.literal.left
			if err := overdrawn(budget); err != nil {
				return err
			}
			if err := d.in.discard(d.literal.left); err != nil {
				return err
			}
			d.rest = restLine
		}
	}
}

// Line reads one line that is no command: a SASL response or DONE. It returns
// io.EOF when the client is gone.
func (d *Decoder) Line() (string, error) {
	if err := d.skip(); err != nil {
		d.err = err
		return "", err
	}
	d.begin()
	line, ok, err := d.in.line(d.limits.Line)
	if err == nil && !ok {
		d.rest = restLine
		err = d.excess("Line too long")
	}
	if err != nil {
		d.err = err
		return "", err
	}
	return string(line), nil
}

// Done reads the line that ends IDLE (RFC 2177).
func (d *Decoder) Done() error {
	line, err := d.Line()
	if err == nil && !strings.EqualFold(line, "DONE") {
		err = expected("DONE")
	}
	return err
}

// Err returns the first fault of the current command.
func (d *Decoder) Err() error { return d.err }

// End checks that the command ends here and returns its first fault.
func (d *Decoder) End() error {
	if _, ok := d.peek(); ok || d.err == nil && d.rest == restLiteral {
		d.fail(expected("the end of the command"))
	}
	return d.err
}

// fail remembers the first fault.
func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// peek returns the next octet of the line, reading the line that follows a
// literal when it is needed.
func (d *Decoder) peek() (byte, bool) {
	if d.err == nil && d.rest == restLine && d.pos == len(d.line) {
		d.load()
	}
	if d.err != nil || d.pos == len(d.line) {
		return 0, false
	}
	return d.line[d.pos], true
}

// accept takes c if it is next.
func (d *Decoder) accept(c byte) bool {
	next, ok := d.peek()
	if ok && next == c {
		d.pos++
		return true
	}
	return false
}

// acceptFold takes s, in upper case, if it is next in any case.
func (d *Decoder) acceptFold(s string) bool {
	if _, ok := d.peek(); !ok || len(d.line)-d.pos < len(s) {
		return false
	}
	if !bytes.EqualFold(d.line[d.pos:d.pos+len(s)], []byte(s)) {
		return false
	}
	d.pos += len(s)
	return true
}

// expect takes c or fails naming what.
func (d *Decoder) expect(c byte, what string) {
	if !d.accept(c) {
		d.fail(expected(what))
	}
}
