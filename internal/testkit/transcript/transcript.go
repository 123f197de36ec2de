// Package transcript runs session tests that read like the session: what the
// client sends, what the server must say, and how much (virtual) time passes.
//
// A dialogue has one step a line:
//
//	connect 192.0.2.1 smtp   open connection C from an address to a listener
//	A connect 192.0.2.1 imap open connection A; its steps start with "A "
//	C: EHLO a.example        send the text and CRLF; \r \n \t \0 \\ \xNN are escapes
//	C- abc                   send the text without CRLF
//	C* 1000 x                send "x" 1000 times, without CRLF
//	S: 220 mx ESMTP          the next line must be this; … stands for anything
//	S* 250 …                 lines may pass until one is this
//	S- + …                   like S:, but the line is not ended yet (prompts)
//	silence                  the server has nothing to say now
//	took 1s                  virtual time between the last thing sent and the last line read
//	wait 5m                  let virtual time pass
//	tls                      do the client's TLS handshake
//	eof                      the server has closed the connection
//	shut                     half-close; close: close our end
//	! name args              run a command of the test (Options.Commands)
//	# text                   a remark
//
// The caller runs it inside a testing/synctest bubble.
package transcript

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"posthorn/internal/testkit/memconn"
)

// Options say what is tested.
type Options struct {
	// Serve runs the server's side of a connection to the named listener and
	// returns when it is over.
	Serve func(listener string, conn net.Conn)
	// TLS is the client's configuration for the step "tls".
	TLS *tls.Config
	// Commands run for steps that start with "!".
	Commands map[string]func(args string) error
	// Patience bounds the virtual time waited for one line; default 1 hour.
	Patience time.Duration
}

// Run plays the dialogue. The error names the line and shows what the server
// really said.
func Run(dialogue string, o Options) error {
	if o.Patience == 0 {
		o.Patience = time.Hour
	}
	r := &runner{o: o, conns: map[string]*client{}, done: make(chan struct{}, 1024)}
	err := r.play(dialogue)
	for _, c := range r.conns {
		_ = c.conn.Close()
	}
	for range r.started {
		<-r.done
	}
	return err
}

type runner struct {
	o       Options
	conns   map[string]*client
	port    uint16
	started int
	done    chan struct{}
}

// client is one end of one connection.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	sent  time.Time
	last  time.Time
	heard []string
}

var letter = regexp.MustCompile(`^([A-Z]) (.*)$`)

func (r *runner) play(dialogue string) error {
	for i, line := range strings.Split(dialogue, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, step := "C", line
		if m := letter.FindStringSubmatch(line); m != nil {
			name, step = m[1], m[2]
		}
		if err := r.step(name, step); err != nil {
			return fmt.Errorf("line %d: %s\n%w%s", i+1, line, err, r.history(name))
		}
	}
	return nil
}

func (r *runner) history(name string) string {
	c := r.conns[name]
	if c == nil || len(c.heard) == 0 {
		return ""
	}
	tail := c.heard[max(0, len(c.heard)-8):]
	return "\nthe server said last:\n\t" + strings.Join(tail, "\n\t")
}

func (r *runner) step(name, step string) error {
	verb, rest, _ := strings.Cut(step, " ")
	switch verb {
	case "connect":
		return r.connect(name, rest)
	case "wait":
		d, err := time.ParseDuration(rest)
		if err == nil {
			time.Sleep(d)
			synctest.Wait()
		}
		return err
	case "!":
		command, args, _ := strings.Cut(rest, " ")
		f := r.o.Commands[command]
		if f == nil {
			return fmt.Errorf("no command %q in this test", command)
		}
		return f(args)
	}
	c := r.conns[name]
	if c == nil {
		return errors.New("no connection is open")
	}
	return r.talk(c, verb, rest)
}

