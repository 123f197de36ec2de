package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"posthorn/internal/base/reply"
	"posthorn/internal/wire/sasl"
)

// Timeouts of a client (RFC 5321 §4.5.3.2).
type Timeouts struct {
	Greeting, Command, DataStart, DataBlock, DataEnd time.Duration
}

// Recommended returns the times of RFC 5321 §4.5.3.2.
func Recommended() Timeouts {
	return Timeouts{Greeting: 5 * time.Minute, Command: 5 * time.Minute, DataStart: 2 * time.Minute, DataBlock: 3 * time.Minute, DataEnd: 10 * time.Minute}
}

// ErrExtension says that the server lacks an extension the message or the
// caller needs; nothing was sent.
var ErrExtension = errors.New("smtp: extension not offered")

// RefusedError is a reply that stands in the way: 4xx or 5xx.
type RefusedError struct {
	// Verb is the command it answers.
	Verb  string
	Reply reply.Reply
}

// Error implements error.
func (e *RefusedError) Error() string { return "smtp: " + e.Verb + ": " + e.Reply.String() }

// Conn is what a Client speaks over; a net.Conn is one.
type Conn interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}

// ClientOptions are what a Client needs to know.
type ClientOptions struct {
	// LMTP makes it speak RFC 2033.
	LMTP bool
	// Timeouts are those of Recommended if zero.
	Timeouts Timeouts
	// Now is the clock for deadlines; nil sets none.
	Now func() time.Time
	// TLS is the state of a connection that began with TLS.
	TLS *tls.ConnectionState
}

// Client speaks SMTP or LMTP over a connection that is open already. After an
// error that is no *RefusedError the connection is of no more use. It belongs
// to one goroutine.
type Client struct {
	conn Conn
	in   *Reader
	out  []byte
	o    ClientOptions
	// Greeting is what the server said first, Hello its reply to EHLO.
	Greeting, Hello reply.Reply
	extensions      map[string]string
}

// NewClient returns a client of the server at the other end.
func NewClient(conn Conn, o ClientOptions) *Client {
	if o.Timeouts == (Timeouts{}) {
		o.Timeouts = Recommended()
	}
	return &Client{conn: conn, in: NewReader(conn), o: o}
}

// Greet reads the greeting and introduces the client: EHLO, and HELO where
// that is not understood; LHLO for LMTP.
func (c *Client) Greet(name string) error {
	r, err := c.read(c.o.Timeouts.Greeting)
	if err != nil {
		return err
	}
	c.Greeting = r
	if err := judge("greeting", r, 2); err != nil {
		return err
	}
	return c.Introduce(name)
}

// Introduce says EHLO, which also ends a transaction.
func (c *Client) Introduce(name string) error {
	verb := EHLO
	if c.o.LMTP {
		verb = LHLO
	}
	c.extensions = map[string]string{}
	r, err := c.command(verb.String()+" "+name, c.o.Timeouts.Command)
	if err == nil && r.Permanent() && !c.o.LMTP {
		verb = HELO
		r, err = c.command("HELO "+name, c.o.Timeouts.Command)
	}
	if err != nil {
		return err
	}
	c.Hello = r
	if err := judge(verb.String(), r, 2); err != nil {
		return err
	}
	if verb == HELO {
		return nil
	}
	for _, line := range r.Text[1:] {
		word, params, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(word)] = params
	}
	return nil
}

// Extension returns the parameters of an extension the server offers.
func (c *Client) Extension(name string) (params string, ok bool) {
	params, ok = c.extensions[name]
	return params, ok
}

// StartTLS begins TLS and introduces the client again. handshake does the
// client's side of it on the connection and returns the connection to go on
// with. What the server sent ahead of it is discarded, and what it offered
// before is forgotten (RFC 3207 §4.2, CVE-2011-0411). ErrExtension says that
// STARTTLS is not offered; falling back is the caller's decision.
func (c *Client) StartTLS(name string, handshake func() (Conn, *tls.ConnectionState, error)) error {
	if _, ok := c.Extension("STARTTLS"); !ok {
		return fmt.Errorf("%w: STARTTLS", ErrExtension)
	}
	r, err := c.command("STARTTLS", c.o.Timeouts.Command)
	if err != nil {
		return err
	}
	if err := judge("STARTTLS", r, 2); err != nil {
		return err
	}
	c.in.Release()
	if err := c.deadline(c.o.Timeouts.Command); err != nil {
		return err
	}
	conn, state, err := handshake()
	if err != nil {
		return fmt.Errorf("smtp: TLS handshake: %w", err)
	}
	c.conn, c.in, c.o.TLS = conn, NewReader(conn), state
	return c.Introduce(name)
}

