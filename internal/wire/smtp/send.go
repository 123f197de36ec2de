package smtp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
)

// Message is what Send transmits.
type Message struct {
	Mail Mail
	Rcpt []Rcpt
	// Content is read once; its line ends need not be CRLF, unless Mail.Body is
	// BodyBinary, which sends the octets as they are.
	Content io.Reader
	// Ended, if not nil, is called just before the end of the content goes
	// out: from then on the server may own the message.
	Ended func()
}

// Sent is what the server said; a reply that did not come is zero. Rcpt has a reply for each recipient of the
// message; for LMTP the recipients taken have their own final reply in Final.
type Sent struct {
	Mail  reply.Reply
	Rcpt  []reply.Reply
	Data  reply.Reply
	Final []reply.Reply // LMTP: for each recipient that was taken, in order
	// Ended says that the end of the content went out, perhaps: if no final
	// reply came, the server may have the message or not.
	Ended bool
}

// Taken reports whether the recipient's message was accepted.
func (s *Sent) Taken(i int) bool {
	if i >= len(s.Rcpt) || s.Rcpt[i].Code/100 != 2 {
		return false
	}
	if s.Final == nil {
		return s.Data.Code/100 == 2
	}
	n := 0
	for _, r := range s.Rcpt[:i] {
		if r.Code/100 == 2 {
			n++
		}
	}
	return n < len(s.Final) && s.Final[n].Code/100 == 2
}

// Send runs one transaction; what it returns is never nil. An error that wraps *RefusedError means that the
// whole message was refused at MAIL, DATA or the end of the content, or all
// recipients were; the connection is still good and the transaction over,
// unless the error wraps io.ErrUnexpectedEOF as well: then the server refused
// the content and hung up before it had all of it. ErrExtension comes before
// anything was sent. Replies of a kind that cannot stand where they came, such
// as 354 to MAIL, are an ErrReply.
func (c *Client) Send(m Message) (*Sent, error) {
	s := &Sent{Rcpt: make([]reply.Reply, len(m.Rcpt))}
	line, err := c.mailLine(&m.Mail)
	if err != nil {
		return s, err
	}
	if err := c.checkRcpt(m); err != nil {
		return s, err
	}
	if err := c.inStep(); err != nil {
		return s, err
	}
	defer c.shrink()
	if err := c.envelope(line, m, s); err != nil {
		return s, err
	}
	if _, ok := c.Extension("CHUNKING"); ok && m.Mail.Body == BodyBinary {
		return s, c.chunks(m, s)
	}
	return s, c.data(m, s)
}

// mailLine writes MAIL with the parameters the server knows.
func (c *Client) mailLine(m *Mail) (string, error) {
	line := "MAIL FROM:" + m.Sender.Path()
	has := func(name string) bool { _, ok := c.Extension(name); return ok }
	need := func(name, param string) error {
		if !has(name) {
			return fmt.Errorf("%w: %s", ErrExtension, name)
		}
		line += " " + param
		return nil
	}
	var err error
	if m.Size > 0 && has("SIZE") {
		line += " SIZE=" + strconv.FormatInt(m.Size, 10)
	}
	switch {
	case m.Body == BodyBinary && !has("CHUNKING"):
		err = fmt.Errorf("%w: CHUNKING", ErrExtension)
	case m.Body == BodyBinary:
		err = need("BINARYMIME", "BODY=BINARYMIME")
	case m.Body == Body8Bit && has("8BITMIME"):
		line += " BODY=8BITMIME"
	}
	if m.SMTPUTF8 || !m.Sender.IsASCII() {
		err = errors.Join(err, need("SMTPUTF8", "SMTPUTF8"))
	}
	if m.RequireTLS {
		err = errors.Join(err, need("REQUIRETLS", "REQUIRETLS"))
	}
	if m.HoldFor > 0 {
		err = errors.Join(err, need("FUTURERELEASE", "HOLDFOR="+strconv.FormatInt(int64(m.HoldFor.Seconds()), 10)))
	}
	if m.Return != "" && has("DSN") {
		line += " RET=" + m.Return
	}
	if m.EnvelopeID != "" && has("DSN") {
		line += " ENVID=" + EncodeXtext(m.EnvelopeID)
	}
	return line, err
}

func (c *Client) checkRcpt(m Message) error {
	if len(m.Rcpt) == 0 {
		return errors.New("smtp: a message needs a recipient")
	}
	if _, ok := c.Extension("SMTPUTF8"); ok && m.Mail.SMTPUTF8 {
		return nil
	}
	for i := range m.Rcpt {
		if !m.Rcpt[i].Recipient.IsASCII() {
			return fmt.Errorf("%w: SMTPUTF8", ErrExtension)
		}
	}
	return nil
}

// mostOriginal bounds the value of ORCPT as it is sent (RFC 3461 §4.2). A longer
// one, which escapes can make of a shorter one, is left out.
const mostOriginal = 500

func (c *Client) rcptLine(r *Rcpt) string {
	line := "RCPT TO:" + r.Recipient.Path()
	if _, ok := c.Extension("DSN"); !ok {
		return line
	}
	if r.Notify != 0 {
		line += " NOTIFY=" + r.Notify.String()
	}
	if kind, addr, ok := cutOriginal(r.Original); ok && len(kind)+1+len(addr) <= mostOriginal {
		line += " ORCPT=" + kind + ";" + addr
	}
	return line
}