func (r *runner) talk(c *client, verb, rest string) error {
	switch verb {
	case "C:":
		return c.send(rest, "\r\n")
	case "C-":
		return c.send(rest, "")
	case "C*":
		n, text, _ := strings.Cut(rest, " ")
		count, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		return c.send(strings.Repeat(text, count), "")
	case "S:", "S*":
		return c.expect(rest, verb == "S*", r.o.Patience)
	case "S-":
		return c.expectPart(rest, r.o.Patience)
	case "silence":
		return c.silence()
	case "took":
		want, err := time.ParseDuration(rest)
		if err == nil && c.last.Sub(c.sent) != want {
			err = fmt.Errorf("took %v, not %v", c.last.Sub(c.sent), want)
		}
		return err
	case "tls":
		t := tls.Client(c.conn, r.o.TLS)
		c.conn, c.in = t, bufio.NewReader(t)
		return t.Handshake()
	case "eof":
		return c.eof(r.o.Patience)
	case "close":
		return c.conn.Close()
	case "shut":
		return c.conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	return fmt.Errorf("unknown step %q", verb)
}

func (r *runner) connect(name, rest string) error {
	from, listener, _ := strings.Cut(rest, " ")
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return err
	}
	r.port++
	server := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.25"), 25)
	if ip.Is6() {
		server = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::25"), 25)
	}
	ours, theirs := memconn.Pair(netip.AddrPortFrom(ip, 30000+r.port), server)
	if old := r.conns[name]; old != nil {
		_ = old.conn.Close()
	}
	now := time.Now()
	r.conns[name] = &client{conn: ours, in: bufio.NewReader(ours), sent: now, last: now}
	r.started++
	go func() {
		defer func() { r.done <- struct{}{} }()
		r.o.Serve(listener, theirs)
		_ = theirs.Close()
	}()
	return nil
}

func (c *client) send(text, end string) error {
	raw, err := unescape(text)
	if err != nil {
		return err
	}
	c.sent = time.Now()
	c.last = c.sent
	_, err = io.WriteString(c.conn, raw+end)
	return err
}

func (c *client) line(patience time.Duration) (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("waiting for a line: %w (got %q)", err, line)
	}
	c.last = time.Now()
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	c.heard = append(c.heard, line)
	return line, nil
}

func (c *client) expect(want string, skip bool, patience time.Duration) error {
	for {
		got, err := c.line(patience)
		if err != nil {
			return err
		}
		if Match(want, got) {
			return nil
		}
		if !skip {
			return fmt.Errorf("got:  %s", got)
		}
	}
}

func (c *client) expectPart(want string, patience time.Duration) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.in, got); err != nil || string(got) != want {
		return fmt.Errorf("got %q, %v", got, err)
	}
	c.last = time.Now()
	return nil
}

func (c *client) silence() error {
	synctest.Wait()
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := c.in.Peek(1)
	if err == nil {
		b, _ := c.in.Peek(c.in.Buffered()) // what is buffered is there
		return fmt.Errorf("the server said %q", bytes.TrimSpace(b))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

func (c *client) eof(patience time.Duration) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(c.in)
	c.last = time.Now()
	if len(rest) > 0 {
		return fmt.Errorf("before the end the server said %q", rest)
	}
	return err
}

// Match reports whether a line is what the pattern says; … in the pattern
// stands for any text.
func Match(pattern, line string) bool {
	parts := strings.Split(pattern, "…")
	if len(parts) == 1 {
		return pattern == line
	}
	if !strings.HasPrefix(line, parts[0]) {
		return false
	}
	line = line[len(parts[0]):]
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		i := strings.Index(line, p)
		if i < 0 {
			return false
		}
		line = line[i+len(p):]
	}
	return strings.HasSuffix(line, parts[last])
}

// unescape reads \r \n \t \0 \\ and \xNN.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", errors.New(`text ends in \`)
		}
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '0':
			b.WriteByte(0)
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+2 >= len(s) {
				return "", errors.New(`\x needs two digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", err
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c`, s[i])
		}
	}
	return b.String(), nil
}