// TLS returns the state of the TLS connection, nil in plain text.
func (c *Client) TLS() *tls.ConnectionState { return c.o.TLS }

// Auth logs in by the strongest mechanism both know. plaintext allows PLAIN
// and LOGIN, which is right inside verified TLS only.
func (c *Client) Auth(cred sasl.Credentials, plaintext bool) error {
	params, ok := c.Extension("AUTH")
	if !ok {
		return fmt.Errorf("%w: AUTH", ErrExtension)
	}
	offered := strings.Fields(params)
	binding := sasl.ClientBinding(c.TLS())
	m, err := sasl.Choose(offered, binding, plaintext)
	if err != nil {
		return err
	}
	x, err := sasl.NewClient(m, cred, offered, binding)
	if err != nil {
		return err
	}
	initial, err := x.Start()
	if err != nil {
		return err
	}
	line := "AUTH " + string(m)
	if initial != nil {
		line += " " + sasl.EncodeInitial(initial)
	}
	return c.exchange(x, line)
}

func (c *Client) exchange(x sasl.Client, line string) error {
	for {
		r, err := c.command(line, c.o.Timeouts.Command)
		switch {
		case err != nil:
			return err
		case r.Code == 235:
			return x.Finish()
		case r.Code != 334:
			return judge("AUTH", r, 0)
		}
		challenge, err := sasl.DecodeResponse(strings.Join(r.Text, ""))
		var response []byte
		if err == nil {
			response, err = x.Next(challenge)
		}
		if err != nil {
			_, cancelled := c.command("*", c.o.Timeouts.Command)
			return errors.Join(err, cancelled)
		}
		line = sasl.Encode(response)
	}
}

// Read reads a reply nobody asked for, such as 421 from a server that stops.
func (c *Client) Read() (reply.Reply, error) { return c.read(c.o.Timeouts.Command) }

// Unread reports whether the server has said something though no reply is due,
// or has hung up: what comes next would be taken for the reply to another
// command. It sees what was read from the network already, and waits for more
// until the deadline of the connection, which the caller sets.
func (c *Client) Unread() bool {
	return !late(c.in.Await(c.conn))
}

// Reset ends a transaction.
func (c *Client) Reset() error { return c.expect("RSET") }

// Noop asks whether the server is still there.
func (c *Client) Noop() error { return c.expect("NOOP") }

// Quit says goodbye; the caller closes the connection.
func (c *Client) Quit() error { return c.expect("QUIT") }

func (c *Client) expect(line string) error {
	r, err := c.command(line, c.o.Timeouts.Command)
	if err != nil {
		return err
	}
	return judge(line, r, 2)
}

// command sends a line and reads its reply. A reply to nothing that came before
// is an ErrReply.
func (c *Client) command(line string, wait time.Duration) (reply.Reply, error) {
	if err := c.inStep(); err != nil {
		return reply.Reply{}, err
	}
	if err := c.put(line); err != nil {
		return reply.Reply{}, err
	}
	return c.read(wait)
}

// inStep refuses to go on with a server that has said more than was asked.
func (c *Client) inStep() error {
	if c.in.Buffered() > 0 {
		return fmt.Errorf("%w: a reply to nothing", ErrReply)
	}
	return nil
}

// put collects a line; one that holds a line end itself is refused, so that
// no address can smuggle a command (reliability.md row 18).
func (c *Client) put(line string) error {
	if strings.ContainsAny(line, "\r\n\x00") {
		return fmt.Errorf("smtp: line end inside a command: %.80q", line)
	}
	c.out = append(append(c.out, line...), '\r', '\n')
	return nil
}

// read flushes what was put and reads one reply.
func (c *Client) read(wait time.Duration) (reply.Reply, error) {
	if err := c.deadline(wait); err != nil {
		return reply.Reply{}, err
	}
	if err := c.flush(); err != nil {
		return reply.Reply{}, err
	}
	r, err := ReadReply(c.in)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("smtp: server hung up: %w", io.ErrUnexpectedEOF)
	}
	return r, err
}

func (c *Client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *Client) deadline(d time.Duration) error {
	if c.o.Now == nil {
		return nil
	}
	return c.conn.SetDeadline(c.o.Now().Add(d))
}