// cutOriginal splits an ORCPT value and encodes its address: utf-8 ones have
// an encoding of their own (RFC 6533 §3), which is ASCII and passes anywhere.
func cutOriginal(s string) (kind, addr string, ok bool) {
	kind, addr, ok = strings.Cut(s, ";")
	switch {
	case !ok:
		return "", "", false
	case kind == "utf-8":
		return kind, encodeUTF8Xtext(addr), true
	}
	return kind, EncodeXtext(addr), isASCII(s)
}

// String writes NOTIFY as it is sent.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	s := ""
	for _, w := range []struct {
		bit  Notify
		word string
	}{{NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			if s != "" {
				s += ","
			}
			s += w.word
		}
	}
	return s
}

// group is how many RCPT commands go out before their replies are read, so
// that neither side's buffers fill up (RFC 2920 §3.1).
const group = 100

// envelope sends MAIL and RCPT, pipelined where the server allows it, and
// reads all replies.
func (c *Client) envelope(mailLine string, m Message, s *Sent) error {
	_, pipelining := c.Extension("PIPELINING")
	if err := c.put(mailLine); err != nil {
		return err
	}
	if !pipelining {
		if err := c.readMail(s); err != nil {
			return err
		}
	}
	refused, read := error(nil), pipelining
	for at := 0; at < len(m.Rcpt); {
		end := min(at+1, len(m.Rcpt))
		if pipelining {
			end = min(at+group, len(m.Rcpt))
		}
		for i := at; i < end; i++ {
			if err := c.put(c.rcptLine(&m.Rcpt[i])); err != nil {
				return err
			}
		}
		if read {
			read = false
			if refused = c.readMail(s); refused != nil && !isRefusal(refused) {
				return refused
			}
		}
		if err := c.readRcpt(s.Rcpt[at:end]); err != nil {
			return err
		}
		if at = end; refused != nil {
			return refused
		}
	}
	return c.anyTaken(s)
}

func (c *Client) readMail(s *Sent) error {
	r, err := c.read(c.o.Timeouts.Command)
	if err != nil {
		return err
	}
	s.Mail = r
	return judge("MAIL", r, 2)
}

// judge acts on a reply by its first digit alone (RFC 5321 §4.2).
func judge(verb string, r reply.Reply, want int) error {
	switch class := r.Code / 100; {
	case class == want:
		return nil
	case class >= 4:
		return &RefusedError{verb, r}
	}
	return fmt.Errorf("%w: %d to %s", ErrReply, r.Code, verb)
}

func (c *Client) readRcpt(to []reply.Reply) error {
	for i := range to {
		r, err := c.read(c.o.Timeouts.Command)
		if err != nil {
			return err
		}
		to[i] = r
		if r.Code/100 == 3 {
			return judge("RCPT", r, 2)
		}
	}
	return nil
}

// anyTaken ends the transaction when no recipient was taken.
func (c *Client) anyTaken(s *Sent) error {
	for _, r := range s.Rcpt {
		if r.Code/100 == 2 {
			return nil
		}
	}
	last := s.Rcpt[len(s.Rcpt)-1]
	if err := c.Reset(); err != nil && !isRefusal(err) {
		return err
	}
	return &RefusedError{"RCPT", last}
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

// data sends the content by DATA.
func (c *Client) data(m Message, s *Sent) error {
	r, err := c.command("DATA", c.o.Timeouts.DataStart)
	if err != nil {
		return err
	}
	if err := judge("DATA", r, 3); err != nil {
		if isRefusal(err) {
			s.Data = r
		}
		return err
	}
	if err := c.content(m.Content); err != nil {
		return c.verdict(err, s)
	}
	return c.finish(m, s)
}

// errWrite marks a connection that took no more content.
var errWrite = errors.New("smtp: write")

// verdict looks for the reply of a server that refused the content half way
// and hung up, such as 552 for a message too large.
func (c *Client) verdict(err error, s *Sent) error {
	if late(err) || !errors.Is(err, errWrite) {
		return err
	}
	r, rerr := c.read(time.Second)
	if rerr != nil || r.Code/100 < 4 {
		return err
	}
	s.Data = r
	return fmt.Errorf("%w: %w", &RefusedError{"content", r}, io.ErrUnexpectedEOF)
}

// late reports a deadline that has passed.
func late(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && e.Timeout()
}

// finish reads the final reply, or with LMTP one for each recipient taken.
func (c *Client) finish(m Message, s *Sent) error {
	s.Ended = true
	if m.Ended != nil {
		m.Ended()
	}
	n := 1
	if c.o.LMTP {
		n = 0
		for _, r := range s.Rcpt {
			if r.Code/100 == 2 {
				n++
			}
		}
	}
	for range n {
		r, err := c.read(c.o.Timeouts.DataEnd)
		if err != nil {
			return err
		}
		s.Data = r
		if c.o.LMTP {
			s.Final = append(s.Final, r)
		}
	}
	if !c.o.LMTP {
		return judge("content", s.Data, 2)
	}
	return nil
}

// Simple returns a message from a sender to recipients without parameters.
func Simple(sender mail.Address, content io.Reader, to ...mail.Address) Message {
	m := Message{Mail: Mail{Sender: sender}, Content: content}
	for _, a := range to {
		m.Rcpt = append(m.Rcpt, Rcpt{Recipient: a})
		m.Mail.SMTPUTF8 = m.Mail.SMTPUTF8 || !a.IsASCII()
	}
	return m
}
